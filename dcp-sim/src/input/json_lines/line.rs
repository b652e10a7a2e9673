//! Parser from one line of JSON to a change.
//!
//! Values are cut out of the text, not decoded and encoded again, so a number of any length and
//! precision is preserved.

use std::ops::Range;

use bytes::Bytes;
use serde::de::{Deserialize, IgnoredAny};

use crate::input::source::Change;

/// Text of each member of the line.
#[derive(Default)]
struct Members<'a> {
    op: Option<&'a str>,
    key: Option<&'a str>,
    key_hex: Option<&'a str>,
    value: Option<&'a str>,
    value_hex: Option<&'a str>,
}

/// Parses a line.
pub(super) fn parse(line: &[u8]) -> Result<Change, String> {
    let text = std::str::from_utf8(line).map_err(|error| format!("not UTF-8: {error}"))?;
    let members = Members::read(text)?;
    let key = match (members.key, members.key_hex) {
        (Some(key), None) => Bytes::from(string("key", key)?),
        (None, Some(hex)) => bytes("key_hex", hex)?,
        (None, None) => return Err("\"key\" or \"key_hex\" is missing".into()),
        (Some(_), Some(_)) => return Err("\"key\" and \"key_hex\" are both given".into()),
    };
    let value = match (members.value, members.value_hex) {
        (Some(json), None) if json.starts_with('"') => Some(Bytes::from(string("value", json)?)),
        (Some(json), None) => Some(Bytes::from(compact(json))),
        (None, Some(hex)) => Some(bytes("value_hex", hex)?),
        (None, None) => None,
        (Some(_), Some(_)) => return Err("\"value\" and \"value_hex\" are both given".into()),
    };
    let op = members.op.ok_or("\"op\" is missing")?;
    match (string("op", op)?.as_str(), value) {
        ("set", Some(value)) => Ok(Change {
            key,
            value: Some(value),
        }),
        ("set", None) => Err("a set needs \"value\" or \"value_hex\"".into()),
        ("delete", None) => Ok(Change { key, value: None }),
        ("delete", Some(_)) => Err("a delete takes no value".into()),
        (other, _) => Err(format!(
            "unknown op \"{}\", expected \"set\" or \"delete\"",
            other.escape_default()
        )),
    }
}

impl<'a> Members<'a> {
    /// Parses `{ NAME : VALUE , ... }` with nothing after it.
    fn read(text: &'a str) -> Result<Self, String> {
        let mut members = Self::default();
        let mut at = expect(text, 0, '{')?;
        if expect(text, at, '}').is_ok() {
            return Ok(members);
        }
        loop {
            let (name, colon) = next::<String>(text, at)?;
            let (IgnoredAny, value) = next(text, expect(text, colon.end, ':')?)?;
            let known = match name.as_str() {
                "op" => &mut members.op,
                "key" => &mut members.key,
                "key_hex" => &mut members.key_hex,
                "value" => &mut members.value,
                "value_hex" => &mut members.value_hex,
                other => return Err(format!("unknown field \"{}\"", other.escape_default())),
            };
            let json = text
                .get(value.clone())
                .ok_or_else(|| stray(text, value.start, "a value"))?;
            if known.replace(json).is_some() {
                return Err(format!("field \"{name}\" is given twice"));
            }
            match expect(text, value.end, ',') {
                Ok(after) => at = after,
                Err(_) => {
                    let end = expect(text, value.end, '}')
                        .map_err(|_| stray(text, value.end, "',' or '}'"))?;
                    let rest = skip_space(text, end);
                    return if rest == text.len() {
                        Ok(members)
                    } else {
                        Err(stray(text, end, "the line's end"))
                    };
                }
            }
        }
    }
}

/// Parses the JSON value that starts at or after `from`, and returns its range.
fn next<'a, T: Deserialize<'a>>(text: &'a str, from: usize) -> Result<(T, Range<usize>), String> {
    let start = skip_space(text, from);
    let rest = text
        .get(start..)
        .ok_or_else(|| stray(text, start, "a value"))?;
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<T>();
    match values.next() {
        Some(Ok(value)) => Ok((value, start..start + values.byte_offset())),
        Some(Err(error)) => Err(bad_json(&error, start)),
        None => Err(stray(text, start, "a value")),
    }
}

