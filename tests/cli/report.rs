//! `run --report`: the page of a run, as a file and in a browser.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::DCP_SIM;

/// Small, and with faults, so that every chart has something to show.
const RUN: [&str; 9] = [
    "run",
    "--workload",
    "zipfian",
    "--profile",
    "stormy",
    "--duration",
    "300ms",
    "--ops",
    "400",
];

fn written(dir: &Path, name: &str) -> String {
    let path = dir.join(name);
    let path = path.to_str().expect("UTF-8");
    let _ended = DCP_SIM
        .run(&[&RUN[..], &["--report", path]].concat())
        .with_code(0);
    std::fs::read_to_string(path).expect("written")
}

/// Guards that a page depends on the run alone, not on this machine or this minute.
#[test]
fn same_run_gives_the_same_page() {
    let dir = tempfile::tempdir().expect("a directory");
    let page = written(dir.path(), "one.html");
    assert_eq!(page, written(dir.path(), "two.html"));
    assert!(page.contains("<td>W3</td>") && page.contains("every copy is right"));
    assert!(
        page.contains("dcp-sim run --workload zipfian --ops 400"),
        "the command that repeats it"
    );
}

/// Guards that recording a run does not change it.
#[test]
fn recorded_run_is_the_same_run() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("page.html");
    let recorded = [
        &RUN[..],
        &["--json", "--report", path.to_str().expect("UTF-8")],
    ]
    .concat();
    let told = |arguments: &[&str]| DCP_SIM.run(arguments).with_code(0).json_without_times();
    assert_eq!(told(&[&RUN[..], &["--json"]].concat()), told(&recorded));
}

/// Guards that a page that can't be written is reported before the run.
#[test]
fn page_that_cannot_be_written_is_reported_before_the_run() {
    let ended = DCP_SIM
        .run(&[&RUN[..], &["--report", "/nowhere/page.html"]].concat())
        .with_code(3);
    assert!(
        ended.stdout.is_empty() && ended.error().contains("/nowhere/page.html"),
        "{ended:#?}"
    );
}

/// Guards that the charts are drawn. Without a browser the test checks nothing.
#[test]
fn charts_are_drawn_in_a_browser() {
    let Some(browser) = browser() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let page = written(dir.path(), "page.html");
    let dom = shown(browser, dir.path(), &page);
    assert!(
        dom.matches("<canvas").count() >= 5,
        "a canvas for each chart"
    );
}

/// Guards that rare flushes are visible: each is a sample between two gaps, which no line crosses.
#[test]
fn charts_of_a_short_run_are_not_empty() {
    let Some(browser) = browser() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("page.html");
    let run = [
        "run",
        "--workload",
        "uniform",
        "--ops",
        "3000",
        "--report",
        path.to_str().expect("UTF-8"),
    ];
    let _ended = DCP_SIM.run(&run).with_code(0);
    let page = std::fs::read_to_string(&path).expect("written");
    // Lines and points have colours; grids and names are grey.
    let count = "<script>setTimeout(() => { document.body.dataset.ink = [...document.querySelectorAll('canvas')].map((canvas) => {
        const bytes = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        let coloured = 0;
        for (let at = 0; at < bytes.length; at += 4) {
            const [red, green, blue] = bytes.slice(at, at + 3);
            coloured += bytes[at + 3] > 128 && Math.max(red, green, blue) - Math.min(red, green, blue) > 80;
        }
        return coloured;
    }).join(','); }, 300);</script></body>";
    let dom = shown(browser, dir.path(), &page.replace("</body>", count));
    let counts = dom
        .split_once("data-ink=\"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .expect("counted")
        .0;
    let counts: Vec<u32> = counts
        .split(',')
        .map(|count| count.parse().expect("a number"))
        .collect();
    assert!(
        counts.len() >= 5 && counts.iter().all(|&count| count > 0),
        "{counts:?}"
    );
}

fn browser() -> Option<&'static str> {
    let names = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "headless_shell",
    ];
    let found = names.into_iter().find(|name| runs(name));
    if found.is_none() {
        eprintln!("skipped: none of {names:?} is installed");
    }
    found
}

/// Returns a page as a browser renders it.
fn shown(browser: &str, dir: &Path, page: &str) -> String {
    let path = dir.join("shown.html");
    std::fs::write(&path, page).expect("written");
    let profile = format!("--user-data-dir={}", dir.join("profile").display());
    let address = format!("file://{}", path.display());
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=2000",
        ])
        .args([&profile, "--dump-dom", &address])
        .stdin(Stdio::null())
        .output()
        .expect("it ran a moment ago");
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let body = dom
        .split_once("<body")
        .and_then(|(_, rest)| rest.split_once('>'))
        .map(|(body, _)| body);
    let body =
        body.unwrap_or_else(|| panic!("no page: {}", String::from_utf8_lossy(&output.stderr)));
    assert!(
        body.contains("data-ready=\"true\"") && !body.contains("data-error"),
        "{body}"
    );
    dom
}

fn runs(name: &str) -> bool {
    let mut command = Command::new(name);
    let version = command
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}
