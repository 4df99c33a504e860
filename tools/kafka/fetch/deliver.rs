//! From the batches of an answer to the records that a reader is to see: none twice, none aborted, none behind the bound.

use std::ops::ControlFlow;

use super::Taker;
use super::machine::Piece;
use crate::kafka::batch::{
    Batch, BatchDecoder, BatchError, Batches, Marker, RawRecord, RawRecordVisitor, Values,
};
use crate::kafka::consume::message::recycle;
use crate::record::{Header, Record, TimestampType};

/// What holds for the records of one partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) broker: i32,
    /// The offset before which reading stops; the largest number for none.
    pub(super) end: i64,
    /// The time before which reading stops; the largest number for none.
    pub(super) stop_time_ms: i64,
    pub(super) is_committed_only: bool,
    pub(super) wants_headers: bool,
}

/// How handing out a piece ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handed {
    /// All of it was handed out.
    All,
    /// The taker wants no more for now; the rest stays in the piece.
    Stopped,
    /// The partition's bound was met, at this offset.
    Bound(i64),
}

/// A batch that can't be read.
#[derive(Debug)]
pub(super) struct Bad {
    pub(super) offset: i64,
    pub(super) error: BatchError,
    /// Whether it is known where the next batch begins; the piece goes on there.
    pub(super) is_passable: bool,
}

/// Hands records out and keeps its memory between pieces.
pub(super) struct Deliverer {
    decoder: BatchDecoder,
    headers: Vec<Header<'static>>,
    /// How many records were handed out.
    pub(super) records: usize,
}

impl Deliverer {
    pub(super) fn new(limit_bytes: usize) -> Deliverer {
        Deliverer {
            decoder: BatchDecoder::new(limit_bytes),
            headers: Vec::new(),
            records: 0,
        }
    }

    /// Hands out the records of `piece`, which lie in `body`; the piece keeps what is left of it.
    pub(super) fn piece(
        &mut self,
        body: &[u8],
        piece: &mut Piece,
        rules: &Rules<'_>,
        taker: &mut impl Taker,
    ) -> Result<Handed, Bad> {
        let mut batches = Batches::new(&body[piece.stretch.records.clone()]);
        while let Some(batch) = batches.next() {
            let behind = piece.stretch.records.end - batches.rest().len();
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => {
                    piece.stretch.records.start = piece.stretch.records.end;
                    return Err(Bad {
                        offset: piece.from,
                        error,
                        is_passable: false,
                    });
                }
            };
            if batch.base_offset >= rules.end {
                return Ok(Handed::Bound(rules.end));
            }
            match self.batch(&batch, piece, rules, taker) {
                Ok(Handed::All) => {}
                Ok(other) => return Ok(other),
                Err(error) => {
                    let offset = piece.from.max(batch.base_offset);
                    piece.stretch.records.start = behind;
                    piece.from = piece.from.max(batch.next_offset());
                    return Err(Bad {
                        offset,
                        error,
                        is_passable: true,
                    });
                }
            }
            piece.stretch.records.start = behind;
            piece.from = piece.from.max(batch.next_offset());
        }
        // A damaged batch behind the bound is nobody's business.
        let damage = piece.stretch.damage.as_ref();
        let is_bound = piece.stretch.next >= rules.end;
        if is_bound && damage.is_none_or(|damage| damage.offset >= rules.end) {
            return Ok(Handed::Bound(rules.end));
        }
        match piece.take_damage() {
            None => Ok(Handed::All),
            Some(damage) => Err(Bad {
                offset: damage.offset,
                error: damage.error,
                is_passable: damage.is_passable,
            }),
        }
    }

    fn batch(
        &mut self,
        batch: &Batch<'_>,
        piece: &mut Piece,
        rules: &Rules<'_>,
        taker: &mut impl Taker,
    ) -> Result<Handed, BatchError> {
        if batch.next_offset() <= piece.from {
            return Ok(Handed::All);
        }
        let is_aborted = rules.is_committed_only && is_aborted(batch, &mut piece.aborted)?;
        if is_aborted || batch.is_control() {
            return Ok(Handed::All);
        }
        let usual = Record {
            topic: Some(rules.topic),
            partition: Some(rules.partition),
            broker: Some(rules.broker),
            timestamp_type: if batch.is_log_append_time() {
                TimestampType::LogAppendTime
            } else {
                TimestampType::CreateTime
            },
            ..Record::default()
        };
        let mut handing = Handing {
            usual,
            rules,
            next: &mut piece.from,
            taker,
            headers: &mut self.headers,
            records: &mut self.records,
            bound: None,
            is_malformed: false,
        };
        let flow = self.decoder.visit(batch, &mut handing)?;
        match handing.bound {
            Some(offset) => Ok(Handed::Bound(offset)),
            None if handing.is_malformed => Err(BatchError::Record {
                index: (piece.from - 1 - batch.base_offset) as i32,
                problem: "its headers do not add up",
            }),
            None if flow.is_break() => Ok(Handed::Stopped),
            None => Ok(Handed::All),
        }
    }
}

