//! A batch in a file of its own before anybody reads it: in memory, on disk where it is large.
//!
//! A command must not read from a live pipe: a writer that is killed looks to it like the clean end of its input, and it
//! commits half a batch, or half a line.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::AsRawFd;

use rustix::fs::MemfdFlags;

/// What is collected before it is written to the file.
const BLOCK_BYTES: usize = 256 * 1024;
/// A larger batch goes to a temporary file, so that memory is not what bounds it.
const MEMORY_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes on their way to a command.
#[derive(Default)]
pub(crate) struct Spool {
    file: Option<File>,
    is_in_memory: bool,
    buffer: Vec<u8>,
    file_bytes: u64,
}

impl Spool {
    /// The file that blocks are written to, made with the first one: there may be more batches than descriptors.
    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let memory = rustix::fs::memfd_create("kcat-lite batch", MemfdFlags::CLOEXEC);
            self.is_in_memory = memory.is_ok();
            self.file = Some(match memory {
                Ok(fd) => File::from(fd),
                Err(_) => tempfile::tempfile()?,
            });
        }
        Ok(self.file.as_mut().expect("it is made"))
    }

    /// Where to append; [`Spool::write_full_block`] afterwards.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// All bytes so far.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.file_bytes + self.buffer.len() as u64
    }

    /// Writes a block that is full.
    pub(crate) fn write_full_block(&mut self) -> io::Result<()> {
        if self.buffer.len() >= BLOCK_BYTES {
            self.write_out()?;
        }
        Ok(())
    }

    fn write_out(&mut self) -> io::Result<()> {
        if self.is_in_memory && self.total_bytes() > MEMORY_BYTES {
            let mut file = tempfile::tempfile()?;
            let memory = self.file()?;
            memory.rewind()?;
            io::copy(memory, &mut file)?;
            self.file = Some(file);
            self.is_in_memory = false;
        }
        let block = std::mem::take(&mut self.buffer);
        self.file()?.write_all(&block)?;
        self.file_bytes += block.len() as u64;
        self.buffer = block;
        self.buffer.clear();
        Ok(())
    }

    /// The whole from its first byte, to be read and not to be changed.
    pub(crate) fn reader(&mut self) -> io::Result<File> {
        self.write_out()?;
        // A description of its own: what a command reads or closes does not matter to the next try.
        let file = self.file()?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        File::open(path).or_else(|_| {
            let mut again = file.try_clone()?;
            again.rewind()?;
            Ok(again)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_BYTES, MEMORY_BYTES, Spool};
    use std::io::{Read as _, Seek as _};

    #[test]
    fn each_reader_gets_the_whole() {
        let mut spool = Spool::default();
        spool.buffer().extend_from_slice(b"one\n");
        for _ in 0..2 {
            let mut text = String::new();
            let mut reader = spool.reader().expect("a reader");
            reader.read_to_string(&mut text).expect("read");
            assert_eq!(text, "one\n");
        }
    }

    #[test]
    fn a_large_batch_goes_to_disk_and_stays_whole() {
        let mut spool = Spool::default();
        let block = vec![7; BLOCK_BYTES];
        let blocks = MEMORY_BYTES / BLOCK_BYTES as u64 + 2;
        for _ in 0..blocks {
            spool.buffer().extend_from_slice(&block);
            spool.write_full_block().expect("written");
        }
        assert!(!spool.is_in_memory);
        let mut reader = spool.reader().expect("a reader");
        let end = reader.seek(std::io::SeekFrom::End(0)).expect("its size");
        assert_eq!(end, blocks * BLOCK_BYTES as u64);
        assert_eq!(end, spool.total_bytes());
    }
}
