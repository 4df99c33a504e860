//! The memory that waits to be compressed: a number of bytes that the reader takes and the compressor gives back,
//! with the blocks themselves, so that they are not asked of the system again and again.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many blocks are kept for the next ones.
const SPARES: usize = 4;

/// Bytes in use, of so many.
pub(crate) struct Budget {
    limit_bytes: usize,
    used_bytes: Mutex<usize>,
    is_released: Condvar,
    spares: Mutex<Vec<Vec<u8>>>,
}

impl Budget {
    pub(crate) fn new(limit_bytes: usize) -> Budget {
        Budget {
            limit_bytes,
            used_bytes: Mutex::new(0),
            is_released: Condvar::new(),
            spares: Mutex::default(),
        }
    }

    /// Takes bytes, as soon as they fit; what is larger than the whole is alone. Gives up after `wait` and says so.
    pub(crate) fn take(&self, bytes: usize, wait: Duration) -> bool {
        let used = self.lock();
        let is_full = |used: &mut usize| *used > 0 && *used + bytes > self.limit_bytes;
        let (mut used, waited) = self
            .is_released
            .wait_timeout_while(used, wait, is_full)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return false;
        }
        *used += bytes;
        true
    }

    /// Gives a block back.
    pub(crate) fn release(&self, mut block: Vec<u8>) {
        *self.lock() -= block.len();
        self.is_released.notify_one();
        block.clear();
        let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
        if spares.len() < SPARES {
            spares.push(block);
        }
    }

    /// An empty block, which has room where one was given back.
    pub(crate) fn spare(&self) -> Vec<u8> {
        let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
        spares.pop().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.used_bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_waits_for_room_and_one_that_is_too_large_for_an_empty_room() {
        let budget = Budget::new(10);
        let now = Duration::ZERO;
        assert!(budget.take(10, now));
        assert!(!budget.take(1, now));
        budget.release(vec![0; 4]);
        assert!(budget.take(4, now));
        budget.release(vec![0; 10]);
        assert!(budget.spare().capacity() >= 4);
        assert!(budget.take(11, now));
        assert!(!budget.take(1, now));
    }
}