/// Returns the offset after `token`, which must be next.
fn expect(text: &str, from: usize, token: char) -> Result<usize, String> {
    let start = skip_space(text, from);
    if text
        .get(start..)
        .is_some_and(|rest| rest.starts_with(token))
    {
        Ok(start + token.len_utf8())
    } else {
        Err(stray(text, from, &format!("'{token}'")))
    }
}

fn stray(text: &str, from: usize, wanted: &str) -> String {
    let start = skip_space(text, from);
    match text.get(start..).and_then(|rest| rest.chars().next()) {
        Some(found) => {
            format!(
                "not JSON: '{}' at byte {}, expected {wanted}",
                found.escape_debug(),
                start + 1
            )
        }
        None => format!("not JSON: the line ends, expected {wanted}"),
    }
}

/// Formats an error of one value, with its place in the whole line.
fn bad_json(error: &serde_json::Error, start: usize) -> String {
    let message = error.to_string();
    // The message ends with the place inside the value, which would mislead.
    let what = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(what, _)| what);
    format!("not JSON: {what} at byte {}", start + error.column())
}

fn skip_space(text: &str, from: usize) -> usize {
    from + text
        .bytes()
        .skip(from)
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
        .count()
}

fn string(name: &str, json: &str) -> Result<String, String> {
    serde_json::from_str(json)
        .map_err(|_| format!("\"{name}\" is not a string of Unicode characters"))
}

