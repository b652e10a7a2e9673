//! Value of `--shape`: settings of dimensions, separated by commas.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::sim::{Dimension, Setting};

/// Settings, one per dimension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct ShapeList(pub(in crate::cli) BTreeMap<Dimension, u64>);

impl FromStr for ShapeList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut settings = BTreeMap::new();
        for setting in text.split(',') {
            let Setting { dimension, value } = setting.trim().parse()?;
            if settings.insert(dimension, value).is_some() {
                return Err(format!("{} is given twice", dimension.name()));
            }
        }
        Ok(Self(settings))
    }
}

impl fmt::Display for ShapeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self
            .0
            .iter()
            .map(|(&dimension, &value)| Setting { dimension, value }.to_string());
        write!(f, "{}", settings.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatted_shape_list_parses_to_itself() {
        let text = "nodes=3,engine=logstor,duration=2500us,quota-bytes=65536,crash=200000us,power-loss=off";
        let list: ShapeList = text.parse().expect("settings");
        assert_eq!(list.to_string(), text);
        assert_eq!(
            "nodes=3, quota-bytes=64K,crash=200ms"
                .parse::<ShapeList>()
                .map(|list| list.to_string()),
            Ok("nodes=3,quota-bytes=65536,crash=200000us".to_owned())
        );
    }

    #[test]
    fn invalid_shape_list_is_refused_with_its_defect() {
        for (text, said) in [
            ("nodes", "expected NAME=VALUE, not \"nodes\""),
            ("node=3", "no dimension \"node\"; there are nodes, replicas"),
            (
                "nodes=0",
                "nodes: expected a number from 1 to 100, not \"0\"",
            ),
            ("nodes=3,nodes=4", "nodes is given twice"),
            (
                "engine=rocksdb",
                "engine: expected couchstore, logstor, not \"rocksdb\"",
            ),
            (
                "crash=5",
                "crash: expected off, or a time such as 200ms from 1000us",
            ),
            (
                "quota-bytes=64KB",
                "quota-bytes: expected a size such as 300 or 64K",
            ),
            ("", "expected NAME=VALUE, not \"\""),
        ] {
            let error = text.parse::<ShapeList>().expect_err(text);
            assert!(error.starts_with(said), "{text}: {error}");
        }
    }
}
