//! Arguments for the faults of a run: their kinds, intensity and duration.

use std::collections::BTreeSet;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::sim::{FaultConfig, FaultKind, Profile};

/// Default duration of the safety phase.
const DURATION_MICROS_DEFAULT: u64 = 5_000_000;

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct FaultArguments {
    /// Kinds of faults, separated by commas, `all` or `none`: delay, disconnect, partition,
    /// slow-consumer, stalled-acks, crash, power-loss, disk-error, disk-full, slow-disk, fail-over,
    /// move, compaction, memory.
    #[arg(
        long,
        value_name = "LIST",
        help_heading = "Faults",
        conflicts_with = "data"
    )]
    pub(in crate::cli) faults: Option<FaultList>,
    /// Intensity of faults [default: stormy, if --faults is given].
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Faults",
        conflicts_with = "data"
    )]
    pub(in crate::cli) profile: Option<ProfileName>,
    /// Virtual time in which faults strike, like 500ms, 10s or 2m; then everything must settle
    /// [default: 5s].
    #[arg(
        long,
        value_name = "TIME",
        help_heading = "Faults",
        conflicts_with = "data"
    )]
    pub(in crate::cli) duration: Option<VirtualTime>,
    /// Number of foreign DCP clients that follow vBuckets during the faults [default: drawn from
    /// the seed, 1 to 3].
    #[arg(long, value_name = "N", help_heading = "Faults", value_parser = clients)]
    pub(in crate::cli) clients: Option<usize>,
}

/// Largest number of foreign clients.
const CLIENTS_MAX: usize = 100;

fn clients(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|&count| count <= CLIENTS_MAX);
    count.ok_or_else(|| format!("expected a number from 0 to {CLIENTS_MAX}"))
}

/// Kinds of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct FaultList(pub(in crate::cli) BTreeSet<FaultKind>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ProfileName {
    /// No faults, but all checks of a run with faults.
    Calm,
    /// Occasional faults.
    Stormy,
    /// Constant faults, several at once.
    Hostile,
    /// Each seed draws its whole cluster: nodes, stores, writes, limits and faults.
    Swarm,
}

/// Microseconds of virtual time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct VirtualTime(pub(in crate::cli) u64);

impl FaultArguments {
    /// Returns the configuration of the faults, or `None` for a run without any.
    pub(in crate::cli) fn config(&self) -> Result<Option<FaultConfig>, Failure> {
        if !self.is_given() {
            if self.duration.is_some() {
                let failure = Failure::new(
                    Exit::Usage,
                    &"--duration is only valid for runs with faults",
                );
                return Err(failure.with_hint("add --faults LIST or --profile NAME".to_owned()));
            }
            if self.clients.is_some() {
                let failure =
                    Failure::new(Exit::Usage, &"--clients is only valid for runs with faults");
                return Err(failure.with_hint("add --faults LIST or --profile NAME".to_owned()));
            }
            return Ok(None);
        }
        Ok(Some(FaultConfig {
            kinds: self.kinds(),
            interval_micros: self.intensity().interval_micros(),
            duration_micros: self.duration_micros(),
            ..FaultConfig::default()
        }))
    }

    /// Returns `true` if faults were requested.
    pub(in crate::cli) fn is_given(&self) -> bool {
        self.faults.is_some() || self.profile.is_some()
    }

    /// Returns the kinds of faults; none for a run without faults.
    pub(in crate::cli) fn kinds(&self) -> BTreeSet<FaultKind> {
        if !self.is_given() || self.intensity() == Profile::Calm {
            return BTreeSet::new();
        }
        match &self.faults {
            Some(FaultList(kinds)) => kinds.clone(),
            None => FaultKind::ALL.into_iter().collect(),
        }
    }

