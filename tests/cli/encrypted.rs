//! Encrypted files and `--key-file`: with the key the tools read the content, and without it they
//! name the missing key.

use std::fs;

use support::cli::{Ended, argument};
use support::fixtures::{couchstore_dir, couchstore_file};
use tempfile::TempDir;

use super::DCP_SIM;

const CASES: [&str; 2] = ["i_encrypted_v0_wrapped", "i_encrypted_v1_derived"];
/// The bytes 00 to 1f, as documented in `ORIGIN.md`.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_KEY: &str = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn key_file(home: &TempDir, key: &str) -> String {
    let path = home.path().join("keys.json");
    fs::write(
        &path,
        format!(r#"{{"keys": [{{"id": "test-key-1", "key": "{key}"}}]}}"#),
    )
    .expect("written");
    argument(&path).to_owned()
}

fn run(command: &str, case: &str, options: &[&str]) -> Ended {
    DCP_SIM.run_in(
        &couchstore_dir(),
        &[&[command, &couchstore_file(case)], options].concat(),
    )
}

/// Guards all four commands: their output for the encrypted file equals that for the same documents
/// unencrypted.
#[test]
fn encrypted_file_with_its_key_reads_like_any_file() {
    let home = TempDir::new().expect("a directory");
    let keys = key_file(&home, KEY);
    let plain = run("dump", "b_ten", &[]).with_code(0).stdout;
    assert_eq!(plain.lines().count(), 10);
    for case in CASES {
        assert_eq!(
            run("dump", case, &["--key-file", &keys])
                .with_code(0)
                .stdout,
            plain,
            "{case}"
        );
        let by_key = run("dump", case, &["--key-file", &keys, "--by", "key"]).with_code(0);
        assert_eq!(
            by_key.stdout,
            run("dump", "b_ten", &["--by", "key"]).stdout,
            "{case}"
        );

        let checked = run("check", case, &["--key-file", &keys]).with_code(0);
        assert!(
            checked.stdout.contains("sound") && checked.stdout.lines().count() == 1,
            "{checked:#?}"
        );

        let inspected = run("inspect", case, &["--key-file", &keys, "--json"])
            .with_code(0)
            .json();
        let file = &inspected["files"][0];
        let number = |name: &str| file[name].as_u64().expect("a number");
        assert_eq!(
            number("live_bytes") + number("dead_bytes"),
            number("file_bytes"),
            "{case}"
        );
        assert_eq!(
            (number("bodies"), &file["by_seqno"]["rows"]),
            (10, &10.into()),
            "{case}"
        );
        let header =
            run("inspect", "b_ten", &["--json"]).json()["files"][0]["uses"]["header"].as_u64();
        let key_block =
            file["uses"]["header"].as_u64().expect("a number") - header.expect("a number");
        assert!(
            (54..=90).contains(&key_block),
            "{case}: the block that tells of the key is live: {key_block}"
        );

        let saved = home.path().join(case);
        let options = ["--key-file", &keys, "--output", argument(&saved)];
        let recovered = run("recover", case, &options).with_code(0);
        assert!(
            recovered.stdout.contains("nothing was lost"),
            "{recovered:#?}"
        );
        let dumped = DCP_SIM.run(&["dump", argument(&saved)]).with_code(0);
        assert_eq!(dumped.stdout, plain, "{case}: in the clear");
    }
}

/// Guards the errors without the key, with another one, and for files that are no key files. Keys
/// are never shown.
#[test]
fn encrypted_file_without_its_key_names_the_key() {
    let home = TempDir::new().expect("a directory");
    let (saved, wrong) = (home.path().join("saved"), key_file(&home, OTHER_KEY));
    for case in CASES {
        for command in ["inspect", "dump", "check", "recover"] {
            let output: &[&str] = if command == "recover" {
                &["--output", argument(&saved)]
            } else {
                &[]
            };
            let ended = run(command, case, output).with_code(2);
            assert!(
                ended.stderr.contains("encrypted with key test-key-1")
                    && ended.stderr.contains("--key-file"),
                "{command} {case}: {ended:#?}"
            );
            let ended =
                run(command, case, &[output, &["--key-file", &wrong]].concat()).with_code(2);
            assert!(
                ended.stderr.contains("does not open it"),
                "{command} {case}: {ended:#?}"
            );
            assert!(
                !ended.stderr.contains(OTHER_KEY),
                "{command} {case}: {ended:#?}"
            );
            assert!(!saved.exists(), "{command} {case}");
        }
    }
    let bad = key_file(&home, "AAEC");
    let ended = run("dump", CASES[0], &["--key-file", &bad]).with_code(2);
    assert!(
        ended.error().contains("32 bytes") && !ended.stderr.contains("AAEC"),
        "{ended:#?}"
    );
    let _missing = run("dump", CASES[0], &["--key-file", "/nowhere/keys.json"]).with_code(3);
}
