//! The arguments that say what goes wrong in a run, and for how long.

use std::collections::BTreeSet;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::sim::{FaultConfig, FaultKind, Profile};

/// How long faults strike unless somebody says otherwise.
const DURATION_MICROS_DEFAULT: u64 = 5_000_000;

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct FaultArguments {
    /// What goes wrong: kinds with commas between them, `all` or `none`. See docs/simulation.md.
    #[arg(
        long,
        value_name = "LIST",
        help_heading = "Faults",
        conflicts_with = "data"
    )]
    pub(in crate::cli) faults: Option<FaultList>,
    /// How much goes wrong [default: stormy, if --faults is given].
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Faults",
        conflicts_with = "data"
    )]
    pub(in crate::cli) profile: Option<ProfileName>,
    /// Virtual time in which things go wrong, as 500ms, 10s or 2m; then everything must settle [default: 5s].
    #[arg(
        long,
        value_name = "TIME",
        help_heading = "Faults",
        conflicts_with = "data"
    )]
    pub(in crate::cli) duration: Option<VirtualTime>,
    /// Foreign DCP clients that follow vBuckets while things go wrong [default: drawn from the seed, 1 to 3].
    #[arg(long, value_name = "N", help_heading = "Faults", value_parser = clients)]
    pub(in crate::cli) clients: Option<usize>,
}

/// Most foreign clients that make sense.
const CLIENTS_MAX: usize = 100;

fn clients(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|&count| count <= CLIENTS_MAX);
    count.ok_or_else(|| format!("a number from 0 to {CLIENTS_MAX}"))
}

/// Which faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct FaultList(pub(in crate::cli) BTreeSet<FaultKind>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ProfileName {
    /// Nothing goes wrong, but everything is checked as if it did.
    Calm,
    /// Now and then something.
    Stormy,
    /// All the time, several things at once.
    Hostile,
    /// Each seed draws its whole cluster: nodes, stores, writes, limits, and which faults there are.
    Swarm,
}

/// Microseconds of virtual time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct VirtualTime(pub(in crate::cli) u64);

impl FaultArguments {
    /// What goes wrong; `None` if nobody asked for a run with faults.
    pub(in crate::cli) fn config(&self) -> Result<Option<FaultConfig>, Failure> {
        if !self.is_given() {
            if self.duration.is_some() {
                let failure = Failure::new(
                    Exit::Usage,
                    &"--duration is for runs in which things go wrong",
                );
                return Err(failure.with_hint("add --faults LIST or --profile NAME".to_owned()));
            }
            if self.clients.is_some() {
                let failure = Failure::new(
                    Exit::Usage,
                    &"--clients is for runs in which things go wrong",
                );
                return Err(failure.with_hint("add --faults LIST or --profile NAME".to_owned()));
            }
            return Ok(None);
        }
        let profile = match self.profile {
            Some(ProfileName::Calm) => Profile::Calm,
            Some(ProfileName::Hostile) => Profile::Hostile,
            // Swarm draws its faults itself.
            Some(ProfileName::Stormy | ProfileName::Swarm) | None => Profile::Stormy,
        };
        let all = || FaultKind::ALL.into_iter().collect();
        let kinds = match profile {
            Profile::Calm => BTreeSet::new(),
            Profile::Stormy | Profile::Hostile => {
                self.faults.as_ref().map_or_else(all, |list| list.0.clone())
            }
        };
        Ok(Some(FaultConfig {
            kinds,
            interval_micros: profile.interval_micros(),
            duration_micros: self.duration_micros(),
            ..FaultConfig::default()
        }))
    }

    /// Whether anything was asked for.
    pub(in crate::cli) fn is_given(&self) -> bool {
        self.faults.is_some() || self.profile.is_some()
    }

    /// What may go wrong.
    pub(in crate::cli) fn kinds(&self) -> BTreeSet<FaultKind> {
        self.config()
            .ok()
            .flatten()
            .map(|config| config.kinds)
            .unwrap_or_default()
    }

    /// For how long.
    pub(in crate::cli) fn duration_micros(&self) -> u64 {
        self.duration.map_or(DURATION_MICROS_DEFAULT, |time| time.0)
    }

    /// The same arguments as somebody would type them.
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

/// Kinds as `--faults` takes them.
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
                .ok_or_else(|| format!("no such fault; there are {}", names.join(", ")))
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
            _ => return Err("a number and ms, s or m".to_owned()),
        };
        let number: u64 = number
            .parse()
            .map_err(|_| "a number and ms, s or m".to_owned())?;
        let time = number
            .checked_mul(micros)
            .filter(|&micros| micros > 0 && micros < 1 << 50);
        time.map(Self)
            .ok_or_else(|| "more than nothing and less than 30 years".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
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
    fn lists_are_read_as_they_are_written() {
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
