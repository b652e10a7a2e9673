//! Words of a line: positional arguments, `name=value` options, and flags.
//!
//! A word is an option if a lower-case name precedes its first `=` (`items=3`). Any other word is
//! positional, also `#x`, `==` or `{"a":"b=c"}`.
//!
//! # Invariants
//!
//! - A caller takes every argument that it knows, then calls [`Arguments::finish`], which refuses
//!   all others. So a misspelt option is an error.

use std::fmt::Display;
use std::str::FromStr;

/// Words of one line that were not taken yet.
#[derive(Debug)]
pub(in crate::script) struct Arguments<'a> {
    positional: Vec<&'a str>,
    options: Vec<(&'a str, &'a str)>,
}

impl<'a> Arguments<'a> {
    pub(in crate::script) fn new(line: &'a str) -> Result<Self, String> {
        let mut arguments = Self {
            positional: Vec::new(),
            options: Vec::new(),
        };
        for word in line.split_whitespace() {
            match word
                .split_once('=')
                .filter(|(name, _)| is_option_name(name))
            {
                None => arguments.positional.push(word),
                Some((name, _)) if arguments.options.iter().any(|(other, _)| *other == name) => {
                    return Err(format!("`{name}=` is given twice"));
                }
                Some(option) => arguments.options.push(option),
            }
        }
        Ok(arguments)
    }

    /// Takes the next positional argument, called `what` in messages.
    pub(in crate::script) fn required(&mut self, what: &str) -> Result<&'a str, String> {
        self.positional()
            .ok_or_else(|| format!("{what} is missing"))
    }

    /// Takes the next positional argument. Flags must be taken before, since one in this place is
    /// taken for it.
    pub(in crate::script) fn positional(&mut self) -> Option<&'a str> {
        (!self.positional.is_empty()).then(|| self.positional.remove(0))
    }

    /// Takes the next positional argument as a number.
    pub(in crate::script) fn required_number<T: FromStr>(
        &mut self,
        what: &str,
    ) -> Result<T, String> {
        let word = self.required(what)?;
        word.parse()
            .map_err(|_| format!("expected a number for {what}, not `{word}`"))
    }

    /// Takes the flag `name`, anywhere after the positional arguments taken so far. Returns `true`
    /// if it is present.
    pub(in crate::script) fn flag(&mut self, name: &str) -> bool {
        let found = self.positional.iter().position(|word| *word == name);
        found.map(|index| self.positional.remove(index)).is_some()
    }

    /// Takes the text of the option `name`.
    pub(in crate::script) fn option(&mut self, name: &str) -> Option<&'a str> {
        let found = self.options.iter().position(|(other, _)| *other == name);
        found.map(|index| self.options.remove(index).1)
    }

    /// Takes the option `name` as a number.
    pub(in crate::script) fn number<T: FromStr>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, String> {
        let Some(text) = self.option(name) else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_| format!("`{name}=` takes a number, not `{text}`"))
    }

    /// Takes the required option `name` as a number.
    pub(in crate::script) fn needed<T: FromStr>(&mut self, name: &str) -> Result<T, String> {
        self.number(name)?
            .ok_or_else(|| format!("`{name}=` is missing"))
    }

    /// Takes the option `name` as a number of at least 1.
    pub(in crate::script) fn positive<T: FromStr + Default + PartialEq>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, String> {
        match self.number(name)? {
            Some(number) if number == T::default() => Err(format!("`{name}=` must be at least 1")),
            number => Ok(number),
        }
    }

    /// Takes the option `name`, one of a few words, and returns the word's meaning.
    pub(in crate::script) fn choice<T: Copy>(
        &mut self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, String> {
        let Some(text) = self.option(name) else {
            return Ok(None);
        };
        one_of(format!("`{name}=`"), text, choices).map(Some)
    }

    /// Refuses arguments that were not taken.
    pub(in crate::script) fn finish(self) -> Result<(), String> {
        match (self.options.first(), self.positional.first()) {
            (Some((name, _)), _) => Err(format!("the command has no option `{name}=`")),
            (None, Some(word)) => Err(format!("unexpected word `{word}`")),
            (None, None) => Ok(()),
        }
    }
}

/// Parses a number, decimal or with `0x`.
pub(in crate::script) fn number(what: &str, text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    // The parser would accept a sign.
    parsed
        .ok()
        .filter(|_| !text.contains('+'))
        .ok_or_else(|| format!("expected a number for {what}, not `{text}`"))
}

/// Returns the meaning of `text` among a few words.
pub(in crate::script) fn one_of<T: Copy>(
    what: impl Display,
    text: &str,
    choices: &[(&str, T)],
) -> Result<T, String> {
    let found = choices.iter().find(|(word, _)| *word == text);
    found.map(|&(_, meaning)| meaning).ok_or_else(|| {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        format!(
            "expected one of {} for {what}, not `{text}`",
            words.join(", ")
        )
    })
}

fn is_option_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_flags_and_options_are_taken_in_any_order() {
        let mut arguments = Arguments::new("items=3 name extend 7 x==").unwrap();
        assert_eq!(arguments.required("NAME"), Ok("name"));
        assert!(arguments.flag("extend") && !arguments.flag("extend"));
        assert_eq!(arguments.required_number("START"), Ok(7));
        assert_eq!(arguments.number("items"), Ok(Some(3)));
        assert_eq!(arguments.number::<u64>("bytes"), Ok(None));
        assert_eq!(arguments.positional(), None);
        assert_eq!(arguments.option("x"), Some("="));
        assert_eq!(arguments.finish(), Ok(()));
    }

    #[test]
    fn option_name_must_be_lower_case() {
        let mut arguments = Arguments::new(r#"=a K=1 {"a":"b=c"} a1=2"#).unwrap();
        assert_eq!(arguments.positional.len(), 4);
        assert_eq!(arguments.option("a1"), None);
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        assert_eq!((number("x", "10"), number("x", "0x10")), (Ok(10), Ok(16)));
        for bad in ["", "0x", "x1", "-1", "1g", "0x+1"] {
            assert!(number("x", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_and_repeated_arguments_are_refused() {
        assert!(Arguments::new("a=1 a=2").unwrap_err().contains("`a=`"));
        assert!(
            Arguments::new("itms=1")
                .unwrap()
                .finish()
                .unwrap_err()
                .contains("`itms=`")
        );
        assert!(
            Arguments::new("historie")
                .unwrap()
                .finish()
                .unwrap_err()
                .contains("`historie`")
        );
        assert!(
            Arguments::new("n=1x")
                .unwrap()
                .number::<u64>("n")
                .unwrap_err()
                .contains("`1x`")
        );
        assert!(Arguments::new("n=-1").unwrap().number::<u64>("n").is_err());
        assert!(
            Arguments::new("n=65536")
                .unwrap()
                .number::<u16>("n")
                .is_err()
        );
        assert!(Arguments::new("n=0").unwrap().positive::<u64>("n").is_err());
        assert!(
            Arguments::new("s=x")
                .unwrap()
                .choice("s", &[("y", 1), ("z", 2)])
                .unwrap_err()
                .contains("y, z")
        );
    }
}
