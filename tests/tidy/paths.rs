//! The paths in a Rust file, resolved as far as layers need it: `use` trees are flattened, and
//! `crate`, `self` and `super` become the modules they mean. Comments and strings are left out, and
//! so is a `mod tests`.
//!
//! It knows no macros and no names: `use crate::sim; sim::World` gives `crate::sim`, which is
//! enough for a layer.

/// Returns the paths in a file's code, as `crate::sim::World`; `module` is the file's own place, as
/// `["sim", "world"]`.
pub(crate) fn paths(text: &str, module: &[&str]) -> Vec<String> {
    let tokens = tokens(text);
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        found: Vec::new(),
    };
    let mut modules: Vec<(String, usize)> = Vec::new();
    let mut depth = 0_usize;
    while let Some(token) = reader.peek(0) {
        match token {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                modules.retain(|&(_, outer)| outer < depth);
            }
            "mod" if reader.peek(2) == Some("{") => {
                modules.push((reader.peek(1).unwrap_or_default().to_owned(), depth));
            }
            _ if is_name(token) && reader.peek(1) == Some("::") => {
                let is_test = modules.iter().any(|(name, _)| name == "tests");
                // A macro's own path is named where the macro is used, not here.
                let is_of_macro = reader.at > 0 && reader.tokens[reader.at - 1] == "$";
                let before = reader.found.len();
                reader.path(&[]);
                if is_test || is_of_macro {
                    reader.found.truncate(before);
                }
                continue;
            }
            _ => {}
        }
        reader.at += 1;
    }
    reader
        .found
        .iter()
        .map(|path| resolve(path, module))
        .collect()
}

struct Reader<'a> {
    tokens: &'a [&'a str],
    at: usize,
    found: Vec<Vec<&'a str>>,
}

impl<'a> Reader<'a> {
    fn peek(&self, ahead: usize) -> Option<&'a str> {
        self.tokens.get(self.at + ahead).copied()
    }

    /// Reads a path, or a whole tree of them, that continues `before`.
    fn path(&mut self, before: &[&'a str]) {
        let mut path = before.to_vec();
        loop {
            match self.peek(0) {
                Some("{") => {
                    self.at += 1;
                    while !matches!(self.peek(0), Some("}") | None) {
                        if self.peek(0) == Some(",") {
                            self.at += 1;
                        } else {
                            self.path(&path);
                        }
                    }
                    self.at += 1;
                    return;
                }
                Some(name) if is_name(name) || name == "*" => {
                    path.push(name);
                    self.at += 1;
                    // A second name for the item; in `<T as a::Trait>` it is a path of its own.
                    if self.peek(0) == Some("as") && self.peek(2) != Some("::") {
                        self.at += 2;
                    }
                }
                // `Type::<T>::f`, or another token that ends the path here.
                _ => {
                    self.at += usize::from(!before.is_empty() && path.len() == before.len());
                    break;
                }
            }
            if self.peek(0) != Some("::") {
                break;
            }
            self.at += 1;
        }
        self.found.push(path);
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn resolve(path: &[&str], module: &[&str]) -> String {
    let mut place = module.to_vec();
    let mut rest = path;
    let mut is_ours = false;
    while let Some((first, after)) = rest.split_first() {
        match *first {
            "crate" => place.clear(),
            "self" => {}
            "super" => {
                place.pop();
            }
            _ => break,
        }
        (rest, is_ours) = (after, true);
    }
    let whole: Vec<&str> = if is_ours {
        [&["crate"][..], &place, rest].concat()
    } else {
        rest.to_vec()
    };
    whole.join("::")
}

/// Returns names, `::` and other single characters, without comments, strings and characters.
fn tokens(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let rest = &text[at..];
        let length = match bytes[at] {
            b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            b'"' => string_length(rest),
            b'\'' => quote_length(rest),
            b'r' | b'b' if raw_length(rest).is_some() => raw_length(rest).unwrap_or(1),
            b':' if rest.starts_with("::") => {
                tokens.push("::");
                2
            }
            byte if byte.is_ascii_alphanumeric() || byte == b'_' => {
                let length = rest
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                tokens.push(&rest[..length]);
                length
            }
            byte if byte.is_ascii_whitespace() => 1,
            _ => {
                let length = rest.chars().next().map_or(1, char::len_utf8);
                tokens.push(&rest[..length]);
                length
            }
        };
        at += length;
    }
    tokens
}

fn string_length(rest: &str) -> usize {
    let mut is_escaped = false;
    let end = rest.bytes().enumerate().skip(1).find(|&(_, byte)| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(rest.len(), |(end, _)| end + 1)
}

/// Returns the length of `r"..."`, `r#"..."#`, `b"..."` or `br"..."`; `None` for a name that begins
/// with these letters.
fn raw_length(rest: &str) -> Option<usize> {
    let prefix = ["br", "r", "b"].into_iter().find(|prefix| {
        rest.strip_prefix(prefix)
            .is_some_and(|after| after.trim_start_matches('#').starts_with('"'))
    })?;
    let hashes = rest[prefix.len()..]
        .bytes()
        .take_while(|&byte| byte == b'#')
        .count();
    let start = prefix.len() + hashes;
    if prefix == "b" {
        return (hashes == 0).then(|| start + string_length(&rest[start..]));
    }
    let end = format!("\"{}", "#".repeat(hashes));
    Some(
        rest[start + 1..]
            .find(&end)
            .map_or(rest.len(), |at| start + 1 + at + end.len()),
    )
}

/// Returns the length of a character literal, or of a lifetime's quote alone.
fn quote_length(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => rest[2..]
            .char_indices()
            .skip(1)
            .find(|&(_, c)| c == '\'')
            .map_or(1, |(at, _)| at + 3),
        Some((at, c)) if rest[at + c.len_utf8()..].starts_with('\'') => at + c.len_utf8() + 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the reader itself: no rule finds a path that it overlooks.
    #[test]
    fn each_way_to_name_a_path_is_seen() {
        let text = r##"
            //! std::comment
            use std::{fs::{self, File}, io as input, collections::*};
            use super::report::Figures;
            pub(super) use self::deep::Thing;
            /* std::block */
            mod tests { use std::hidden; fn f() { crate::hidden(); } }
            macro_rules! m { () => { $crate::hidden::f() }; }
            fn f<'a>(x: &'a str) -> std::net::Ipv4Addr {
                let c = ['"', '\'', '\\', 'x']; let s = "std::string \" std::more"; let r = r#"std::raw"#;
                crate::cli::run(); Vec::<std::time::Instant>::new(); <crate::wire::Frame as crate::T>::go()
            }
            use crate::{consumer, producer::{Partitions, self}};
        "##;
        let found = paths(text, &["sim", "world"]);
        for wanted in [
            "std::fs::self",
            "std::fs::File",
            "std::io",
            "std::collections::*",
            "crate::sim::report::Figures",
            "crate::sim::world::deep::Thing",
            "std::net::Ipv4Addr",
            "crate::cli::run",
            "std::time::Instant",
            "crate::wire::Frame",
            "crate::consumer",
            "crate::producer::Partitions",
            "crate::producer::self",
        ] {
            assert!(
                found.iter().any(|path| path == wanted),
                "{wanted}: {found:#?}"
            );
        }
        for hidden in ["comment", "block", "hidden", "string", "raw", "more"] {
            assert!(
                !found.iter().any(|path| path.contains(hidden)),
                "{hidden}: {found:#?}"
            );
        }
    }
}
