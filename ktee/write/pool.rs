//! The threads that compress and store segments.
//!
//! The jobs of a partition are done in order, by one thread: segments are stored in the order in which they were begun, so
//! that two writers that go on from the same end always want the same name next, and only one of them gets it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result};

use super::index::Target;
use super::publish::{Published, Publisher, SegmentInfo, SegmentWriter};
use crate::destination::Waiting;
use crate::segment::Codec;
use crate::segment::codec::Compressor;

/// An object store answers slowly, and many at once.
const THREADS: usize = 4;
/// Who waits for the threads handles signals this often.
const TICK: Duration = Duration::from_millis(500);
/// Jobs that wait at most, however small they are.
const MAX_JOBS: usize = 256;
/// Empty blocks that are kept for the next records, so that memory is not asked of the system again and again.
const SPARE_BLOCKS: usize = 4;

/// What there is to do for the open segment of a partition.
pub(super) enum Job {
    /// These are its next records, to be compressed like this.
    Block(Codec, Vec<u8>),
    /// It is whole: store it.
    Finish(Box<SegmentInfo>),
    /// It is not wanted any more.
    Drop,
}

/// What has become of a job.
enum Done {
    Compressed(Vec<u8>),
    Published(Published),
    Dropped,
}

/// A partition, by its number, and what to do for it.
type Order = (usize, Arc<Target>, Job);

pub(super) struct Pool {
    threads: Vec<Sender<Order>>,
    done: Receiver<Result<Done>>,
    buffer_bytes: usize,
    /// Jobs that are not done yet, and the bytes of their blocks.
    open_jobs: usize,
    open_bytes: usize,
    spare_blocks: Vec<Vec<u8>>,
    /// Segments that have become durable.
    pub(super) published: Vec<Published>,
}

impl Pool {
    pub(super) fn start(publisher: Publisher, buffer_bytes: usize) -> Result<Pool> {
        let (sender, done) = channel();
        let worker = Arc::new(Worker {
            publisher,
            has_failed: AtomicBool::new(false),
        });
        let mut threads = Vec::new();
        for number in 0..THREADS {
            let (worker, sender) = (Arc::clone(&worker), sender.clone());
            let (orders, received) = channel();
            let compressor = Compressor::new(worker.publisher.codec).context("cannot compress")?;
            std::thread::Builder::new()
                .name(format!("segments-{number}"))
                .spawn(move || worker.run(received, &sender, compressor))
                .context("cannot start a thread")?;
            threads.push(orders);
        }
        Ok(Pool {
            threads,
            done,
            buffer_bytes,
            open_jobs: 0,
            open_bytes: 0,
            spare_blocks: Vec::new(),
            published: Vec::new(),
        })
    }

    /// Adds a block to the open segment of partition number `at`; waits until there is room for it, which is what holds the
    /// input back.
    pub(super) fn add(
        &mut self,
        at: usize,
        target: &Arc<Target>,
        codec: Codec,
        block: Vec<u8>,
        waiting: &mut Waiting<'_>,
    ) -> Result<()> {
        let bytes = block.len();
        let is_full = |pool: &Pool| {
            let is_too_much = pool.open_bytes + bytes > pool.buffer_bytes;
            pool.open_jobs >= MAX_JOBS || (pool.open_bytes > 0 && is_too_much)
        };
        self.wait_while(is_full, waiting)?;
        self.open_bytes += bytes;
        self.send(at, target, Job::Block(codec, block));
        Ok(())
    }

    pub(super) fn send(&mut self, at: usize, target: &Arc<Target>, job: Job) {
        self.open_jobs += 1;
        // A thread ends when this does, and not before.
        let _ = self.threads[at % THREADS].send((at, Arc::clone(target), job));
    }

    /// An empty block, which has capacity if one was compressed before.
    pub(super) fn spare_block(&mut self) -> Vec<u8> {
        self.spare_blocks.pop().unwrap_or_default()
    }