    fn intensity(&self) -> Profile {
        match self.profile {
            Some(ProfileName::Calm) => Profile::Calm,
            Some(ProfileName::Hostile) => Profile::Hostile,
            // Swarm draws its faults itself.
            Some(ProfileName::Stormy | ProfileName::Swarm) | None => Profile::Stormy,
        }
    }

    /// Returns the duration of the safety phase.
    pub(in crate::cli) fn duration_micros(&self) -> u64 {
        self.duration.map_or(DURATION_MICROS_DEFAULT, |time| time.0)
    }

    /// Returns these arguments as words of a command line.
    pub(in crate::cli) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(FaultList(kinds)) = &self.faults {
            words.extend(["--faults".to_owned(), list(kinds)]);
        }
        if let Some(profile) = self.profile.and_then(|profile| profile.to_possible_value()) {
            words.extend(["--profile".to_owned(), profile.get_name().to_owned()]);
        }
        if let Some(VirtualTime(micros)) = self.duration {
            words.extend(["--duration".to_owned(), format!("{micros}us")]);
        }
        if let Some(clients) = self.clients {
            words.extend(["--clients".to_owned(), clients.to_string()]);
        }
        words
    }
}

/// Formats kinds for `--faults`.
fn list(kinds: &BTreeSet<FaultKind>) -> String {
    match kinds.len() {
        0 => "none".to_owned(),
        all if all == FaultKind::ALL.len() => "all".to_owned(),
        _ => kinds
            .iter()
            .map(|kind| kind.name())
            .collect::<Vec<_>>()
            .join(","),
    }
}

impl FromStr for FaultList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => return Ok(Self(FaultKind::ALL.into_iter().collect())),
            "none" => return Ok(Self(BTreeSet::new())),
            _ => {}
        }
        let kind = |name: &str| {
            let names: Vec<_> = FaultKind::ALL.into_iter().map(FaultKind::name).collect();
            FaultKind::from_name(name)
                .ok_or_else(|| format!("unknown fault; the kinds are {}", names.join(", ")))
        };
        text.split(',')
            .map(kind)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl FromStr for VirtualTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let micros = match unit {
            "us" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            _ => return Err("expected a number with ms, s or m".to_owned()),
        };
        let number: u64 = number
            .parse()
            .map_err(|_| "expected a number with ms, s or m".to_owned())?;
        let time = number
            .checked_mul(micros)
            .filter(|&micros| micros > 0 && micros < 1 << 50);
        time.map(Self)
            .ok_or_else(|| "expected a time above zero and below 35 years".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_times_are_parsed_with_units() {
        for (text, micros) in [
            ("500ms", Some(500_000)),
            ("10s", Some(10_000_000)),
            ("2m", Some(120_000_000)),
        ] {
            assert_eq!(text.parse().ok().map(|VirtualTime(micros)| micros), micros);
        }
        for text in [
            "",
            "5",
            "0s",
            "ms",
            "-1s",
            "99999999999999999999s",
            "9999999999999m",
        ] {
            assert!(text.parse::<VirtualTime>().is_err(), "{text}");
        }
    }

    #[test]
    fn help_names_every_kind_of_fault() {
        use clap::{CommandFactory, Parser};

        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            _faults: FaultArguments,
        }

        let command = Line::command();
        let option = command
            .get_arguments()
            .find(|option| option.get_id() == "faults");
        let help = option
            .and_then(clap::Arg::get_help)
            .expect("a help")
            .to_string();
        for kind in FaultKind::ALL {
            assert!(help.contains(kind.name()), "{kind:?} is not in: {help}");
        }
    }

    #[test]
    fn formatted_fault_list_parses_to_itself() {
        for text in ["all", "none", "crash", "delay,crash"] {
            assert_eq!(
                text.parse::<FaultList>()
                    .map(|FaultList(kinds)| list(&kinds)),
                Ok(text.to_owned())
            );
        }
        assert!(
            "crash,flood"
                .parse::<FaultList>()
                .expect_err("unknown")
                .contains("power-loss")
        );
    }
}
