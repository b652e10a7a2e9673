//! The commands, and the steps of each.
//!
//! # Invariants
//! - [`verify`] is everything that must pass before a change lands. Its steps contain those of [`seeds`] and [`models`].

use crate::step::{Failure, Step};

/// Seconds for each fuzz target, unless the caller names a number.
const FUZZ_SECONDS: u32 = 60;

/// Seconds of the soak of both engines, unless the caller names a number.
const SOAK_SECONDS: u32 = 600;

/// Text of `cargo xtask help`.
pub(crate) const HELP: &str = "\
Usage: cargo xtask COMMAND

  verify              run everything that must pass, and stop at the first failure
  fix                 apply clippy's suggestions and rustfmt
  models              run the real types on loom's scheduler
  seeds               run the simulator on its fixed seeds
  fuzz [SECONDS]      run each fuzz target for that long, 60 s by default; needs nightly and cargo-fuzz
  soak [SECONDS]      kill a store again and again on a failing disk, half of the time with each engine, 600 s by default
  bench [ARGUMENTS]   run the benchmarks against peers, with the runner's own arguments
  plot                draw the plot of docs/performance.md from its table
  help                print this text
";

/// A command of the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Everything that must pass.
    Verify,
    /// Automatic repairs.
    Fix,
    /// The loom models.
    Models,
    /// The simulator's fixed seeds.
    Seeds,
    /// Every fuzz target.
    Fuzz {
        /// Time for each.
        seconds: u32,
    },
    /// The soak of both engines.
    Soak {
        /// Time for both.
        seconds: u32,
    },
    /// The benchmarks.
    Bench {
        /// Arguments for the benchmarks' own program.
        arguments: Vec<String>,
    },
    /// The plot of the recorded measurements.
    Plot,
    /// The list of commands.
    Help,
}

impl Command {
    /// Reads the program's arguments.
    ///
    /// # Errors
    /// If they name no command, or more than the command takes.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let usage = |error: &str| Failure::new(error).with_hint("cargo xtask help");
        let Some((name, rest)) = arguments.split_first() else {
            return Err(usage("no command"));
        };
        let command = match name.as_str() {
            "verify" => Self::Verify,
            "fix" => Self::Fix,
            "models" => Self::Models,
            "seeds" => Self::Seeds,
            "fuzz" => {
                let seconds = seconds("fuzz", rest, FUZZ_SECONDS)?;
                return Ok(Self::Fuzz { seconds });
            }
            "soak" => {
                let seconds = seconds("soak", rest, SOAK_SECONDS)?;
                return Ok(Self::Soak { seconds });
            }
            "bench" => {
                return Ok(Self::Bench {
                    arguments: rest.to_vec(),
                });
            }
            "plot" => Self::Plot,
            "help" | "--help" | "-h" => Self::Help,
            other => return Err(usage(&format!("unknown command {other:?}"))),
        };
        match rest.first() {
            None => Ok(command),
            Some(extra) => Err(usage(&format!("{name} takes no argument, got {extra:?}"))),
        }
    }
}

/// Reads the one argument of a command that runs for a time.
fn seconds(command: &str, rest: &[String], default: u32) -> Result<u32, Failure> {
    let seconds = match rest {
        [] => Some(default),
        [seconds] => seconds.parse().ok().filter(|&seconds| seconds > 0),
        _ => None,
    };
    let error = format!("{command} takes one argument, a number of seconds above 0");
    let hint = format!("cargo xtask {command} {default}");
    seconds.ok_or_else(|| Failure::new(&error).with_hint(&hint))
}

/// Everything that must pass. The first steps fail fastest.
pub(crate) fn verify() -> Vec<Step> {
    let mut steps = vec![
        Step::cargo("fmt --all --check"),
        Step::cargo("clippy --workspace --all-targets -- -D warnings"),
        // The parts that only fuzz/ calls.
        Step::cargo("clippy -p lowtide-persistence --features fuzzing -- -D warnings"),
        Step::cargo("clippy -p dcp-sim --features fuzzing -- -D warnings"),
        // The wire, the producer, the consumer and the node alone, without the command line's crates.
        Step::cargo("clippy -p dcp-sim --lib --no-default-features -- -D warnings"),
        Step::cargo("doc --workspace --no-deps").with_variable("RUSTDOCFLAGS", "-D warnings"),
        // README's own first command.
        simulation("--git ."),
    ];
    steps.extend(seeds());
    steps.extend(models());
    steps.push(Step::cargo("test --workspace"));
    steps
}

/// Fixed seeds in which things go wrong, of drawn clusters and of the usual one: about a minute of one core.
pub(crate) fn seeds() -> Vec<Step> {
    vec![
        simulation("--profile swarm --seeds 600"),
        simulation("--workload zipfian --profile hostile --engine couchstore --seeds 20"),
        simulation("--workload zipfian --profile hostile --engine logstor --seeds 20"),
    ]
}

