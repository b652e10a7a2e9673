//! Big-endian fields of a message.

use super::error::DeliveryError;

/// The unread rest of a message. Each field is taken with its name, for the error if it is not whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bytes(
        &mut self,
        len: u64,
        what: &'static str,
    ) -> Result<&'a [u8], DeliveryError> {
        let len = usize::try_from(len).ok();
        let split = len.and_then(|len| self.0.split_at_checked(len));
        let (taken, rest) = split.ok_or(DeliveryError::Incomplete { what })?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DeliveryError> {
        let split = self.0.split_first_chunk();
        let (taken, rest) = split.ok_or(DeliveryError::Incomplete { what })?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self, what: &'static str) -> Result<u8, DeliveryError> {
        self.array(what).map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, DeliveryError> {
        self.array(what).map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, DeliveryError> {
        self.array(what).map(u64::from_be_bytes)
    }

    /// Takes a byte of flags, of which only `known` are defined.
    pub(super) fn flags(&mut self, known: u8, what: &'static str) -> Result<u8, DeliveryError> {
        let found = self.u8(what)?;
        if found & !known == 0 {
            Ok(found)
        } else {
            Err(DeliveryError::Undefined { what, found })
        }
    }

    /// Takes the code of one of `values`, which count from 1; `None` for 0.
    pub(super) fn code_or_none<T: Copy>(
        &mut self,
        values: &[T],
        what: &'static str,
    ) -> Result<Option<T>, DeliveryError> {
        let found = self.u8(what)?;
        let Some(index) = usize::from(found).checked_sub(1) else {
            return Ok(None);
        };
        match values.get(index) {
            Some(&value) => Ok(Some(value)),
            None => Err(DeliveryError::Undefined { what, found }),
        }
    }

    /// Takes the code of one of `values`, which count from 1.
    pub(super) fn code<T: Copy>(
        &mut self,
        values: &[T],
        what: &'static str,
    ) -> Result<T, DeliveryError> {
        let value = self.code_or_none(values, what)?;
        value.ok_or(DeliveryError::Undefined { what, found: 0 })
    }

    /// Ends the message.
    pub(super) fn end(self) -> Result<(), DeliveryError> {
        match self.0.len() {
            0 => Ok(()),
            bytes => Err(DeliveryError::LeftOver { bytes }),
        }
    }
}

/// Returns `bit` if it is set.
pub(super) fn flag(is_set: bool, bit: u8) -> u8 {
    if is_set { bit } else { 0 }
}

pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}
