//! How segments are written, and of which input.

use std::time::Duration;

use anyhow::Result;
use tools::record::tsv::{ByteStyle, Column};
use tools::record::{Encoder, Format, Record};

use crate::read::segment::format;
use crate::segment::{Codec, Cut, Layout};
use crate::store::Access;

/// What `--segment-...`, `--compress`, `--max-delay` and `--buffer` say.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How records with a position are written: TSV or JSON.
    pub(crate) layout: Layout,
    pub(crate) codec: Codec,
    pub(crate) cut: Cut,
    /// A segment that has been open for this time is closed as it is.
    pub(crate) max_delay: Duration,
    pub(crate) access: Access,
    /// `--buffer`: half of it is for blocks that grow, half for those that wait to be compressed.
    pub(crate) block_bytes: usize,
    /// The bucket itself deletes what is older.
    pub(crate) expire_after: Option<Duration>,
}

/// Whether records of this format say where they were, so that a backup can be resumed; else they are lines.
pub(crate) fn has_positions(format: &Format) -> bool {
    match format {
        Format::Json(_) => true,
        Format::Tsv(tsv) => [Column::Topic, Column::Partition, Column::Offset]
            .iter()
            .all(|column| tsv.columns.contains(*column)),
        Format::Raw(_) | Format::Template(_) => false,
    }
}

/// How records become lines of a segment.
pub(super) struct Encoding {
    /// None for lines.
    encoder: Option<Encoder>,
    /// Whether a line of the input is one of a segment, too.
    keeps_lines: bool,
    pub(super) layout: Layout,
    pub(super) codec: Codec,
}

impl Encoding {
    pub(super) fn new(input: &Format, settings: &Settings) -> Encoding {
        let (layout, codec) = (settings.layout, settings.codec);
        let layout = if has_positions(input) {
            layout
        } else {
            Layout::Text
        };
        let is_same = |wanted: &Format| match (input, wanted) {
            (Format::Tsv(input), Format::Tsv(wanted)) => {
                input.columns == wanted.columns && input.bytes == ByteStyle::Plain
            }
            (Format::Json(input), Format::Json(_)) => input.delimiter == b"\n",
            _ => false,
        };
        let wanted = format(layout);
        Encoding {
            keeps_lines: wanted.as_ref().is_none_or(is_same),
            encoder: wanted.map(Encoder::new),
            layout,
            codec,
        }
    }

    #[inline]
    pub(super) fn write(
        &mut self,
        record: &Record<'_>,
        line: &[u8],
        block: &mut Vec<u8>,
    ) -> Result<()> {
        if let Some(encoder) = &mut self.encoder
            && !(self.keeps_lines && (self.layout == Layout::Tsv || is_object(line)))
        {
            return Ok(encoder.encode(record, block)?);
        }
        block.extend_from_slice(line);
        if line.last() != Some(&b'\n') {
            block.push(b'\n');
        }
        Ok(())
    }
}

/// Whether this is all of a line of JSON: of an array of records it is one of them, with a bracket or a comma.
fn is_object(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.starts_with(b"{") && line.ends_with(b"}")
}
