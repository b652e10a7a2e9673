//! The program of the soak: `store-soak --engine logstor --seed 7 --seconds 300`.
//!
//! It is its own child: with `child` as its first argument it opens the store and writes until it is
//! killed. The exit code is 0 if everything held, 1 after a violation, and 2 for wrong arguments.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use support::soak::{self, Engine, Length, Soak};

const USAGE: &str = "\
usage: store-soak --engine logstor|couchstore [--seed NUMBER] [--seconds NUMBER | --rounds NUMBER]";

/// The arguments of a parent.
struct Arguments {
    engine: Engine,
    seed: u64,
    length: Length,
}

fn parse(arguments: &[String]) -> Result<Arguments, String> {
    let (mut engine, mut seed, mut length) = (None, None, Length::Seconds(300));
    for pair in arguments.chunks(2) {
        let [name, value] = pair else {
            return Err(format!("{} needs a value", pair.concat()));
        };
        let number = || {
            let number = value.parse::<u64>();
            number.map_err(|_| format!("{name} takes a number, got {value:?}"))
        };
        match name.as_str() {
            "--engine" => engine = Some(value.parse()?),
            "--seed" => seed = Some(number()?),
            "--seconds" => length = Length::Seconds(number()?),
            "--rounds" => length = Length::Rounds(number()?),
            _ => return Err(format!("unknown argument {name:?}")),
        }
    }
    Ok(Arguments {
        engine: engine.ok_or("no engine")?,
        seed: seed.unwrap_or_else(seed_of_now),
        length,
    })
}

/// Returns another seed each time.
fn seed_of_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(1, |since| u64::from(since.subsec_nanos()) ^ since.as_secs())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("child", rest)) = arguments
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    {
        soak::serve(rest);
        return ExitCode::SUCCESS;
    }
    match parse(&arguments) {
        Ok(arguments) => run(arguments),
        Err(error) => {
            eprintln!("error: {error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Arguments) -> ExitCode {
    let Arguments {
        engine,
        seed,
        length,
    } = arguments;
    let length_argument = match length {
        Length::Rounds(rounds) => format!("--rounds {rounds}"),
        Length::Seconds(seconds) => format!("--seconds {seconds}"),
    };
    println!(
        "to repeat: cargo run -p lowtide-tests --bin store-soak -- --engine {engine} --seed {seed} \
         {length_argument}"
    );
    let home = tempfile::tempdir().expect("a temporary directory");
    let soak = Soak {
        program: std::env::current_exe().expect("a running program has a path"),
        dir: home.path().to_owned(),
        engine,
        seed,
        length,
    };
    match soak.run() {
        Ok(counts) => {
            print!("{counts}");
            println!("{engine}: everything held");
            ExitCode::SUCCESS
        }
        Err(violation) => {
            let dir = home.keep();
            eprintln!("violation: {engine}, seed {seed}: {violation}");
            eprintln!("the store is in {}", dir.display());
            ExitCode::FAILURE
        }
    }
}
