//! The thread that compresses: blocks of records become frames of the segment that they belong to.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::budget::Budget;
use super::publish::{Job, Outcome, Reports};
use crate::read::segment::hex;
use crate::segment::codec::Compressor;
use crate::segment::{Codec, Layout, Name, Open, Place};
use crate::store::{Store, TempSegment};

/// What there is to do, in order.
pub(super) enum Work {
    /// These bytes are the next ones of the segment that is open for this number.
    Block {
        slot: usize,
        place: Arc<Place>,
        bytes: Vec<u8>,
    },
    /// The segment is whole.
    Close {
        slot: usize,
        place: Arc<Place>,
        open: Open,
        time_ms: Option<i64>,
        ticket: u64,
    },
    /// The segment is not wanted any more.
    Abandon { slot: usize },
}

/// The compressor and the segments that grow.
pub(super) struct Packer {
    pub(super) store: Arc<dyn Store>,
    pub(super) budget: Arc<Budget>,
    pub(super) codec: Codec,
    pub(super) layout: Layout,
    pub(super) publishers: Vec<SyncSender<Job>>,
    pub(super) reports: Reports,
}

struct Growing {
    temp: TempSegment,
    sha256: Sha256,
    stored_bytes: u64,
}

impl Packer {
    /// Works until nobody can ask for more.
    ///
    /// After a failure nothing more is stored: a later segment without an
    /// earlier one would be a hole.
    pub(super) fn run(self, work: &Receiver<Work>) {
        let mut growing = HashMap::new();
        let mut compressor = Compressor::new(self.codec).context("cannot compress");
        for work in work {
            let done = match (&mut compressor, work) {
                (Ok(compressor), work) => self.work(work, compressor, &mut growing),
                (Err(_), Work::Block { bytes, .. }) => {
                    self.budget.give_back(bytes);
                    Ok(())
                }
                (Err(_), Work::Close { .. } | Work::Abandon { .. }) => Ok(()),
            };
            if let Err(error) = done {
                growing.clear();
                self.reports.send(Outcome::Failed(error));
                compressor = Err(anyhow::anyhow!("given up"));
            }
        }
    }

    fn work(
        &self,
        work: Work,
        compressor: &mut Compressor,
        growing: &mut HashMap<usize, Growing>,
    ) -> Result<()> {
        match work {
            Work::Block { slot, place, bytes } => {
                let added = self.add(slot, &place, &bytes, compressor, growing);
                self.budget.give_back(bytes);
                added
            }
            Work::Close {
                slot,
                place,
                open,
                time_ms,
                ticket,
            } => {
                let Some(whole) = growing.remove(&slot) else {
                    return Ok(());
                };
                let mut manifest = open.manifest();
                manifest.stored_bytes = whole.stored_bytes;
                manifest.sha256 = hex(&whole.sha256.finalize());
                let name = Name {
                    first: manifest.first,
                    time_ms,
                    layout: self.layout,
                    codec: self.codec,
                };
                let at = publisher_of(&place, self.publishers.len());
                let job = Job {
                    ticket,
                    place,
                    name,
                    manifest,
                    temp: whole.temp,
                };
                // A publisher that has failed has said so itself.
                let _ = self.publishers[at].send(job);
                Ok(())
            }
            Work::Abandon { slot } => {
                growing.remove(&slot);
                Ok(())
            }
        }
    }

    fn add(
        &self,
        slot: usize,
        place: &Place,
        bytes: &[u8],
        compressor: &mut Compressor,
        growing: &mut HashMap<usize, Growing>,
    ) -> Result<()> {
        let segment = match growing.entry(slot) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => entry.insert(Growing {
                temp: self.store.temp_segment(&place.folder())?,
                sha256: Sha256::new(),
                stored_bytes: 0,
            }),
        };
        let frame = compressor.compress(bytes).context("cannot compress")?;
        segment.sha256.update(frame);
        segment.stored_bytes += frame.len() as u64;
        let written = segment.temp.file.write_all(frame);
        written.with_context(|| format!("cannot write a segment of {place}"))
    }
}

/// All segments of a place go through one publisher.
fn publisher_of(place: &Place, publishers: usize) -> usize {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    place.hash(&mut hasher);
    (hasher.finish() % publishers as u64) as usize
}
