//! How segments are written, and of which input.

use std::time::Duration;

use tools::record::tsv::{ByteStyle, Column};
use tools::record::{Encoder, Format};

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

/// What writes records of `input` as a segment has them; `None` where a line of it is that already.
pub(super) fn encoder(input: &Format, layout: Layout) -> Option<Encoder> {
    let wanted = format(layout)?;
    let is_same = match (input, &wanted) {
        (Format::Tsv(input), Format::Tsv(wanted)) => {
            input.columns == wanted.columns && input.bytes == ByteStyle::Plain
        }
        (Format::Json(input), Format::Json(_)) => input.delimiter == b"\n",
        _ => false,
    };
    (!is_same).then(|| Encoder::new(wanted))
}
