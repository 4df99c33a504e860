//! How segments are compressed: in frames, each on its own, that zstdcat and zcat put together again.
//!
//! A frame holds one block of a partition's records, so that any number of
//! partitions share one compressor and its memory.

use std::io::{self, BufReader, Read, Write};

use flate2::Compression;

/// zstd's own default level.
const ZSTD_LEVEL: i32 = 3;

/// How segments are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
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

    /// What reads `stored` back.
    pub(crate) fn reader<'a>(self, stored: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Codec::Zstd => Box::new(zstd::Decoder::new(stored)?),
            Codec::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(stored))),
            Codec::None => Box::new(stored),
        })
    }
}

/// Compresses blocks, each to a frame.
pub(crate) struct Compressor {
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
            let mut reader = codec.reader(&stored[..]).expect("it is made");
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
            let mut reader = codec.reader(torn).expect("it is made");
            assert!(reader.read_to_end(&mut Vec::new()).is_err(), "{codec:?}");
        }
    }
}
