//! Avro's bytes, from which values are taken one by one.

use crate::schema::Mismatch;

/// The bytes that are left. `what` names the value that is taken, for messages.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Input<'a> {
        Input { rest: bytes }
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    /// How many items the next block has; a negative number is followed by the block's size, which is of no use here.
    pub(super) fn block(&mut self, what: &str) -> Result<Option<u64>, Mismatch> {
        let count = self.long(what)?;
        if count < 0 {
            self.long(what)?;
        }
        Ok((count != 0).then_some(count.unsigned_abs()))
    }

    /// The branch of a union, or the symbol of an enum, by its number.
    pub(super) fn index<'s, T>(&mut self, what: &str, all: &'s [T]) -> Result<&'s T, Mismatch> {
        let number = self.long(what)?;
        let found = usize::try_from(number).ok().and_then(|at| all.get(at));
        found.ok_or_else(|| {
            let most = all.len();
            Mismatch::new(format!("{what} {number} of {most}"))
        })
    }

    pub(super) fn int(&mut self) -> Result<i32, Mismatch> {
        let number = self.long("int")?;
        i32::try_from(number).map_err(|_| Mismatch::new(format!("{number} is no int")))
    }

    /// A zigzag number: seven bits a byte, the lowest first.
    #[inline]
    pub(super) fn long(&mut self, what: &str) -> Result<i64, Mismatch> {
        if let Some((&byte @ 0..=127, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Ok(unzigzag(byte.into()));
        }
        self.long_number(what)
    }

    fn long_number(&mut self, what: &str) -> Result<i64, Mismatch> {
        let mut bits = 0u64;
        for (at, &byte) in self.rest.iter().take(10).enumerate() {
            // The tenth byte has the last bit.
            if at == 9 && byte > 1 {
                break;
            }
            bits |= u64::from(byte & 127) << (7 * at);
            if byte < 128 {
                self.rest = &self.rest[at + 1..];
                return Ok(unzigzag(bits));
            }
        }
        if self.rest.len() < 10 {
            return Err(short(what));
        }
        Err(Mismatch::new(format!("a number of {what} is too long")))
    }

    pub(super) fn bytes(&mut self, what: &str) -> Result<&'a [u8], Mismatch> {
        let length = self.long(what)?;
        let length = usize::try_from(length)
            .map_err(|_| Mismatch::new(format!("the length {length} of {what}")))?;
        self.take(length, what)
    }

    #[inline]
    pub(super) fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8], Mismatch> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| short(what))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Mismatch> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| short(what))?;
        self.rest = rest;
        Ok(*taken)
    }
}

#[cold]
fn short(what: &str) -> Mismatch {
    Mismatch::new(format!("the bytes end within a {what}"))
}

fn unzigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}
