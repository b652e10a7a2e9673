//! Runs with faults from the command line: many seeds, the same bytes again, a picture of any
//! moment.

use super::DCP_SIM;

const FAULTS: [&str; 10] = [
    "--workload",
    "zipfian",
    "--ops",
    "300",
    "--keys",
    "50",
    "--profile",
    "hostile",
    "--duration",
    "500ms",
];

fn run(command: &str, more: &[&str]) -> String {
    DCP_SIM
        .run(&[&[command], &FAULTS[..], more].concat())
        .with_code(0)
        .stdout
}

/// W17. Guards the output of many seeds: one line each, a summary, and the same bytes for any
/// number of jobs.
#[test]
fn seeds_are_printed_in_a_line_each() {
    let once = run("run", &["--seeds", "3", "--seed", "7"]);
    for jobs in ["1", "2", "8"] {
        assert_eq!(
            once,
            run("run", &["--seeds", "3", "--seed", "7", "--jobs", jobs]),
            "{jobs}"
        );
    }
    let lines: Vec<_> = once.lines().collect();
    assert_eq!(lines.len(), 4, "{once}");
    for (line, seed) in lines[..3].iter().zip(7..) {
        assert!(
            line.starts_with(&format!("seed {seed} ")) && line.contains(" clean "),
            "{line}"
        );
    }
    assert!(lines[3].starts_with("3 seeds, 0 broken, "), "{once}");
}

/// Guards the report of one seed: the faults, the replies to clients, and the verdicts of such
/// runs.
#[test]
fn report_of_a_run_with_faults_has_faults_and_verdicts() {
    let text = run("run", &[]);
    for word in [
        "faults ",
        "power-loss ",
        "acknowledged",
        "lost with a branch",
        "rollbacks",
        "W14 holds",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let json = |seed: &str| {
        let arguments = [&["run"], &FAULTS[..], &["--json", "--seed", seed]].concat();
        DCP_SIM.run(&arguments).with_code(0).json_without_times()
    };
    assert_eq!(json("3"), json("3"));
    assert_ne!(json("3"), json("4"));
    assert!(
        json("3").contains(r#""faults":{"struck":{"compaction":"#),
        "{}",
        json("3")
    );
}

/// Guards the picture of a moment: the same each time, with everything in it.
#[test]
fn replay_until_an_event_stops_there() {
    let pictures = ["100", "500", "1000"].map(|event| {
        let picture = run("replay", &["--until", event]);
        assert_eq!(picture, run("replay", &["--until", event]));
        assert!(
            picture.starts_with(&format!("event {event}, ")),
            "{picture}"
        );
        picture
    });
    // At one moment a node may be down or cut off, so several are searched.
    let all = pictures.concat();
    for word in [
        "node 0: ",
        "node 2: ",
        "vBucket 15: ",
        "branches: ",
        "persistence -> ",
        "connection ",
    ] {
        assert!(all.contains(word), "{word}: {all}");
    }
    assert_ne!(pictures[2], run("replay", &["--until", "1001"]));
}

/// Guards that a run without a violation has nothing to shrink.
#[test]
fn clean_seed_is_not_shrunk() {
    assert_eq!(
        run("replay", &["--shrink", "--seed", "2"]),
        "seed 2 is clean\n"
    );
}