/// The records of one batch, on their way to the taker.
struct Handing<'h, T> {
    /// What all records of the batch have in common.
    usual: Record<'h>,
    rules: &'h Rules<'h>,
    /// Where the partition goes on.
    next: &'h mut i64,
    taker: &'h mut T,
    headers: &'h mut Vec<Header<'static>>,
    records: &'h mut usize,
    /// Where the partition's bound was met.
    bound: Option<i64>,
    is_malformed: bool,
}

impl<T: Taker> RawRecordVisitor for Handing<'_, T> {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of the loop over records")]
    fn values(&mut self, values: &mut Values<'_, '_>) {
        let rules = self.rules;
        // Where a record may be behind a bound, each is looked at.
        if values.batch().last_offset >= rules.end || rules.stop_time_ms != i64::MAX {
            return;
        }
        values.not_before(*self.next);
        let taken = self.taker.values(values);
        if taken > 0 {
            *self.next = values.next_offset();
            *self.records += taken;
        }
    }

    fn record(&mut self, raw: RawRecord<'_>) -> ControlFlow<()> {
        let rules = self.rules;
        if raw.offset < *self.next {
            return ControlFlow::Continue(());
        }
        if raw.offset >= rules.end || raw.timestamp_ms >= rules.stop_time_ms {
            self.bound = Some(raw.offset.min(rules.end));
            return ControlFlow::Break(());
        }
        *self.next = raw.offset + 1;
        *self.records += 1;
        let record = Record {
            offset: Some(raw.offset),
            timestamp_ms: (raw.timestamp_ms >= 0).then_some(raw.timestamp_ms),
            key: raw.key,
            value: raw.value,
            ..self.usual
        };
        let mut list = Vec::new();
        if rules.wants_headers && !raw.headers.is_empty() {
            list = recycle(std::mem::take(self.headers));
            if !raw.headers.read(&mut list) {
                self.is_malformed = true;
                return ControlFlow::Break(());
            }
        }
        let flow = self.taker.record(&Record {
            headers: &list,
            ..record
        });
        if list.capacity() > 0 {
            *self.headers = recycle(list);
        }
        flow
    }
}

/// Whether a batch belongs to a transaction that was aborted.
///
/// `aborted` has the transactions by their first offset; each is taken off by
/// its marker (as `CompletedFetch.java` does).
fn is_aborted(batch: &Batch<'_>, aborted: &mut Vec<(i64, i64)>) -> Result<bool, BatchError> {
    if !batch.is_transactional() {
        return Ok(false);
    }
    let begun = aborted
        .iter()
        .take_while(|&&(_, first)| first <= batch.last_offset);
    let own = begun
        .enumerate()
        .find(|(_, (producer, _))| *producer == batch.producer_id);
    let Some((own, _)) = own else {
        return Ok(false);
    };
    if batch.is_control() && batch.marker()? == Marker::Abort {
        aborted.remove(own);
    }
    Ok(true)
}