fn bytes(name: &str, json: &str) -> Result<Bytes, String> {
    let hex = string(name, json)?;
    let bad = || format!("\"{name}\" is not pairs of hex digits");
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else {
        return Err(bad());
    };
    let byte = |&[high, low]: &[u8; 2]| Some(digit(high)? << 4 | digit(low)?);
    pairs
        .iter()
        .map(byte)
        .collect::<Option<Vec<u8>>>()
        .map(Bytes::from)
        .ok_or_else(bad)
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Removes the space between the tokens of a valid JSON text.
fn compact(json: &str) -> String {
    let mut kept = String::with_capacity(json.len());
    let mut in_string = false;
    let mut escaped = false;
    for character in json.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if matches!(character, ' ' | '\t' | '\r' | '\n') {
            continue;
        } else {
            in_string = character == '"';
        }
        kept.push(character);
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(json: &str) -> Vec<u8> {
        let line = format!("{{\"op\":\"set\",\"key\":\"k\",\"value\":{json}}}");
        parse(line.as_bytes())
            .expect(json)
            .value
            .expect("a set")
            .to_vec()
    }

    #[test]
    fn strings_are_stored_as_bytes_and_other_values_as_text() {
        for (json, stored) in [
            (r#""""#, ""),
            (r#""a\"b\u00e9\n""#, "a\"b\u{e9}\n"),
            ("null", "null"),
            ("true", "true"),
            (" 1.10 ", "1.10"),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
            ("1E+400", "1E+400"),
            (
                r#" { "b" : [ 1 , 2 ] ,	"a" : " x \" \\" , "b" : "\u00e9" } "#,
                r#"{"b":[1,2],"a":" x \" \\","b":"\u00e9"}"#,
            ),
        ] {
            assert_eq!(
                value(json).escape_ascii().to_string(),
                stored.as_bytes().escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn hex_members_give_any_bytes() {
        let change =
            parse(br#" { "value_hex" : "00fFa1", "key_hex":"", "op":"set" } "#).expect("good");
        assert_eq!(
            change,
            Change {
                key: Bytes::new(),
                value: Some(Bytes::from_static(b"\x00\xff\xa1"))
            }
        );
        let change = parse(br#"{"key_hex":"c3","op":"delete"}"#).expect("good");
        assert_eq!(
            change,
            Change {
                key: Bytes::from_static(b"\xc3"),
                value: None
            }
        );
        let change = parse(br#"{"k\u0065y":"\u0061","op":"del\u0065te"}"#).expect("good");
        assert_eq!(&change.key[..], b"a");
    }

    #[test]
    fn invalid_line_is_refused_with_its_defect() {
        for (line, said) in [
            (&br#"{"op":"get","key":"a"}"#[..], "unknown op \"get\""),
            (br#"{"key":"a","value":1}"#, "\"op\" is missing"),
            (br#"{}"#, "\"key\" or \"key_hex\" is missing"),
            (br#"{"op":"delete"}"#, "\"key\" or \"key_hex\" is missing"),
            (br#"{"op":"set","key":"a"}"#, "a set needs"),
            (
                br#"{"op":"delete","key":"a","value":null}"#,
                "a delete takes no value",
            ),
            (
                br#"{"op":"delete","key":"a","value_hex":""}"#,
                "a delete takes no value",
            ),
            (
                br#"{"op":"delete","key":"a","ttl":1}"#,
                "unknown field \"ttl\"",
            ),
            (
                br#"{"op":"delete","key":"a","key":"a"}"#,
                "field \"key\" is given twice",
            ),
            (
                br#"{"op":"delete","key":"a","key_hex":"61"}"#,
                "\"key\" and \"key_hex\" are both given",
            ),
            (
                br#"{"op":"set","key":"a","value":1,"value_hex":"61"}"#,
                "\"value\" and \"value_hex\" are both given",
            ),
            (br#"{"op":"delete","key":1}"#, "\"key\" is not a string"),
            (br#"{"op":["set"],"key":"a"}"#, "\"op\" is not a string"),
            (
                br#"{"op":"delete","key":"\ud800"}"#,
                "\"key\" is not a string",
            ),
            (
                br#"{"op":"delete","key_hex":"abc"}"#,
                "\"key_hex\" is not pairs",
            ),
            (
                br#"{"op":"delete","key_hex":"+1"}"#,
                "\"key_hex\" is not pairs",
            ),
            (br#"{"op":"delete","key":"a"} x"#, "'x' at byte 27"),
            (br#"{"op":"delete","key":"a"}{}"#, "'{' at byte 26"),
            (br#"{"op":"delete","key":"a",}"#, "at byte 26"),
            (br#"{"op":"delete" "key":"a"}"#, "expected ',' or '}'"),
            (
                br#"{"op":"delete","key":"a""#,
                "the line ends, expected ',' or '}'",
            ),
            (br#"{"op":"set","key":"a","value":01}"#, "not JSON"),
            (br#"{"op":"set","key":"a","value":[1,}"#, "not JSON"),
            (br#"{op:"set"}"#, "not JSON"),
            (br#"["set"]"#, "'[' at byte 1, expected '{'"),
            (b"\xef\xbb\xbf{}", "expected '{'"),
            (b"{\"op\":\"delete\",\"key\":\"\xff\"}", "not UTF-8"),
        ] {
            let error = parse(line).expect_err("bad");
            assert!(error.contains(said), "{}: {error}", line.escape_ascii());
        }
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(value(&deep).len(), 200_000);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(noise: Vec<u8>, at in 0usize..60, byte: u8) {
            let _ = parse(&noise);
            let mut line = br#"{"op":"set","key":"k","value":{"a":[1,"b\n"]},"x":1}"#.to_vec();
            let index = at % line.len();
            if let Some(slot) = line.get_mut(index) {
                *slot = byte;
            }
            let _ = parse(&line);
        }

        /// Compacting gives the output of serde_json, if that loses nothing.
        #[test]
        fn any_string_and_number_survive(text: String, number: i64) {
            let value_json = serde_json::json!({ "n": number, "s": text });
            let pretty = serde_json::to_string_pretty(&value_json).expect("JSON");
            prop_assert_eq!(value(&pretty), serde_json::to_vec(&value_json).expect("JSON"));
            let quoted = serde_json::to_string(&text).expect("JSON");
            prop_assert_eq!(value(&quoted), text.as_bytes());
        }
    }
}
