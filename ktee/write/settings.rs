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
    /// A segment that has been open for so long is closed as it is.
    pub(crate) max_delay: Duration,
    pub(crate) access: Access,
    /// Memory for records that are not compressed yet.
    pub(crate) buffer_bytes: usize,
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
    /// None where the lines of the input are those of a segment.
    encoder: Option<Encoder>,
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
        let wanted = format(layout).filter(|wanted| !is_same(wanted));
        Encoding {
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
        if let Some(encoder) = &mut self.encoder {
            return Ok(encoder.encode(record, block)?);
        }
        block.extend_from_slice(line);
        if line.last() != Some(&b'\n') {
            block.push(b'\n');
        }
        Ok(())
    }
}
