//! The banned words and openings, and the search for them in a block.

use super::blocks::{Block, Kind};

/// Banned phrases under one name.
struct Rule {
    name: &'static str,
    phrases: &'static [&'static str],
    /// Longer phrases that are allowed.
    except: &'static [&'static str],
}

const fn rule(name: &'static str, phrases: &'static [&'static str]) -> Rule {
    Rule {
        name,
        phrases,
        except: &[],
    }
}

const RULES: &[Rule] = &[
    rule("nobody", &["nobody", "no one"]),
    rule(
        "somebody",
        &[
            "somebody",
            "someone",
            "someone's",
            "anybody",
            "anyone",
            "everybody",
            "everyone",
            "everyone's",
        ],
    ),
    rule("whoever", &["whoever"]),
    rule("he", &["he", "him", "his", "she"]),
    rule("anew", &["anew"]),
    rule("beside", &["beside"]),
    rule("hitherto", &["hitherto", "whence", "thereof", "wherein"]),
    rule("but for", &["but for"]),
    rule("come to be", &["come to be", "comes to be", "came to be"]),
    // `If there is none` is plain English; `it is none of ours` is not.
    Rule {
        except: &["there is none"],
        ..rule("is none", &["is none"])
    },
    rule("give up", &["give up", "gives up", "gave up", "given up"]),
    rule("let go", &["let go", "lets go", "letting go"]),
    rule("so many", &["so many"]),
    rule("so much", &["so much"]),
    // At a clause's end it refers to another item; `as there are two` does not.
    rule("as there", &["as there.", "as there,", "as there;"]),
    // Before `from` it is the plain word for a distinction.
    Rule {
        except: &["be told from"],
        ..rule(
            "is told",
            &[
                "is told",
                "are told",
                "was told",
                "were told",
                "be told",
                "been told",
                "being told",
            ],
        )
    },
];

/// First words that a doc line and the name of a test must not have.
const OPENINGS: &[&str] = &["what", "who", "whoever", "where", "so", "of", "as"];
/// Further first words that the name of a test must not have: the subject stands without an
/// article.
const ARTICLES: &[&str] = &["a", "an", "the"];
/// Words of a relative clause, which an error text must not have.
const RELATIVES: &[&str] = &["which", "who", "whose"];

/// A banned phrase or opening in a file.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Match {
    /// Name of the rule; an opening has `^` before its word.
    pub(super) rule: String,
    pub(super) line: usize,
}

/// Splits a text into lower-case words and single other characters, each with its line. Code in
/// backticks is one backtick.
fn tokens(text: &str, first_line: usize) -> Vec<(String, usize)> {
    let (mut tokens, mut line) = (Vec::new(), first_line);
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '\'';
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = if is_word(c) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if c == '`' {
            let ticks = rest.find(|c| c != '`').unwrap_or(rest.len());
            let end = rest[ticks..].find(&rest[..ticks]);
            end.map_or(ticks, |end| end + 2 * ticks)
        } else {
            c.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        if c == '`' {
            tokens.push((c.to_string(), line));
        } else if !c.is_whitespace() {
            tokens.push((token.to_lowercase(), line));
        }
        line += token.matches('\n').count();
        rest = after;
    }
    tokens
}

/// Returns the length of the first phrase that the tokens begin with.
fn begins_with(found: &[(String, usize)], phrases: &[&str]) -> Option<usize> {
    phrases.iter().find_map(|phrase| {
        let phrase = tokens(phrase, 0);
        let start = found.get(..phrase.len())?;
        let is_same = start
            .iter()
            .zip(&phrase)
            .all(|(one, other)| one.0 == other.0);
        is_same.then_some(phrase.len())
    })
}

