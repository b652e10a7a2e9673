//! The values scenarios store: a word of the line, or so many bytes made from key and seqno.
//!
//! What always holds: a made value tells which revision it is, so that one in the wrong place shows.

use bytes::Bytes;

use super::arguments::Arguments;

/// The largest value made: above what any engine takes, below what would exhaust the machine.
const SIZE_MAX: usize = 128 << 20;

/// What a line says is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::script) enum Value {
    /// A word of the line.
    Word(Bytes),
    /// So many bytes, made when the seqno is known.
    Size(usize),
}

impl Value {
    /// Takes `[VALUE] [size=N]` from a line, at most one of them. Ask for the line's flags before.
    pub(in crate::script) fn take(arguments: &mut Arguments<'_>) -> Result<Option<Self>, String> {
        match (arguments.positional(), arguments.number("size")?) {
            (Some(_), Some(_)) => {
                Err("a value is either given or made by `size=`, not both".to_owned())
            }
            (Some(word), None) => Ok(Some(Self::Word(Bytes::copy_from_slice(word.as_bytes())))),
            (None, Some(size)) => Ok(Some(Self::Size(size))),
            (None, None) => Ok(None),
        }
    }

    /// Its bytes for that key and seqno; or the kind of the refusal.
    pub(in crate::script) fn bytes(&self, key: &[u8], seqno: u64) -> Result<Bytes, &'static str> {
        match self {
            Self::Word(word) => Ok(word.clone()),
            Self::Size(size) if *size > SIZE_MAX => Err("too-large"),
            Self::Size(size) => Ok(made(key, seqno, *size)),
        }
    }
}

/// `KEY:SEQNO;`, repeated and cut to `size` bytes.
fn made(key: &[u8], seqno: u64, size: usize) -> Bytes {
    let unit = [key, format!(":{seqno};").as_bytes()].concat();
    unit.iter().copied().cycle().take(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_values_repeat_key_and_seqno() {
        assert_eq!(made(b"k1", 12, 13), "k1:12;k1:12;k");
        assert_eq!(made(b"k1", 12, 0), "");
        assert_eq!(Value::Size(SIZE_MAX + 1).bytes(b"k", 1), Err("too-large"));
    }
}
