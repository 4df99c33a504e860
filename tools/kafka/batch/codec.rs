//! The five codecs, each as a stream that fills a buffer.

use std::fmt;
use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;
use zstd::stream::raw::{Decoder as ZstdDecoder, Operation};

use super::BatchError;
use super::decode::DecompressBuffer;

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    None,
    Gzip,
    /// One block, or the frames of Java's library (xerial).
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// The codec of these attribute bits.
    pub(super) fn of(bits: i16) -> Result<Codec, BatchError> {
        Ok(match bits {
            0 => Codec::None,
            1 => Codec::Gzip,
            2 => Codec::Snappy,
            3 => Codec::Lz4,
            4 => Codec::Zstd,
            other => return Err(BatchError::Codec(other)),
        })
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        })
    }
}

/// Decompressors that are expensive to create, reused for every batch.
#[derive(Default)]
pub(super) struct Decompressors {
    zstd: Option<ZstdDecoder<'static>>,
    snappy: snap::raw::Decoder,
}

/// Decompresses the records of one batch.
pub(super) enum DecompressStream<'a> {
    Gzip(Box<MultiGzDecoder<&'a [u8]>>),
    Lz4(Box<FrameDecoder<&'a [u8]>>),
    Snappy {
        rest: &'a [u8],
        is_framed: bool,
        decoder: &'a mut snap::raw::Decoder,
    },
    Zstd {
        rest: &'a [u8],
        decoder: &'a mut ZstdDecoder<'static>,
        /// zstd's estimate of the bytes missing from the frame; 0 at its end.
        missing: usize,
    },
}

/// Java's snappy library writes a header of a magic number and two versions.
const XERIAL: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_BYTES: usize = 16;

impl<'a> DecompressStream<'a> {
    /// Fails if zstd can't allocate.
    pub(super) fn open(
        codec: Codec,
        bytes: &'a [u8],
        decompressors: &'a mut Decompressors,
    ) -> Result<Self, String> {
        Ok(match codec {
            Codec::None => return Err("nothing is compressed".to_owned()),
            Codec::Gzip => DecompressStream::Gzip(Box::new(MultiGzDecoder::new(bytes))),
            Codec::Lz4 => DecompressStream::Lz4(Box::new(FrameDecoder::new(bytes))),
            Codec::Snappy => {
                let framed = bytes.get(XERIAL_HEADER_BYTES..);
                let framed = framed.filter(|_| bytes.starts_with(XERIAL));
                DecompressStream::Snappy {
                    rest: framed.unwrap_or(bytes),
                    is_framed: framed.is_some(),
                    decoder: &mut decompressors.snappy,
                }
            }
            Codec::Zstd => {
                let decoder = match &mut decompressors.zstd {
                    Some(decoder) => {
                        decoder.reinit().map_err(|error| error.to_string())?;
                        decoder
                    }
                    none => none.insert(ZstdDecoder::new().map_err(|error| error.to_string())?),
                };
                DecompressStream::Zstd {
                    rest: bytes,
                    decoder,
                    missing: 1,
                }
            }
        })
    }

    /// Decompresses into the free space of the buffer; 0 at the end of the stream.
    pub(super) fn fill(&mut self, buffer: &mut DecompressBuffer) -> Result<usize, DecompressError> {
        match self {
            DecompressStream::Gzip(decoder) => read_into(decoder, buffer),
            DecompressStream::Lz4(decoder) => read_into(decoder, buffer),
            DecompressStream::Snappy {
                rest,
                is_framed,
                decoder,
            } => {
                let mut written = 0;
                while written == 0 && !rest.is_empty() {
                    let block = if *is_framed {
                        take_frame(rest).ok_or_else(|| DecompressError::of("a frame is cut"))?
                    } else {
                        std::mem::take(rest)
                    };
                    written = fill_snappy(decoder, block, buffer)?;
                }
                Ok(written)
            }
            DecompressStream::Zstd {
                rest,
                decoder,
                missing,
            } => loop {
                if rest.is_empty() && *missing == 0 {
                    return Ok(0);
                }
                let status = decoder
                    .run_on_buffers(rest, buffer.free())
                    .map_err(DecompressError::of)?;
                *rest = &rest[status.bytes_read..];
                *missing = status.remaining;
                buffer.advance(status.bytes_written);
                if status.bytes_written > 0 {
                    return Ok(status.bytes_written);
                }
                if status.bytes_read == 0 {
                    return if status.remaining == 0 {
                        Ok(0)
                    } else {
                        Err(DecompressError::of("the frame is cut"))
                    };
                }
            },
        }
    }
}

pub(super) enum DecompressError {
    Malformed(String),
    /// Larger than the limit.
    TooLarge,
}

impl DecompressError {
    fn of(reason: impl fmt::Display) -> DecompressError {
        DecompressError::Malformed(reason.to_string())
    }
}

fn read_into(
    reader: &mut impl Read,
    buffer: &mut DecompressBuffer,
) -> Result<usize, DecompressError> {
    let read = reader.read(buffer.free()).map_err(DecompressError::of)?;
    buffer.advance(read);
    Ok(read)
}

/// A frame of Java's library: its length, big-endian, and its bytes.
fn take_frame<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    let (block, behind) = behind.split_at_checked(length)?;
    *rest = behind;
    Some(block)
}

/// A block begins with its decompressed length. Snappy makes at most 64 bytes
/// of 3, so that a wrong length is refused before it is allocated.
fn fill_snappy(
    decoder: &mut snap::raw::Decoder,
    block: &[u8],
    buffer: &mut DecompressBuffer,
) -> Result<usize, DecompressError> {
    let length = snap::raw::decompress_len(block).map_err(DecompressError::of)?;
    if length > block.len().saturating_mul(22).saturating_add(64) {
        let reason = format!("{} bytes can't become {length} bytes", block.len());
        return Err(DecompressError::Malformed(reason));
    }
    if !buffer.reserve_all(length) {
        return Err(DecompressError::TooLarge);
    }
    let written = decoder
        .decompress(block, &mut buffer.free()[..length])
        .map_err(DecompressError::of)?;
    buffer.advance(written);
    Ok(written)
}
