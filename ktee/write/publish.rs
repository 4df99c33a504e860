//! The threads that make segments durable, each the segments of its partitions, in order.
//!
//! A name that is taken means that another writer was first with records from
//! the same offset on. Its records are ours; what ours has beyond them becomes
//! a segment of its own.

use std::collections::HashMap;
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::stored::find_last;
use crate::read::Reader;
use crate::read::segment::{fingerprint, hex};
use crate::segment::codec::Compressor;
use crate::segment::{Manifest, Name, Open, Place};
use crate::store::{Created, Draft, Store};

/// A segment that is whole, and not in its place yet.
pub(super) struct Job {
    pub(super) ticket: u64,
    pub(super) slot: usize,
    pub(super) place: Arc<Place>,
    pub(super) name: Name,
    pub(super) manifest: Manifest,
    pub(super) draft: Draft,
}

/// What became of a segment.
pub(super) enum Outcome {
    /// All its records are durable, in it or in another writer's.
    Stored {
        ticket: u64,
        records: u64,
        stored_bytes: u64,
    },
    /// The backup can't go on.
    Failed(anyhow::Error),
}

/// Where outcomes go; after the first failure nothing is stored any more.
#[derive(Clone)]
pub(super) struct Reports {
    pub(super) outcomes: Sender<Outcome>,
    pub(super) is_broken: Arc<AtomicBool>,
}

impl Reports {
    pub(super) fn send(&self, outcome: Outcome) {
        if matches!(outcome, Outcome::Failed(_)) {
            self.is_broken.store(true, Ordering::SeqCst);
        }
        // Nobody hears it only when the program is ending.
        let _ = self.outcomes.send(outcome);
    }
}

/// One such thread.
pub(super) struct Publisher {
    pub(super) store: Arc<dyn Store>,
    pub(super) reports: Reports,
}

impl Publisher {
    /// Works until nobody can ask for more.
    pub(super) fn run(self, jobs: &Receiver<Job>) {
        // The last offset that another writer was found to have stored, by the slot that met it.
        let mut met: HashMap<usize, i64> = HashMap::new();
        for mut job in jobs {
            if self.reports.is_broken.load(Ordering::SeqCst) {
                continue;
            }
            let outcome = match self.publish(&mut job, &mut met) {
                Ok(stored_bytes) => Outcome::Stored {
                    ticket: job.ticket,
                    records: job.manifest.records,
                    stored_bytes,
                },
                Err(error) => Outcome::Failed(error),
            };
            self.reports.send(outcome);
        }
    }

    /// Makes the records of `job` durable; says how many bytes that took.
    fn publish(&self, job: &mut Job, met: &mut HashMap<usize, i64>) -> Result<u64> {
        loop {
            let is_position = *job.place != Place::Lines;
            if let Some(&last) = met.get(&job.slot)
                && is_position
                && job.manifest.first <= last
            {
                if job.manifest.last <= last {
                    return Ok(0);
                }
                self.trim(job, last)?;
            }
            let path = job.name.path(&job.place);
            match self.store.create(&path, &mut job.draft, &job.manifest)? {
                Created::New => return Ok(job.manifest.stored_bytes),
                Created::Exists if is_position => {
                    let stored = find_last(&*self.store, &job.place)?;
                    let last = stored.map(|manifest| manifest.last);
                    let last =
                        last.with_context(|| format!("{path} is there and is not listed"))?;
                    met.insert(job.slot, last);
                }
                Created::Exists => {
                    job.name.first += 1;
                    (job.manifest.first, job.manifest.last) = (job.name.first, job.name.first);
                }
            }
        }
    }

    /// Leaves out the records up to `last`, which another writer has stored.
    fn trim(&self, job: &mut Job, last: i64) -> Result<()> {
        let mut file = job.draft.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        let mut reader = Reader::new(Box::new(file), &job.name)?;
        let mut rest = Vec::new();
        let mut open = Open {
            after: Some(last),
            ..Open::default()
        };
        while let Some((record, line)) = reader.next()? {
            let record = record.record();
            if let Some(offset) = record.offset.filter(|offset| *offset > last) {
                rest.extend_from_slice(line);
                open.add(
                    offset,
                    record.timestamp_ms,
                    line.len(),
                    fingerprint(&record),
                );
            }
        }
        let mut compressor = Compressor::new(job.name.codec)?;
        let frame = compressor.compress(&rest)?;
        job.draft = self.store.draft(&job.place.folder())?;
        job.draft.file.write_all(frame)?;
        job.manifest = Manifest {
            stored_bytes: frame.len() as u64,
            sha256: hex(&Sha256::digest(frame)),
            ..open.manifest()
        };
        job.name.first = open.first;
        Ok(())
    }
}
