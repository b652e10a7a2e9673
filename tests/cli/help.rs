//! Help begins with examples that work, and shells get their completions.

use std::process::Command;

use support::git::Repository;

use super::DCP_SIM;

const COMMANDS: [&[&str]; 10] = [
    &[],
    &["run"],
    &["replay"],
    &["script"],
    &["inspect"],
    &["dump"],
    &["check"],
    &["recover"],
    &["compact"],
    &["completions"],
];

/// Guards the text of the help.
#[test]
fn help_has_its_recorded_text() {
    let help = DCP_SIM.run(&["--help"]).with_code(0).stdout;
    insta::assert_snapshot!("help", help);
    for command in [
        "run", "replay", "script", "inspect", "dump", "check", "recover", "compact",
    ] {
        let help = DCP_SIM.run(&[command, "--help"]).with_code(0).stdout;
        insta::assert_snapshot!(format!("help_{command}"), help);
    }
}

/// Guards the order of help: its reader looks for an example first.
#[test]
fn help_begins_with_examples() {
    for command in COMMANDS {
        for flag in ["--help", "-h"] {
            let ended = DCP_SIM.run(&[command, &[flag]].concat()).with_code(0);
            let (examples, usage) = (ended.stdout.find("Examples:"), ended.stdout.find("Usage:"));
            assert!(
                examples.is_some() && examples < usage,
                "{command:?} {flag}: {}",
                ended.stdout
            );
        }
    }
    let version = DCP_SIM.run(&["--version"]).with_code(0);
    assert!(version.stdout.starts_with("dcp-sim "), "{version:?}");
}

/// Guards that the examples in the help are commands that this program accepts.
#[test]
fn examples_of_the_help_are_accepted() {
    let repository = Repository::with_everything();
    let mut seen = 0;
    for command in COMMANDS {
        let help = DCP_SIM.run(&[command, &["--help"]].concat()).stdout;
        for example in help
            .lines()
            .filter_map(|line| line.strip_prefix("  dcp-sim "))
        {
            seen += 1;
            // The description and the redirection follow the command.
            let words = example
                .split("    ")
                .next()
                .and_then(|example| example.split(" >").next());
            let words: Vec<_> = words.expect("a command").split_whitespace().collect();
            // Arguments are checked before files are opened. Only a command that names no file is
            // run as it stands.
            let ended = match words.as_slice() {
                ["run", "--git", ".", rest @ ..] if !rest.contains(&"--data") => DCP_SIM
                    .command(&words)
                    .current_dir(repository.dir())
                    .output()
                    .expect("run")
                    .status
                    .code(),
                ["completions", ..] => Some(DCP_SIM.run(&words).code),
                _ => Some(DCP_SIM.run(&[&words[..], &["--help"]].concat()).code),
            };
            assert_eq!(ended, Some(0), "{example}");
        }
    }
    assert!(seen >= 20, "{seen} examples");
}

/// Guards that each shell gets a script, and that bash can read its own.
#[test]
fn each_shell_gets_a_completion_script() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = DCP_SIM.run(&["completions", shell]).with_code(0);
        for word in [
            "dcp-sim",
            "run",
            "script",
            "workload",
            "vbuckets",
            "recover",
            "headers-back",
            "purge-upto",
        ] {
            assert!(ended.stdout.contains(word), "{shell}: {word}");
        }
    }
    let script = DCP_SIM.run(&["completions", "bash"]).stdout;
    assert!(
        script.contains("uniform zipfian latest"),
        "values are completed, too"
    );
    if let Ok(checked) = Command::new("bash").args(["-n", "-c", &script]).output() {
        assert!(
            checked.status.success(),
            "{}",
            String::from_utf8_lossy(&checked.stderr)
        );
    }
}
