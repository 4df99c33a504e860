//! The records of one partition in order, each once, from segments that may overlap.

use anyhow::{Context, Result, ensure};
use tools::record::{Decoded, Decoder, Record};

use super::segment::format;
use super::{Reader, inventory};
use crate::segment::{Layout, Manifest, Name, Place};
use crate::store::Store;

/// A segment with what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) name: Name,
    pub(crate) facts: Manifest,
}

/// What takes records: the record, its line as it stands in the segment, and the segment's layout.
pub(crate) type Take<'a> = dyn FnMut(&Record<'_>, &[u8], Layout) -> Result<()> + 'a;

/// Hands over the records of `segments`, which are sorted by their first offset: in order, each offset once.
///
/// # Errors
/// A segment can't be read or is not what its manifest says, which for its
/// checksum is known only behind its last record.
pub(crate) fn merge(
    store: &dyn Store,
    place: &Place,
    segments: &[Known],
    take: &mut Take<'_>,
) -> Result<()> {
    let mut rest = segments;
    while !rest.is_empty() {
        let (group, behind) = rest.split_at(group_len(rest));
        match group {
            [one] => read_one(store, place, one, take)?,
            many => read_many(store, place, many, take)?,
        }
        rest = behind;
    }
    Ok(())
}

/// How many segments at the front overlap each other, directly or by others; one at least.
fn group_len(segments: &[Known]) -> usize {
    let mut last = segments[0].facts.last;
    for (at, segment) in segments.iter().enumerate().skip(1) {
        if segment.name.first > last {
            return at;
        }
        last = last.max(segment.facts.last);
    }
    segments.len()
}

fn read_one(store: &dyn Store, place: &Place, segment: &Known, take: &mut Take<'_>) -> Result<()> {
    let path = || segment.name.path(place);
    let mut reader = inventory::open(store, place, &segment.name)?;
    while let Some((record, line)) = reader.next().with_context(path)? {
        take(&record.record(), line, segment.name.layout)?;
    }
    check(reader, segment).with_context(path)
}

/// A segment that is read beside others, and its next record.
struct MergeCursor<'a> {
    segment: &'a Known,
    reader: Reader,
    head: Option<(i64, Vec<u8>)>,
}

impl MergeCursor<'_> {
    fn advance(&mut self) -> Result<()> {
        let next = self.reader.next()?;
        self.head = next.map(|(record, line)| {
            let offset = record.record().offset.unwrap_or(-1);
            (offset, line.to_vec())
        });
        Ok(())
    }
}

fn read_many(
    store: &dyn Store,
    place: &Place,
    segments: &[Known],
    take: &mut Take<'_>,
) -> Result<()> {
    let mut open = Vec::new();
    for segment in segments {
        let reader = inventory::open(store, place, &segment.name)?;
        let head = None;
        let mut beside = MergeCursor {
            segment,
            reader,
            head,
        };
        beside.advance().with_context(|| segment.name.path(place))?;
        open.push(beside);
    }
    let mut emitted = None;
    loop {
        let heads = open.iter().enumerate();
        let heads = heads.filter_map(|(at, beside)| Some((beside.head.as_ref()?.0, at)));
        let Some((offset, at)) = heads.min() else {
            break;
        };
        let beside = &mut open[at];
        let line = beside.head.take().map(|(_, line)| line).unwrap_or_default();
        beside
            .advance()
            .with_context(|| beside.segment.name.path(place))?;
        if emitted.is_some_and(|emitted| offset <= emitted) {
            continue;
        }
        emitted = Some(offset);
        let layout = beside.segment.name.layout;
        let mut decoder = format(layout).map(Decoder::new).transpose()?;
        if let Some(decoder) = &mut decoder
            && let Decoded::Record { record, .. } = decoder.decode(&line, true)?
        {
            take(&record.record(), &line, layout)?;
        }
    }
    for beside in open {
        check(beside.reader, beside.segment).with_context(|| beside.segment.name.path(place))?;
    }
    Ok(())
}

fn check(reader: Reader, segment: &Known) -> Result<()> {
    let counted = reader.manifest()?;
    ensure!(
        counted.sha256 == segment.facts.sha256,
        "the checksum is not the manifest's"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Codec;

    fn known(first: i64, last: i64) -> Known {
        Known {
            name: Name {
                first,
                time_ms: None,
                layout: Layout::Tsv,
                codec: Codec::None,
            },
            facts: Manifest {
                first,
                last,
                ..Manifest::default()
            },
        }
    }

    #[test]
    fn segments_that_overlap_are_read_together() {
        let segments = [known(0, 9), known(5, 30), known(10, 12), known(31, 40)];
        assert_eq!(group_len(&segments), 3);
        assert_eq!(group_len(&segments[3..]), 1);
        assert_eq!(group_len(&[known(0, 4), known(5, 9)]), 1);
    }
}
