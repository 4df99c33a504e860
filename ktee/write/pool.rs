//! The threads that compress and store segments.
//!
//! The jobs of a partition are done in order, by one thread at a time: segments are stored in the order in which they were
//! begun, so that two writers that go on from the same end always want the same name next, and only one of them gets it.
//! Different partitions go on side by side.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

use super::index::Target;
use super::publish::{Published, Publisher, SegmentInfo};
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

#[derive(Default)]
struct State {
    jobs: VecDeque<(Arc<Target>, Job)>,
    /// The partitions that a thread has a job of.
    busy: Vec<Arc<Target>>,
    outcomes: VecDeque<Result<Published>>,
    /// Bytes of blocks that are not compressed yet.
    waiting_bytes: usize,
    spare_blocks: Vec<Vec<u8>>,
    /// After the first failure nothing more is stored.
    has_failed: bool,
    is_closed: bool,
}

impl State {
    /// The first job of a partition that no thread is at.
    fn next_job(&mut self) -> Option<(Arc<Target>, Job)> {
        let is_busy = |target| self.busy.iter().any(|busy| Arc::ptr_eq(busy, target));
        let at = self.jobs.iter().position(|(target, _)| !is_busy(target))?;
        let (target, job) = self.jobs.remove(at)?;
        self.busy.push(Arc::clone(&target));
        Some((target, job))
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    publisher: Publisher,
    buffer_bytes: usize,
}

pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    pub(super) fn start(publisher: Publisher, buffer_bytes: usize) -> Result<Pool> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            publisher,
            buffer_bytes,
        });
        let mut threads = Vec::new();
        for number in 0..THREADS {
            let shared = Arc::clone(&shared);
            let compressor = Compressor::new(shared.publisher.codec).context("cannot compress")?;
            let thread = std::thread::Builder::new().name(format!("segments-{number}"));
            let thread = thread.spawn(move || shared.run(compressor));
            threads.push(thread.context("cannot start a thread")?);
        }
        Ok(Pool { shared, threads })
    }

    /// Adds a block to the open segment of a partition; waits until there is room for it, which is what holds the input back.
    pub(super) fn add(
        &self,
        target: &Arc<Target>,
        codec: Codec,
        block: Vec<u8>,
        waiting: &mut Waiting<'_>,
    ) {
        let buffer_bytes = self.shared.buffer_bytes;
        let is_full = |state: &State| {
            let bytes = state.waiting_bytes + block.len();
            state.jobs.len() >= MAX_JOBS || (state.waiting_bytes > 0 && bytes > buffer_bytes)
        };
        self.wait_while(is_full, waiting).waiting_bytes += block.len();
        self.send(target, Job::Block(codec, block));
    }

    pub(super) fn send(&self, target: &Arc<Target>, job: Job) {
        lock(&self.shared.state)
            .jobs
            .push_back((Arc::clone(target), job));
        self.shared.changed.notify_all();
    }

    /// An empty block, which has capacity if one was compressed before.
    pub(super) fn spare_block(&self) -> Vec<u8> {
        let spare = lock(&self.shared.state).spare_blocks.pop();
        spare.unwrap_or_default()
    }

    pub(super) fn next_outcome(&self) -> Option<Result<Published>> {
        lock(&self.shared.state).outcomes.pop_front()
    }

    /// Waits until all jobs are done.
    pub(super) fn join(&mut self, waiting: &mut Waiting<'_>) {
        let is_busy = |state: &State| !(state.jobs.is_empty() && state.busy.is_empty());
        self.wait_while(is_busy, waiting).is_closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }

    fn wait_while(
        &self,
        condition: impl Fn(&State) -> bool,
        waiting: &mut Waiting<'_>,
    ) -> MutexGuard<'_, State> {
        loop {
            let state = lock(&self.shared.state);
            let (state, waited) = self
                .shared
                .changed
                .wait_timeout_while(state, TICK, |state| condition(state))
                .unwrap_or_else(PoisonError::into_inner);
            if !waited.timed_out() {
                return state;
            }
            drop(state);
            waiting();
        }
    }
}

