//! The threads that compress and store segments. Each partition has a queue, which is worked off in order by one thread at a
//! time: segments are stored in the order in which they were begun, so that two writers that go on from the same end always
//! want the same name next, and only one of them gets it. Different partitions go on side by side.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

use super::budget::Budget;
use super::publish::{Published, Publisher, SegmentInfo, SegmentWriter};
use super::target::Target;
use crate::destination::Waiting;
use crate::segment::Codec;
use crate::segment::codec::Compressor;

/// Threads: an object store answers slowly, and many at once.
const THREADS: usize = 4;
/// Who waits for the threads looks up this often.
const TICK: Duration = Duration::from_millis(500);

/// What there is to do for the segment of a partition that is open.
pub(super) enum Job {
    /// These are its next records, to be compressed like this.
    Block(Codec, Vec<u8>),
    /// It is whole: store it.
    Finish(Box<SegmentInfo>),
    /// It is not wanted any more.
    Drop,
}

/// The jobs of a partition, in order.
#[derive(Default)]
pub(super) struct Queue {
    jobs: VecDeque<Job>,
    /// Whether a thread has it, or will.
    is_scheduled: bool,
}

/// What the threads share.
struct Shared {
    ready: Mutex<Ready>,
    is_ready: Condvar,
    budget: Budget,
    publisher: Publisher,
    is_broken: AtomicBool,
}

/// The partitions whose queues are not empty.
#[derive(Default)]
struct Ready {
    targets: VecDeque<Arc<Target>>,
    is_closed: bool,
}

/// The threads, and what has become of segments.
pub(super) struct Pool {
    shared: Arc<Shared>,
    outcomes: Receiver<Result<Published>>,
    threads: Vec<JoinHandle<()>>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    pub(super) fn start(publisher: Publisher, buffer_bytes: usize) -> Result<Pool> {
        let (sender, outcomes) = mpsc::channel();
        let shared = Arc::new(Shared {
            ready: Mutex::default(),
            is_ready: Condvar::new(),
            budget: Budget::new(buffer_bytes),
            publisher,
            is_broken: AtomicBool::new(false),
        });
        let mut threads = Vec::new();
        for number in 0..THREADS {
            let (shared, sender) = (Arc::clone(&shared), sender.clone());
            let compressor = Compressor::new(shared.publisher.codec).context("cannot compress")?;
            let thread = std::thread::Builder::new().name(format!("segments-{number}"));
            let thread = thread.spawn(move || shared.run(compressor, &sender));
            threads.push(thread.context("cannot start a thread")?);
        }
        Ok(Pool {
            shared,
            outcomes,
            threads,
        })
    }

    /// Adds a block to the open segment; waits until there is room for it, which is what holds the input back.
    pub(super) fn add(
        &self,
        target: &Arc<Target>,
        codec: Codec,
        block: Vec<u8>,
        waiting: &mut Waiting<'_>,
    ) {
        while !self.shared.budget.take(block.len(), TICK) {
            waiting();
        }
        self.send(target, Job::Block(codec, block));
    }

    /// Has something done for the open segment.
    pub(super) fn send(&self, target: &Arc<Target>, job: Job) {
        let mut queue = lock(&target.queue);
        queue.jobs.push_back(job);
        if !std::mem::replace(&mut queue.is_scheduled, true) {
            lock(&self.shared.ready)
                .targets
                .push_back(Arc::clone(target));
            self.shared.is_ready.notify_one();
        }
    }

    /// An empty block for the next bytes.
    pub(super) fn spare(&self) -> Vec<u8> {
        self.shared.budget.spare()
    }

    /// What has become of a segment, if there is news.
    pub(super) fn next_outcome(&self) -> Option<Result<Published>> {
        self.outcomes.try_recv().ok()
    }

    /// Lets the threads do what they have, and waits for them.
    pub(super) fn join(&mut self, waiting: &mut Waiting<'_>) -> Vec<Result<Published>> {
        lock(&self.shared.ready).is_closed = true;
        self.shared.is_ready.notify_all();
        let mut outcomes = Vec::new();
        loop {
            match self.outcomes.recv_timeout(TICK) {
                Ok(outcome) => outcomes.push(outcome),
                Err(RecvTimeoutError::Timeout) => _ = waiting(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        for thread in self.threads.drain(..) {
            // One that panicked has left its segments without an outcome, which is noticed.
            let _ = thread.join();
        }
        outcomes
    }
}

impl Shared {
    fn run(&self, mut compressor: Compressor, outcomes: &Sender<Result<Published>>) {
        while let Some(target) = self.next_target() {
            let mut writer = lock(&target.writer);
            while let Some(job) = next_job(&target) {
                let outcome = self.work(&target, &mut writer, job, &mut compressor);
                if outcome.is_err() {
                    self.is_broken.store(true, Ordering::SeqCst);
                }
                if let Some(outcome) = outcome.transpose() {
                    // Nobody hears it only when the program is ending.
                    let _ = outcomes.send(outcome);
                }
            }
        }
    }

    fn next_target(&self) -> Option<Arc<Target>> {
        let ready = lock(&self.ready);
        let mut ready = self
            .is_ready
            .wait_while(ready, |ready| ready.targets.is_empty() && !ready.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        ready.targets.pop_front()
    }

    /// After the first failure nothing more is stored.
    fn work(
        &self,
        target: &Arc<Target>,
        writer: &mut Option<SegmentWriter>,
        job: Job,
        compressor: &mut Compressor,
    ) -> Result<Option<Published>> {
        let is_broken = self.is_broken.load(Ordering::SeqCst);
        match job {
            Job::Block(codec, block) => {
                let added = if is_broken {
                    Ok(())
                } else {
                    self.publisher
                        .add(target, writer, codec, &block, compressor)
                };
                self.budget.release(block);
                added.map(|()| None)
            }
            Job::Drop => {
                *writer = None;
                Ok(None)
            }
            Job::Finish(info) => {
                let writer = writer.take();
                if is_broken {
                    return Ok(None);
                }
                let writer = writer.context("a segment without records")?;
                self.publisher.publish(target, writer, *info).map(Some)
            }
        }
    }
}

fn next_job(target: &Target) -> Option<Job> {
    let mut queue = lock(&target.queue);
    let job = queue.jobs.pop_front();
    queue.is_scheduled = job.is_some();
    job
}
