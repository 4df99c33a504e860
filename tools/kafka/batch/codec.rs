//! The five codecs, each as a stream that fills a window.

use std::fmt;
use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;
use zstd::stream::raw::{Decoder as ZstdDecoder, Operation};

use super::BatchError;
use super::unpack::Window;

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// One block, or the frames of Java's library (xerial).
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// RFC 8878.
    Zstd,
}

impl Codec {
    /// The codec of these bits of a batch's attributes.
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

/// What is kept from batch to batch, because it is dear to make.
#[derive(Default)]
pub(super) struct Kept {
    zstd: Option<ZstdDecoder<'static>>,
    snappy: snap::raw::Decoder,
}

/// Compressed bytes on their way to a window.
pub(super) enum Stream<'a> {
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
        /// Bytes that the frame still wants, as zstd guesses; 0 at a frame's end.
        wanted: usize,
    },
}

/// What Java's snappy library puts in front: a magic number and two versions.
const XERIAL: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEAD_BYTES: usize = 16;

impl<'a> Stream<'a> {
    /// A stream of `bytes`.
    ///
    /// # Errors
    /// zstd finds no memory.
    pub(super) fn open(codec: Codec, bytes: &'a [u8], kept: &'a mut Kept) -> Result<Self, String> {
        Ok(match codec {
            Codec::None => return Err("nothing is compressed".to_owned()),
            Codec::Gzip => Stream::Gzip(Box::new(MultiGzDecoder::new(bytes))),
            Codec::Lz4 => Stream::Lz4(Box::new(FrameDecoder::new(bytes))),
            Codec::Snappy => {
                let framed = bytes.get(XERIAL_HEAD_BYTES..);
                let framed = framed.filter(|_| bytes.starts_with(XERIAL));
                Stream::Snappy {
                    rest: framed.unwrap_or(bytes),
                    is_framed: framed.is_some(),
                    decoder: &mut kept.snappy,
                }
            }
            Codec::Zstd => {
                let decoder = match &mut kept.zstd {
                    Some(decoder) => {
                        decoder.reinit().map_err(|error| error.to_string())?;
                        decoder
                    }
                    none => none.insert(ZstdDecoder::new().map_err(|error| error.to_string())?),
                };
                Stream::Zstd {
                    rest: bytes,
                    decoder,
                    wanted: 1,
                }
            }
        })
    }

    /// Puts more bytes into the window, which has room; 0 means that there are no more.
    pub(super) fn fill(&mut self, window: &mut Window) -> Result<usize, Trouble> {
        match self {
            Stream::Gzip(decoder) => read_into(decoder, window),
            Stream::Lz4(decoder) => read_into(decoder, window),
            Stream::Snappy {
                rest,
                is_framed,
                decoder,
            } => {
                let mut written = 0;
                while written == 0 && !rest.is_empty() {
                    let block = if *is_framed {
                        take_frame(rest).ok_or_else(|| Trouble::of("a frame is cut"))?
                    } else {
                        std::mem::take(rest)
                    };
                    written = fill_snappy(decoder, block, window)?;
                }
                Ok(written)
            }
            Stream::Zstd {
                rest,
                decoder,
                wanted,
            } => loop {
                if rest.is_empty() && *wanted == 0 {
                    return Ok(0);
                }
                let status = decoder
                    .run_on_buffers(rest, window.free())
                    .map_err(Trouble::of)?;
                *rest = &rest[status.bytes_read..];
                *wanted = status.remaining;
                window.filled(status.bytes_written);
                if status.bytes_written > 0 {
                    return Ok(status.bytes_written);
                }
                if status.bytes_read == 0 {
                    return if status.remaining == 0 {
                        Ok(0)
                    } else {
                        Err(Trouble::of("the frame is cut"))
                    };
                }
            },
        }
    }
}

/// Why there are no more bytes.
pub(super) enum Trouble {
    /// They are not what the codec writes.
    Malformed(String),
    /// There are more than may be.
    TooLarge,
}

impl Trouble {
    fn of(reason: impl fmt::Display) -> Trouble {
        Trouble::Malformed(reason.to_string())
    }
}

fn read_into(reader: &mut impl Read, window: &mut Window) -> Result<usize, Trouble> {
    let read = reader.read(window.free()).map_err(Trouble::of)?;
    window.filled(read);
    Ok(read)
}

/// A block of Java's framing: its length, big-endian, and its bytes.
fn take_frame<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    let (block, behind) = behind.split_at_checked(length)?;
    *rest = behind;
    Some(block)
}

/// A block says how long it will be; no element of snappy makes more than 64
/// bytes of 3, so that a lie is seen before room is made for it.
fn fill_snappy(
    decoder: &mut snap::raw::Decoder,
    block: &[u8],
    window: &mut Window,
) -> Result<usize, Trouble> {
    let length = snap::raw::decompress_len(block).map_err(Trouble::of)?;
    if length > block.len().saturating_mul(22).saturating_add(64) {
        let reason = format!("{} bytes can't become {length} bytes", block.len());
        return Err(Trouble::Malformed(reason));
    }
    if !window.make_room_for_all(length) {
        return Err(Trouble::TooLarge);
    }
    let written = decoder
        .decompress(block, &mut window.free()[..length])
        .map_err(Trouble::of)?;
    window.filled(written);
    Ok(written)
}
