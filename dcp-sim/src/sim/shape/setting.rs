//! Settings of dimensions as text: `nodes=3`, `crash=200ms`, `quota-bytes=64K`.
//!
//! A formatted setting parses to the same value.

use std::str::FromStr;

use super::dimension::{Dimension, ROWS, Row, Unit};
use crate::sim::config::FaultKind;

/// Dimension with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The dimension.
    pub dimension: Dimension,
    /// Value within the dimension's bounds.
    pub value: u64,
}

const TIMES: [(&str, u64); 5] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
];
const SIZES: [(&str, u64); 4] = [("", 1), ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)];
/// Bounds of the mean time between two faults of a kind.
const INTERVAL_BOUNDS: [u64; 2] = [1_000, 1 << 50];

impl Dimension {
    /// Returns every dimension, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        let faults = FaultKind::ALL.into_iter().map(Self::Fault);
        (0..ROWS.len()).map(Self::Row).chain(faults)
    }

    /// Returns the name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Row(_) => self.row().map_or("", |row| row.name),
            Self::Fault(kind) => kind.name(),
        }
    }

    /// Returns `true` for the frequency of a kind of fault.
    #[must_use]
    pub fn is_fault(self) -> bool {
        matches!(self, Self::Fault(_))
    }

    pub(super) fn row(self) -> Option<&'static Row> {
        match self {
            Self::Row(place) => ROWS.get(place),
            Self::Fault(_) => None,
        }
    }

    /// Returns the word of a value, if values are words.
    pub(super) fn word(self, value: u64) -> Option<&'static str> {
        let Some(Unit::Word(words)) = self.row().map(|row| row.unit) else {
            return None;
        };
        words.get(usize::try_from(value).ok()?).copied()
    }

    /// Returns `true` for a value within the dimension's bounds.
    pub(super) fn accepts(self, value: u64) -> bool {
        let [least, most] = match self {
            Self::Fault(_) if value == 0 => return true,
            Self::Fault(_) => INTERVAL_BOUNDS,
            Self::Row(_) => match self.row() {
                Some(row) => [row.least, row.most],
                None => return false,
            },
        };
        (least..=most).contains(&value)
    }

    /// Returns the value in the form of a setting.
    #[must_use]
    pub fn text(self, value: u64) -> String {
        match (self, self.row().map(|row| row.unit)) {
            (Self::Fault(_), _) if value == 0 => "off".to_owned(),
            (Self::Fault(_), _) | (_, Some(Unit::Time)) => format!("{value}us"),
            _ => self
                .word(value)
                .map_or_else(|| value.to_string(), str::to_owned),
        }
    }

    /// Parses a value.
    ///
    /// # Errors
    /// A description of the accepted values.
    pub fn value(self, text: &str) -> Result<u64, String> {
        let refuse =
            |expected: String| format!("{}: expected {expected}, not {text:?}", self.name());
        let (unit, [least, most]) = match self.row() {
            Some(row) => (row.unit, [row.least, row.most]),
            None if text == "off" => return Ok(0),
            None => (Unit::Time, INTERVAL_BOUNDS),
        };
        let number = match unit {
            Unit::Word(words) => {
                let place = words.iter().position(|word| *word == text);
                return place
                    .map(|place| place as u64)
                    .ok_or_else(|| refuse(words.join(", ")));
            }
            Unit::Count => text.parse().ok(),
            Unit::Bytes => scaled(text, &SIZES),
            Unit::Time if text == "0" => Some(0),
            Unit::Time => scaled(text, &TIMES),
        };
        let expected = || {
            let off = if self.row().is_none() { "off, or " } else { "" };
            let (kind, [least, most]) = match unit {
                Unit::Count | Unit::Word(_) => {
                    ("a number", [least, most].map(|value| value.to_string()))
                }
                Unit::Bytes => (
                    "a size such as 300 or 64K",
                    [least, most].map(|value| value.to_string()),
                ),
                Unit::Time => (
                    "a time such as 200ms",
                    [least, most].map(|value| format!("{value}us")),
                ),
            };
            refuse(format!("{off}{kind} from {least} to {most}"))
        };
        number
            .filter(|value| (least..=most).contains(value))
            .ok_or_else(expected)
    }
}

/// Parses a number with a unit.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, value)) = text.split_once('=') else {
            return Err(format!("expected NAME=VALUE, not {text:?}"));
        };
        let dimension = Dimension::all()
            .find(|dimension| dimension.name() == name)
            .ok_or_else(|| {
                let names: Vec<_> = Dimension::all().map(Dimension::name).collect();
                format!("no dimension {name:?}; there are {}", names.join(", "))
            })?;
        Ok(Self {
            dimension,
            value: dimension.value(value)?,
        })
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}={}",
            self.dimension.name(),
            self.dimension.text(self.value)
        )
    }
}