/// Returns every banned phrase and opening of a block.
pub(super) fn matches(block: &Block) -> Vec<Match> {
    let tokens = tokens(&block.text, block.line);
    let mut found = Vec::new();
    let mut report = |rule: String, line: usize| found.push(Match { rule, line });
    if let Some((word, line)) = tokens.first() {
        let is_opening = match block.kind {
            Kind::Doc => OPENINGS.contains(&word.as_str()),
            Kind::TestName => OPENINGS.iter().chain(ARTICLES).any(|other| other == word),
            Kind::Plain | Kind::ErrorText => false,
        };
        if is_opening {
            report(format!("^{word}"), *line);
        }
    }
    if block.kind == Kind::ErrorText {
        if block.text.starts_with(char::is_uppercase) || block.text.ends_with('.') {
            report("error text".to_owned(), block.line);
        }
        let relatives = tokens.iter();
        for (word, line) in relatives.filter(|(word, _)| RELATIVES.contains(&word.as_str())) {
            report(format!("error text: {word}"), *line);
        }
    }
    for rule in RULES {
        let mut at = 0;
        while let Some(rest) = tokens.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some(length) = begins_with(rest, rule.except) {
                at += length;
                continue;
            }
            let length = begins_with(rest, rule.phrases);
            if length.is_some() {
                found.push(Match {
                    rule: rule.name.to_owned(),
                    line: rest[0].1,
                });
            }
            at += length.unwrap_or(1);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, kind: Kind) -> Vec<String> {
        let block = Block {
            line: 1,
            kind,
            text: text.to_owned(),
        };
        matches(&block)
            .into_iter()
            .map(|found| found.rule)
            .collect()
    }

    /// Guards that each rule bites, in the middle of a text, over a line break and in capitals.
    #[test]
    fn each_rule_finds_each_of_its_phrases() {
        for rule in RULES {
            for phrase in rule.phrases {
                let broken = phrase.replace(' ', "\n");
                for phrase in [phrase, &*broken, &*phrase.to_uppercase()] {
                    let text = format!("The reader {phrase} and waits.");
                    assert_eq!(of(&text, Kind::Doc), [rule.name], "{text}");
                }
            }
        }
        for word in OPENINGS {
            let text = format!("{word} it reads.");
            let opening = format!("^{word}");
            for kind in [Kind::Doc, Kind::TestName] {
                let found = of(&text, kind);
                assert!(found.contains(&opening), "{text}: {found:?}");
            }
            assert!(!of(&text, Kind::Plain).contains(&opening), "{text}");
            let inside = format!("Reads {word} it.");
            assert!(!of(&inside, Kind::Doc).contains(&opening), "{inside}");
        }
    }

    /// Guards the form of error texts and names of tests.
    #[test]
    fn error_text_and_test_name_have_rules_of_their_own() {
        for text in ["Not found", "not found."] {
            assert_eq!(of(text, Kind::ErrorText), ["error text"], "{text}");
            assert_eq!(of(text, Kind::Plain), [""; 0], "{text}");
        }
        let relative = "a key which is empty";
        assert_eq!(of(relative, Kind::ErrorText), ["error text: which"]);
        assert_eq!(of(relative, Kind::Plain), [""; 0]);
        assert_eq!(of("{path}: not found", Kind::ErrorText), [""; 0]);
        assert_eq!(of("the key is empty", Kind::TestName), ["^the"]);
        assert_eq!(of("the key is empty", Kind::Doc), [""; 0]);
        assert_eq!(of("empty key is told as such", Kind::TestName), ["is told"]);
    }

    /// Guards plain English and code from the rules.
    #[test]
    fn exempt_text_gives_no_match() {
        for text in [
            "Returns the job; `None` if there is none.",
            "Two names, as there are two logs.",
            "Calls `nobody_reads()` and ``he`` of `so many`.",
            "The cursor is not for this, but it is for that. So. Many.",
            "The header of the theme, anewed.",
            "`What` it reads.",
            "A tail that cannot be told from a torn one.",
        ] {
            assert_eq!(of(text, Kind::Doc), [""; 0], "{text}");
        }
    }

    /// Guards the lines in complaints.
    #[test]
    fn match_has_the_line_of_its_first_word() {
        let block = Block {
            line: 7,
            kind: Kind::Doc,
            text: "Reads\n`code\nhere` so\nmany and so many.".to_owned(),
        };
        let lines: Vec<_> = matches(&block).iter().map(|found| found.line).collect();
        assert_eq!(lines, [9, 10]);
    }
}