impl Shared {
    fn run(&self, mut compressor: Compressor) {
        loop {
            let mut next = None;
            let has_failed = {
                let is_idle = |state: &mut State| {
                    next = state.next_job();
                    next.is_none() && !state.is_closed
                };
                let state = self.changed.wait_while(lock(&self.state), is_idle);
                state.unwrap_or_else(PoisonError::into_inner).has_failed
            };
            let Some((target, job)) = next else {
                return;
            };
            let outcome = match job {
                Job::Block(codec, block) => {
                    let added = self.compress(&target, codec, &block, &mut compressor, has_failed);
                    self.release(block);
                    added.map(|()| None)
                }
                Job::Finish(info) => self.publish(&target, *info, has_failed),
                Job::Drop => {
                    *lock(&target.writer) = None;
                    Ok(None)
                }
            };
            let mut state = lock(&self.state);
            state.busy.retain(|busy| !Arc::ptr_eq(busy, &target));
            state.has_failed |= outcome.is_err();
            state.outcomes.extend(outcome.transpose());
            drop(state);
            self.changed.notify_all();
        }
    }

    fn compress(
        &self,
        target: &Target,
        codec: Codec,
        block: &[u8],
        compressor: &mut Compressor,
        has_failed: bool,
    ) -> Result<()> {
        if has_failed {
            return Ok(());
        }
        let mut writer = lock(&target.writer);
        self.publisher
            .add(target, &mut writer, codec, block, compressor)
    }

    fn publish(
        &self,
        target: &Target,
        info: SegmentInfo,
        has_failed: bool,
    ) -> Result<Option<Published>> {
        let writer = lock(&target.writer).take();
        if has_failed {
            return Ok(None);
        }
        let writer = writer.context("a segment without records")?;
        self.publisher.publish(target, writer, info).map(Some)
    }

    fn release(&self, mut block: Vec<u8>) {
        let mut state = lock(&self.state);
        state.waiting_bytes -= block.len();
        block.clear();
        if state.spare_blocks.len() < SPARE_BLOCKS {
            state.spare_blocks.push(block);
        }
        // Whoever waits for room hears of it when the job is done.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Layout, LogId};
    use crate::store::{self, Access};

    #[test]
    fn jobs_of_a_partition_are_done_in_order_and_others_beside_them() {
        let root = tempfile::tempdir().expect("a folder");
        let access = Access {
            for_writing: true,
            ..Access::default()
        };
        let location = root.path().to_str().expect("UTF-8");
        let store = store::open(location, &access).expect("it is made");
        let target = |partition| {
            let log = LogId::partition("t", partition).expect("a legal name");
            Arc::new(Target::open(&store, log).expect("it is listed"))
        };
        let (a, b) = (target(0), target(1));
        let mut state = State::default();
        for (target, job) in [(&a, Job::Drop), (&a, Job::Drop), (&b, Job::Drop)] {
            state.jobs.push_back((Arc::clone(target), job));
        }
        let mut next = || state.next_job().map(|(target, _)| target.log.to_string());
        assert_eq!(next().as_deref(), Some("t [0]"));
        assert_eq!(next().as_deref(), Some("t [1]"), "the other one waits");
        assert_eq!(next(), None);
        state.busy.remove(0);
        let next = state.next_job().map(|(target, _)| target.log.to_string());
        assert_eq!(next.as_deref(), Some("t [0]"));

        let publisher = Publisher {
            store: Arc::clone(&store),
            codec: Codec::None,
            layout: Layout::Tsv,
        };
        let mut pool = Pool::start(publisher, 10).expect("it is started");
        for _ in 0..3 {
            // A block that is larger than the whole buffer goes alone.
            pool.add(&a, Codec::None, b"eleven bytes".to_vec(), &mut || false);
        }
        pool.join(&mut || false);
        assert!(pool.next_outcome().is_none());
        assert!(pool.spare_block().capacity() >= 10);
    }
}