/// The loom models. A target directory of their own keeps the other builds warm.
pub(crate) fn models() -> Vec<Step> {
    let models = Step::cargo("test -p lowtide-loom-tests --release")
        .with_variable("RUSTFLAGS", "--cfg checkpoint_loom")
        .with_variable("CARGO_TARGET_DIR", "target/loom");
    vec![models]
}

/// Automatic repairs. rustfmt comes last, since clippy's suggestions are not formatted.
pub(crate) fn fix() -> Vec<Step> {
    vec![
        Step::cargo("clippy --workspace --all-targets --fix --allow-dirty --allow-staged"),
        Step::cargo("fmt --all"),
    ]
}

/// The soak, of checked builds: a violated invariant ends it at once.
pub(crate) fn soak(seconds: u32) -> Vec<Step> {
    let each = seconds.div_ceil(2);
    let soak = |engine| {
        let program = "run -p lowtide-tests --bin store-soak";
        Step::cargo(&format!("{program} -- --engine {engine} --seconds {each}"))
    };
    ["logstor", "couchstore"].map(soak).into()
}

/// The benchmarks against peers, which are a workspace of their own.
pub(crate) fn bench(arguments: &[String]) -> Vec<Step> {
    let bench = Step::cargo("run --release --manifest-path bench/Cargo.toml --");
    vec![bench.with_arguments(arguments)]
}

fn simulation(arguments: &str) -> Step {
    Step::cargo(&format!("run --release --bin dcp-sim -- run {arguments}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, Failure> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Command::parse(&words)
    }

    fn lines(steps: &[Step]) -> Vec<String> {
        steps.iter().map(Step::line).collect()
    }

    #[test]
    fn every_command_of_the_help_is_parsed() {
        let names: Vec<_> = HELP
            .lines()
            .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
            .collect();
        assert_eq!(
            names,
            [
                "verify", "fix", "models", "seeds", "fuzz", "soak", "bench", "plot", "help"
            ]
        );
        for name in names {
            assert!(parse(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn unknown_or_surplus_arguments_are_refused() {
        for line in [
            "",
            "verfiy",
            "verify now",
            "fuzz 0",
            "fuzz x",
            "fuzz 1 2",
            "soak 0",
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
        assert_eq!(parse("fuzz"), Ok(Command::Fuzz { seconds: 60 }));
        assert_eq!(parse("fuzz 5"), Ok(Command::Fuzz { seconds: 5 }));
    }

    #[test]
    fn soak_gives_each_engine_half_of_its_time() {
        let program = "cargo run -p lowtide-tests --bin store-soak --";
        assert_eq!(parse("soak"), Ok(Command::Soak { seconds: 600 }));
        assert_eq!(
            lines(&soak(9)),
            [
                format!("{program} --engine logstor --seconds 5"),
                format!("{program} --engine couchstore --seconds 5"),
            ]
        );
    }

    #[test]
    fn bench_hands_its_arguments_on() {
        let Ok(Command::Bench { arguments }) = parse("bench queue --items 5") else {
            panic!("a command");
        };
        assert_eq!(
            lines(&bench(&arguments)),
            ["cargo run --release --manifest-path bench/Cargo.toml -- queue --items 5"]
        );
    }

    #[test]
    fn verify_runs_its_steps_in_this_order() {
        let seeds = "cargo run --release --bin dcp-sim -- run";
        assert_eq!(
            lines(&verify()),
            [
                "cargo fmt --all --check",
                "cargo clippy --workspace --all-targets -- -D warnings",
                "cargo clippy -p lowtide-persistence --features fuzzing -- -D warnings",
                "cargo clippy -p dcp-sim --features fuzzing -- -D warnings",
                "cargo clippy -p dcp-sim --lib --no-default-features -- -D warnings",
                "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps",
                &format!("{seeds} --git ."),
                &format!("{seeds} --profile swarm --seeds 600"),
                &format!(
                    "{seeds} --workload zipfian --profile hostile --engine couchstore --seeds 20"
                ),
                &format!(
                    "{seeds} --workload zipfian --profile hostile --engine logstor --seeds 20"
                ),
                "RUSTFLAGS='--cfg checkpoint_loom' CARGO_TARGET_DIR=target/loom \
                 cargo test -p lowtide-loom-tests --release",
                "cargo test --workspace",
            ]
        );
    }

    #[test]
    fn verify_contains_seeds_and_models() {
        let verify = verify();
        for step in seeds().iter().chain(&models()) {
            assert!(verify.contains(step), "{}", step.line());
        }
    }
}
