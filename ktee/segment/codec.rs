//! How segments are compressed: in frames, each on its own, that zstdcat and zcat put together again.
//!
//! A frame holds one block of a partition's records, so that any number of
//! partitions share one compressor and its memory.

use std::io::{self, BufRead, BufReader, Read, Seek, Write};

use flate2::Compression;
use tempfile::SpooledTempFile;

/// zstd's own default level.
const ZSTD_LEVEL: i32 = 3;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Codec {
    /// zstd -3
    #[default]
    Zstd,
    /// gzip -6
    Gzip,
    /// Not at all
    None,
}

impl Codec {
    /// What a file's name ends with.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Codec::Zstd => ".zst",
            Codec::Gzip => ".gz",
            Codec::None => "",
        }
    }

    /// A file's name without the suffix, and what the suffix says.
    pub(crate) fn split(file: &str) -> (&str, Codec) {
        for codec in [Codec::Zstd, Codec::Gzip] {
            if let Some(rest) = file.strip_suffix(codec.suffix()) {
                return (rest, codec);
            }
        }
        (file, Codec::None)
    }

    /// What reads `stored` back, a frame at a time: nothing of a frame is handed out before its checksum was verified.
    ///
    /// Bytes that are not compressed have no checksum of their own.
    pub(crate) fn reader<'a>(self, stored: impl Read + 'a) -> Box<dyn Read + 'a> {
        match self {
            Codec::Zstd => Box::new(Frames::new(stored, zstd_frame)),
            Codec::Gzip => Box::new(Frames::new(stored, gzip_member)),
            Codec::None => Box::new(stored),
        }
    }
}

/// A frame that is larger waits in a file in TMPDIR until its checksum was verified; ktee's own have 1 MiB and a line, and a part of a merged segment is one frame.
const FRAME_IN_MEMORY: usize = 64 * 1024 * 1024;

/// Decompresses one frame to its end, which verifies its checksum.
type Unpack<R> = fn(&mut BufReader<R>, &mut SpooledTempFile) -> io::Result<u64>;

/// Frames behind each other.
struct Frames<R: Read> {
    stored: BufReader<R>,
    unpack: Unpack<R>,
    /// The current frame, whole and verified.
    frame: SpooledTempFile,
    left: u64,
}

impl<R: Read> Frames<R> {
    fn new(stored: R, unpack: Unpack<R>) -> Frames<R> {
        Frames {
            stored: BufReader::with_capacity(128 * 1024, stored),
            unpack,
            frame: SpooledTempFile::new(FRAME_IN_MEMORY),
            left: 0,
        }
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            if self.stored.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.frame.set_len(0)?;
            self.frame.rewind()?;
            self.left = (self.unpack)(&mut self.stored, &mut self.frame)?;
            self.frame.rewind()?;
        }
        let read = self.frame.read(buffer)?;
        self.left -= read as u64;
        Ok(read)
    }
}

fn zstd_frame<R: Read>(stored: &mut BufReader<R>, frame: &mut SpooledTempFile) -> io::Result<u64> {
    io::copy(
        &mut zstd::Decoder::with_buffer(stored)?.single_frame(),
        frame,
    )
}

fn gzip_member<R: Read>(stored: &mut BufReader<R>, frame: &mut SpooledTempFile) -> io::Result<u64> {
    io::copy(&mut flate2::bufread::GzDecoder::new(stored), frame)
}

/// Compresses blocks, each to a frame.
pub(crate) struct Compressor {
    pub(crate) codec: Codec,
    kind: Kind,
    frame: Vec<u8>,
}

enum Kind {
    Zstd(zstd::bulk::Compressor<'static>),
    Gzip,
    None,
}

impl Compressor {
    pub(crate) fn new(codec: Codec) -> io::Result<Compressor> {
        let kind = match codec {
            Codec::Zstd => {
                let mut zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
                zstd.include_checksum(true)?;
                Kind::Zstd(zstd)
            }
            Codec::Gzip => Kind::Gzip,
            Codec::None => Kind::None,
        };
        Ok(Compressor {
            codec,
            kind,
            frame: Vec::new(),
        })
    }

    /// The frame of `block`.
    pub(crate) fn compress<'a>(&'a mut self, block: &'a [u8]) -> io::Result<&'a [u8]> {
        self.frame.clear();
        match &mut self.kind {
            Kind::Zstd(zstd) => {
                self.frame
                    .reserve(zstd::zstd_safe::compress_bound(block.len()));
                zstd.compress_to_buffer(block, &mut self.frame)?;
            }
            Kind::Gzip => {
                let frame = std::mem::take(&mut self.frame);
                let mut gzip = flate2::write::GzEncoder::new(frame, Compression::default());
                gzip.write_all(block)?;
                self.frame = gzip.finish()?;
            }
            Kind::None => return Ok(block),
        }
        Ok(&self.frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_behind_each_other_are_read_as_one_file() {
        for codec in [Codec::Zstd, Codec::Gzip, Codec::None] {
            let mut compressor = Compressor::new(codec).expect("it is made");
            let mut stored = Vec::new();
            for block in [&b"one\n"[..], b"two\n", b""] {
                stored.extend_from_slice(compressor.compress(block).expect("it compresses"));
            }
            let mut text = String::new();
            let mut reader = codec.reader(&stored[..]);
            reader.read_to_string(&mut text).expect("it is whole");
            assert_eq!(text, "one\ntwo\n");
            assert_eq!(
                Codec::split(&format!("x.tsv{}", codec.suffix())),
                ("x.tsv", codec)
            );
        }
    }

    #[test]
    fn a_segment_that_is_cut_off_is_not_read_as_whole() {
        for codec in [Codec::Zstd, Codec::Gzip] {
            let mut compressor = Compressor::new(codec).expect("it is made");
            let stored = compressor.compress(b"one\ntwo\n").expect("it compresses");
            let torn = &stored[..stored.len() - 1];
            let mut reader = codec.reader(torn);
            assert!(reader.read_to_end(&mut Vec::new()).is_err(), "{codec:?}");
        }
    }

    #[test]
    fn nothing_of_a_damaged_frame_is_handed_out_and_all_of_those_before_it() {
        for codec in [Codec::Zstd, Codec::Gzip] {
            let mut compressor = Compressor::new(codec).expect("it is made");
            let lines: Vec<u8> = (0..20_000u32)
                .flat_map(|n| format!("{n} {}\n", n.wrapping_mul(2_654_435_761)).into_bytes())
                .collect();
            let first = compressor.compress(&lines).expect("it compresses").to_vec();
            let second = compressor.compress(&lines).expect("it compresses").to_vec();
            // Near the frame's end, so that a reader that does not wait has handed out the rest.
            for at in [second.len() / 2, second.len() - 10, second.len() - 2] {
                let mut damaged = second.clone();
                damaged[at] ^= 1;
                let stored = [&first[..], &damaged, &first].concat();
                let mut read = Vec::new();
                let failed = codec.reader(&stored[..]).read_to_end(&mut read);
                assert!(failed.is_err(), "{codec:?} {at}");
                assert!(read == lines, "{codec:?} {at}: {} bytes", read.len());
            }
        }
    }
}
