//! `--profile swarm` from the command line, and `--seeds` with every source and output.

use serde_json::Value;
use support::cli::argument;
use support::git::Repository;
use tempfile::TempDir;

use super::DCP_SIM;

/// Settings of small clusters; the rest is drawn.
const SMALL: [&str; 9] = [
    "--profile",
    "swarm",
    "--ops",
    "60",
    "--vbuckets",
    "4",
    "--duration",
    "300ms",
    "--seed",
];

fn run(arguments: &[&str]) -> String {
    DCP_SIM
        .run(&[&["run"], arguments].concat())
        .with_code(0)
        .stdout
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect()
}

/// W8. Guards that a replay needs nothing except the seed.
#[test]
fn swarm_seed_replayed_gives_the_same_bytes() {
    for seed in ["3", "4"] {
        let json = || {
            DCP_SIM.run(&[
                "run",
                "--profile",
                "swarm",
                "--ops",
                "200",
                "--json",
                "--seed",
                seed,
            ])
        };
        let first = json().with_code(0).json_without_times();
        assert_eq!(first, json().with_code(0).json_without_times());
        assert!(first.contains(r#""shape":{"nodes":"#), "{first}");
    }
}

/// W17. Guards that seeds run concurrently are reported as if run in sequence, in text and in JSON.
#[test]
fn swarm_seeds_with_any_number_of_jobs_give_the_same_output() {
    for output in [&["--seeds", "6"][..], &["--seeds", "6", "--json"]] {
        let one = run(&[&SMALL[..], &["7"], output, &["--jobs", "1"]].concat());
        assert_eq!(
            one,
            run(&[&SMALL[..], &["7"], output, &["--jobs", "4"]].concat())
        );
    }
    let told = lines(&run(
        &[&SMALL[..], &["7", "--seeds", "3", "--json"]].concat()
    ));
    let seeds: Vec<_> = told.iter().map(|line| line["seed"].as_u64()).collect();
    assert_eq!(seeds, [Some(7), Some(8), Some(9)]);
    for line in &told {
        assert_eq!(
            (&line["clean"], &line["shape"]["vbuckets"]),
            (&true.into(), &4.into()),
            "{line}"
        );
        assert!(
            line["verdicts"].is_array() && line.get("times").is_none(),
            "{line}"
        );
        let clients = &line["faults"]["clients"]["clients"];
        assert_eq!(
            clients, &line["shape"]["clients"],
            "what was drawn is what ran"
        );
        let replay = line["replay"]
            .as_str()
            .expect("a command")
            .strip_prefix("dcp-sim ")
            .expect("of ours");
        let words: Vec<_> = replay.split(' ').chain(["--json"]).collect();
        let again = DCP_SIM.run(&words).with_code(0).json();
        assert_eq!(
            (&again["shape"], &again["figures"]),
            (&line["shape"], &line["figures"])
        );
    }
}

/// Guards that the text report includes the drawn settings.
#[test]
fn swarm_report_has_the_drawn_settings() {
    let text = run(&[&SMALL[..], &["5", "--nodes", "2", "--engine", "logstor"]].concat());
    let drew = text
        .lines()
        .find(|line| line.starts_with("drew "))
        .expect("a line");
    assert!(
        drew.contains("2 nodes, ") && drew.contains("4 vBuckets, logstor; 60 writes"),
        "{drew}"
    );
}

/// Guards that a history is read once and proven for each seed, with faults and without.
#[test]
fn seeds_with_a_git_history_are_each_proven() {
    let repository = Repository::with_everything();
    let git = [
        "--git",
        argument(repository.dir()),
        "--seeds",
        "3",
        "--json",
    ];
    let proven = lines(&run(&git));
    let w7 = |line: &Value| {
        let verdicts = line["verdicts"].as_array().expect("verdicts");
        verdicts
            .iter()
            .any(|verdict| verdict["invariant"] == "W7" && verdict["checked"].as_u64() > Some(0))
    };
    assert!(proven.len() == 3 && proven.iter().all(w7), "{proven:#?}");
    for profile in ["hostile", "swarm"] {
        let faulty = lines(&run(&[
            &git[..],
            &["--profile", profile, "--duration", "300ms"],
        ]
        .concat()));
        assert_eq!(faulty.len(), 3);
        let batches = |line: &Value| line["figures"]["batches"].as_u64();
        assert!(
            faulty.iter().any(|line| batches(line) > Some(0)),
            "{faulty:#?}"
        );
        assert!(
            faulty
                .iter()
                .all(|line| batches(line) <= batches(&proven[0])),
            "{faulty:#?}"
        );
    }
}

/// Guards standard input, which can be read only once, and that a bad line is reported before a
/// seed runs.
#[test]
fn seeds_with_lines_from_standard_input_share_them() {
    let good =
        b"{\"op\":\"set\",\"key\":\"a\",\"value\":\"1\"}\n{\"op\":\"delete\",\"key\":\"a\"}\n";
    let command = ["run", "--input", "-", "--seeds", "3", "--json"];
    let told = lines(&DCP_SIM.run_with(&command, good).with_code(0).stdout);
    let deletes: Vec<_> = told
        .iter()
        .map(|line| line["figures"]["deletes"].as_u64())
        .collect();
    assert_eq!(deletes, [Some(1); 3]);
    let ended = DCP_SIM.run_with(&command, b"nonsense\n").with_code(2);
    assert!(
        ended.stdout.is_empty() && ended.error().starts_with("standard input:1: "),
        "{ended:#?}"
    );
}

/// Guards the page over many seeds: it has each, loads nothing from the network, and is the same
/// each time.
#[test]
fn seeds_with_a_report_get_one_page() {
    let home = TempDir::new().expect("a directory");
    let page = |name: &str| {
        let path = home.path().join(name);
        let report = ["7", "--seeds", "4", "--report", argument(&path)];
        let _told = run(&[&SMALL[..], &report].concat());
        std::fs::read_to_string(&path).expect("written")
    };
    let first = page("one.html");
    assert_eq!(first, page("two.html"));
    assert_eq!(first.matches("<td>clean</td>").count(), 4, "{first}");
    assert!(
        first.contains("every seed is clean") && first.contains("4 vBuckets, "),
        "{first}"
    );
    assert!(
        first.contains("--seed 7 ") && first.contains("--seeds 4"),
        "the command: {first}"
    );
    assert!(
        !first.contains("http://") && !first.contains("https://"),
        "{first}"
    );
}
