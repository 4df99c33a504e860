//! The threads that make segments durable, each the segments of its partitions, in order.
//!
//! Another writer may store the same records at the same time. So each segment
//! is made to begin behind what is listed just before, and its name is the
//! first offset: of two that go on from the same end only one can create it.

use std::collections::HashMap;
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};

use anyhow::{Result, bail};
use sha2::{Digest, Sha256};

use super::stored::{find_last, find_newer};
use crate::read::Reader;
use crate::read::segment::{fingerprint, hex};
use crate::segment::codec::Compressor;
use crate::segment::{Manifest, Name, Open, Place};
use crate::store::{Created, Store, TempSegment};

/// A segment that is whole, and not in its place yet.
pub(super) struct Job {
    pub(super) ticket: u64,
    pub(super) place: Arc<Place>,
    pub(super) name: Name,
    pub(super) manifest: Manifest,
    pub(super) temp: TempSegment,
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

/// The last segment of a place: its first offset, and the last offset of all.
#[derive(Clone, Copy, Debug)]
struct End {
    first: i64,
    last: i64,
}

/// One such thread.
pub(super) struct Publisher {
    pub(super) store: Arc<dyn Store>,
    pub(super) reports: Reports,
}

impl Publisher {
    /// Works until nobody can ask for more.
    pub(super) fn run(self, jobs: &Receiver<Job>) {
        let mut ends = HashMap::new();
        for mut job in jobs {
            if self.reports.is_broken.load(Ordering::SeqCst) {
                continue;
            }
            let outcome = match self.publish(&mut job, &mut ends) {
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
    ///
    /// A segment begins behind the last one that is listed, whoever wrote
    /// that. Another writer that goes on from there needs the same name, so
    /// that one of the two is refused, and looks again.
    fn publish(&self, job: &mut Job, ends: &mut HashMap<Arc<Place>, End>) -> Result<u64> {
        if *job.place == Place::Lines {
            return self.publish_lines(job);
        }
        let mut refused = None;
        loop {
            let end = self.look(&job.place, ends)?;
            if let Some(end) = end
                && job.manifest.first <= end.last
            {
                if job.manifest.last <= end.last {
                    return Ok(0);
                }
                self.trim(job, end.last)?;
            }
            let path = job.name.path(&job.place);
            if refused.as_ref() == Some(&path) {
                bail!("{path} is there and is not listed");
            }
            match self.store.create(&path, &mut job.temp, &job.manifest)? {
                Created::Exists => refused = Some(path),
                Created::New => {
                    let (first, last) = (job.manifest.first, job.manifest.last);
                    ends.insert(Arc::clone(&job.place), End { first, last });
                    return Ok(job.manifest.stored_bytes);
                }
            }
        }
    }

    /// Lines have no place in an order: the next free number is as good as any.
    fn publish_lines(&self, job: &mut Job) -> Result<u64> {
        while self
            .store
            .create(&job.name.path(&job.place), &mut job.temp, &job.manifest)?
            == Created::Exists
        {
            job.name.first += 1;
            (job.manifest.first, job.manifest.last) = (job.name.first, job.name.first);
        }
        Ok(job.manifest.stored_bytes)
    }

    /// The last segment of a place, looked for behind the one that was the last before.
    fn look(&self, place: &Arc<Place>, ends: &mut HashMap<Arc<Place>, End>) -> Result<Option<End>> {
        let known = ends.get(place).copied();
        let found = match known {
            None => find_last(&*self.store, place)?,
            Some(end) => find_newer(&*self.store, place, end.first)?,
        };
        let Some(found) = found else {
            return Ok(known);
        };
        let end = End {
            first: found.first,
            last: found.last.max(known.map_or(found.last, |known| known.last)),
        };
        ends.insert(Arc::clone(place), end);
        Ok(Some(end))
    }

    /// Leaves out the records up to `last`, which another writer has stored.
    fn trim(&self, job: &mut Job, last: i64) -> Result<()> {
        let mut file = job.temp.file.try_clone()?;
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
                open.add(offset, record.timestamp_ms, line.len());
                open.last_crc = fingerprint(&record);
            }
        }
        let mut compressor = Compressor::new(job.name.codec)?;
        let frame = compressor.compress(&rest)?;
        job.temp = self.store.temp_segment(&job.place.folder())?;
        job.temp.file.write_all(frame)?;
        job.manifest = Manifest {
            stored_bytes: frame.len() as u64,
            sha256: hex(&Sha256::digest(frame)),
            ..open.manifest()
        };
        job.name.first = open.first;
        Ok(())
    }
}
