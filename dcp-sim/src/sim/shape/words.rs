//! Description of a shape in words.

use std::fmt::Write;

use lowtide_checkpoint::internal::Invariant;

use super::dimension as d;
use super::dimension::{Dimension, Unit};
use super::draw::Shape;
use super::meaning::LATEST;
use super::setting::Setting;

impl Shape {
    /// Returns a short description of the cluster.
    #[must_use]
    pub fn brief(&self) -> String {
        let of = |dimension: Dimension| self.get(dimension);
        format!(
            "{}, {}, {}, {}",
            things(of(Dimension::NODES), "node", "nodes"),
            things(of(Dimension::REPLICAS), "replica", "replicas"),
            things(of(Dimension::VBUCKETS), "vBucket", "vBuckets"),
            Dimension::ENGINE.text(of(Dimension::ENGINE)),
        )
    }

    /// Returns one line: the cluster, its writes, its faults, and every limit with an unusual
    /// value.
    #[must_use]
    pub fn describe(&self) -> String {
        let of = |dimension: Dimension| self.get(dimension);
        let mut text = self.brief();
        // Writing to a string never fails.
        if !self.has_source {
            let _ = write!(text, "; {}", self.writes());
        }
        let _ = write!(text, "; {}", time(of(Dimension::DURATION)));
        let faults: Vec<_> = self
            .faults()
            .map(|kind| format!("{} every {}", kind.name(), time(of(Dimension::Fault(kind)))))
            .collect();
        let faults = if faults.is_empty() {
            "no faults".to_owned()
        } else {
            faults.join(", ")
        };
        let _ = write!(text, "; {faults}");
        let limits: Vec<_> = self
            .limits()
            .map(|dimension| self.short(dimension))
            .collect();
        if !limits.is_empty() {
            let _ = write!(text, "; {}", limits.join(", "));
        }
        text
    }

    /// Returns the settings that fix this whole shape.
    pub fn settings(&self) -> impl Iterator<Item = Setting> {
        self.meaningful().map(|dimension| Setting {
            dimension,
            value: self.get(dimension),
        })
    }

    fn writes(&self) -> String {
        let of = |dimension: Dimension| self.get(dimension);
        let workload = of(Dimension::WORKLOAD);
        let mut text = format!(
            "{} ({}",
            things(of(Dimension::OPS), "write", "writes"),
            Dimension::WORKLOAD.text(workload)
        );
        if self
            .meaningful()
            .any(|dimension| dimension == Dimension::KEYS)
        {
            let _ = write!(text, ", {}", things(of(Dimension::KEYS), "key", "keys"));
        }
        if workload <= LATEST {
            let from = if of(Dimension::VALUE_SPREAD) == 0 {
                ""
            } else {
                "up to "
            };
            let _ = write!(
                text,
                " of up to {}, values of {from}{}, {} in 1,000 deletes",
                size(of(d::KEY_BYTES)),
                size(of(Dimension::VALUE_BYTES)),
                of(d::DELETES)
            );
            if workload > 0 {
                let skew = of(d::SKEW);
                let _ = write!(text, ", skew {}.{:02}", skew / 100, skew % 100);
            }
            if of(d::LARGE_VALUES) > 0 {
                let large = (of(d::LARGE_VALUES), size(of(d::LARGE_BYTES)));
                let _ = write!(text, ", about {} of up to {}", large.0, large.1);
            }
        }
        text.push(')');
        text
    }

    /// Returns the limits with unusual values.
    fn limits(&self) -> impl Iterator<Item = Dimension> {
        let first = Dimension::all()
            .position(|dimension| dimension == d::READS)
            .expected("W8", "the number of reads is a dimension")
            // More limits are described, not fewer.
            .unwrap_or(0);
        let after = Dimension::all().skip(first + 1);
        after.filter(|&dimension| {
            let usual = dimension.row().map(|row| row.simplest);
            usual.is_some_and(|usual| usual != self.get(dimension))
                && self.meaningful().any(|meaningful| meaningful == dimension)
        })
    }

    fn short(&self, dimension: Dimension) -> String {
        let value = self.get(dimension);
        let text = match dimension.row().map(|row| row.unit) {
            Some(Unit::Bytes) => size(value),
            Some(Unit::Time) => time(value),
            _ => dimension.text(value),
        };
        format!("{} {text}", dimension.name().trim_end_matches("-bytes"))
    }
}

fn things(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Formats a time in a suitable unit.
fn time(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
