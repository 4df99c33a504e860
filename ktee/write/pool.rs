//! The threads that compress and store segments.
//!
//! The jobs of a partition are done in order, by one thread: segments are stored in the order in which they were begun, so
//! that two writers that go on from the same end always want the same name next, and only one of them gets it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use super::index::Target;
use super::partition::Records;
use super::publish::{Published, Segment};
use crate::destination::Waiting;
use crate::segment::codec::Compressor;
use crate::segment::{Codec, Name};

/// An object store answers slowly, and many at once.
const THREADS: usize = 4;
/// Who waits for the threads handles signals this often.
const TICK: Duration = Duration::from_millis(500);
/// Empty blocks that are kept for the next records, so that memory is not asked of the system again and again.
const SPARE_BLOCKS: usize = 4;

/// What there is to do for a segment.
pub(super) struct Job {
    pub(super) target: Arc<Target>,
    /// The segment, once a thread has begun it; its file is removed when the last holder drops it.
    pub(super) segment: Arc<Mutex<Option<Segment>>>,
    pub(super) name: Name,
    /// The lines of its next records, if there are more.
    pub(super) block: Vec<u8>,
    /// Set if it is whole: store it.
    pub(super) whole: Option<Records>,
}

/// The block of a job that is done, and what became of the segment that was whole.
type Done = (Vec<u8>, Published);

pub(super) struct Pool {
    threads: Vec<Sender<Job>>,
    done: Receiver<Result<Done>>,
    /// Jobs that are not done yet, and the bytes of their blocks.
    open_jobs: usize,
    open_bytes: usize,
    /// Empty blocks with capacity.
    pub(super) spare_blocks: Vec<Vec<u8>>,
    /// What has become durable.
    pub(super) published: Published,
}

impl Pool {
    pub(super) fn start(codec: Codec) -> Result<Pool> {
        let (sender, done) = channel();
        let has_failed = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for number in 0..THREADS {
            let (sender, has_failed) = (sender.clone(), Arc::clone(&has_failed));
            let (jobs, received) = channel();
            let compressor = Compressor::new(codec).context("cannot compress")?;
            std::thread::Builder::new()
                .name(format!("segments-{number}"))
                .spawn(move || run(received, &sender, &has_failed, compressor))
                .context("cannot start a thread")?;
            threads.push(jobs);
        }
        Ok(Pool {
            threads,
            done,
            open_jobs: 0,
            open_bytes: 0,
            spare_blocks: Vec::new(),
            published: Published::default(),
        })
    }

    /// Has a job done for partition number `at`.
    pub(super) fn send(&mut self, at: usize, job: Job) {
        self.open_jobs += 1;
        self.open_bytes += job.block.len();
        // A thread ends when this does, and not before.
        let _ = self.threads[at % THREADS].send(job);
    }

    /// Takes the results that are there, without waiting.
    pub(super) fn poll(&mut self) -> Result<()> {
        while let Ok(done) = self.done.try_recv() {
            self.note(done?);
        }
        Ok(())
    }

    /// Waits until at most `jobs` jobs are open, with at most `bytes` bytes.
    #[inline]
    pub(super) fn wait(
        &mut self,
        jobs: usize,
        bytes: usize,
        waiting: &mut Waiting<'_>,
    ) -> Result<()> {
        while self.open_jobs > jobs || self.open_bytes > bytes {
            if let Ok(done) = self.done.recv_timeout(TICK) {
                self.note(done?);
            }
            waiting();
        }
        Ok(())
    }

    fn note(&mut self, (mut block, published): Done) {
        self.open_jobs -= 1;
        self.open_bytes -= block.len();
        self.published.add(published);
        if self.spare_blocks.len() < SPARE_BLOCKS {
            block.clear();
            self.spare_blocks.push(block);
        }
    }
}

/// What a thread does; after the first failure of any of them, nothing more.
fn run(
    jobs: Receiver<Job>,
    done: &Sender<Result<Done>>,
    has_failed: &AtomicBool,
    mut compressor: Compressor,
) {
    for job in jobs {
        if has_failed.load(Ordering::Relaxed) {
            continue;
        }
        let finished = work(job, &mut compressor);
        has_failed.fetch_or(finished.is_err(), Ordering::Relaxed);
        // Nobody listens any more after a failure.
        let _ = done.send(finished);
    }
}

fn work(job: Job, compressor: &mut Compressor) -> Result<Done> {
    let mut open = job.segment.lock().unwrap_or_else(PoisonError::into_inner);
    // After an error it is gone, and with it the file.
    let mut segment = match open.take() {
        Some(begun) => begun,
        None => Segment::begin(job.target, job.name)?,
    };
    if !job.block.is_empty() {
        let added = segment.add(&job.block, compressor);
        added.with_context(|| segment.target.log.to_string())?;
    }
    let mut published = Published::default();
    if let Some(records) = job.whole {
        published = segment.publish(records, compressor)?;
    } else {
        *open = Some(segment);
    }
    Ok((job.block, published))
}