    /// Hears what the threads have done, without waiting.
    pub(super) fn poll(&mut self) -> Result<()> {
        while let Ok(done) = self.done.try_recv() {
            self.note(done?);
        }
        Ok(())
    }

    /// Waits until all jobs are done.
    pub(super) fn join(&mut self, waiting: &mut Waiting<'_>) -> Result<()> {
        self.wait_while(|pool| pool.open_jobs > 0, waiting)
    }

    fn wait_while(
        &mut self,
        condition: impl Fn(&Pool) -> bool,
        waiting: &mut Waiting<'_>,
    ) -> Result<()> {
        while condition(self) {
            if let Ok(done) = self.done.recv_timeout(TICK) {
                self.note(done?);
            }
            waiting();
        }
        Ok(())
    }

    fn note(&mut self, done: Done) {
        self.open_jobs -= 1;
        match done {
            Done::Compressed(mut block) => {
                self.open_bytes -= block.len();
                block.clear();
                if self.spare_blocks.len() < SPARE_BLOCKS {
                    self.spare_blocks.push(block);
                }
            }
            Done::Published(published) => self.published.push(published),
            Done::Dropped => {}
        }
    }
}

/// What the threads share.
struct Worker {
    publisher: Publisher,
    /// After the first failure nothing more is stored.
    has_failed: AtomicBool,
}

impl Worker {
    fn run(
        &self,
        orders: Receiver<Order>,
        done: &Sender<Result<Done>>,
        mut compressor: Compressor,
    ) {
        // The segments that get records.
        let mut writers = HashMap::new();
        for (at, target, job) in orders {
            if self.has_failed.load(Ordering::Relaxed) {
                continue;
            }
            let finished = self.work(at, &target, job, &mut writers, &mut compressor);
            self.has_failed
                .fetch_or(finished.is_err(), Ordering::Relaxed);
            // Nobody listens any more after a failure.
            let _ = done.send(finished);
        }
    }

    fn work(
        &self,
        at: usize,
        target: &Target,
        job: Job,
        writers: &mut HashMap<usize, SegmentWriter>,
        compressor: &mut Compressor,
    ) -> Result<Done> {
        match job {
            Job::Block(codec, block) => {
                let writer = match writers.entry(at) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(none) => none.insert(self.publisher.begin(target, codec)?),
                };
                let added = writer.add(&block, compressor);
                added.with_context(|| target.log.to_string())?;
                Ok(Done::Compressed(block))
            }
            Job::Finish(info) => {
                let writer = writers.remove(&at).context("a segment without records")?;
                let published = self.publisher.publish(target, writer, *info)?;
                Ok(Done::Published(published))
            }
            Job::Drop => {
                writers.remove(&at);
                Ok(Done::Dropped)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Layout, LogId};
    use crate::store::{self, Access};

    #[test]
    fn a_block_that_is_larger_than_the_whole_buffer_goes_alone_and_all_are_waited_for() {
        let root = tempfile::tempdir().expect("a folder");
        let access = Access {
            for_writing: true,
            ..Access::default()
        };
        let location = root.path().to_str().expect("UTF-8");
        let store = store::open(location, &access).expect("it is made");
        let log = LogId::partition("t", 0).expect("a legal name");
        let target = Arc::new(Target::open(&store, log).expect("it is listed"));
        let publisher = Publisher {
            store,
            codec: Codec::None,
            layout: Layout::Tsv,
        };
        let mut pool = Pool::start(publisher, 10).expect("it is started");
        for _ in 0..3 {
            let block = b"eleven bytes".to_vec();
            pool.add(0, &target, Codec::None, block, &mut || false)
                .expect("it is taken");
            assert_eq!(pool.open_bytes, 12);
        }
        pool.join(&mut || false).expect("they are compressed");
        assert_eq!((pool.open_jobs, pool.open_bytes), (0, 0));
        assert!(pool.published.is_empty() && pool.spare_block().capacity() >= 10);
    }
}
