//! The threads that compress and store segments. Each segment is a task with messages of its own, which are worked off
//! in order, by one thread at a time; different segments go on side by side.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

use super::budget::Budget;
use super::publish::{Finished, Growing, Published, Publisher, Target};
use crate::segment::Codec;
use crate::segment::codec::Compressor;
use crate::write::Waiting;

/// Threads: an object store answers slowly, and many at once.
const THREADS: usize = 4;
/// Who waits for the threads looks up this often.
const TICK: Duration = Duration::from_millis(500);

/// What there is to do for a segment, in order.
enum Message {
    /// These are its next records.
    Block(Vec<u8>),
    /// It is whole.
    Finish(Box<Finished>),
    /// It is not wanted any more.
    Abandon,
}

/// A segment on its way.
pub(super) struct Task {
    /// Its place among the segments of its partition.
    number: u64,
    growing: Mutex<Growing>,
    mailbox: Mutex<Mailbox>,
}

#[derive(Default)]
struct Mailbox {
    messages: VecDeque<Message>,
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

#[derive(Default)]
struct Ready {
    tasks: VecDeque<Arc<Task>>,
    is_closed: bool,
}

/// The threads, and what they have to say.
pub(super) struct Pool {
    shared: Arc<Shared>,
    outcomes: Receiver<Result<Published>>,
    threads: Vec<JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
            let thread = std::thread::Builder::new().name(format!("segments-{number}"));
            let thread = thread.spawn(move || shared.run(&sender));
            threads.push(thread.context("cannot start a thread")?);
        }
        Ok(Pool {
            shared,
            outcomes,
            threads,
        })
    }

    /// A segment that will get blocks, compressed as `codec` says.
    pub(super) fn task(target: &Arc<Target>, number: u64, codec: Codec) -> Arc<Task> {
        Arc::new(Task {
            number,
            growing: Mutex::new(Growing::new(Arc::clone(target), codec)),
            mailbox: Mutex::default(),
        })
    }

    /// Adds a block; waits until there is room for it, which is what holds the input back.
    pub(super) fn add(&self, task: &Arc<Task>, block: Vec<u8>, waiting: &mut Waiting<'_>) {
        while !self.shared.budget.take(block.len(), TICK) {
            waiting();
        }
        self.send(task, Message::Block(block));
    }

    /// Has the segment stored.
    pub(super) fn finish(&self, task: &Arc<Task>, finished: Finished) {
        self.send(task, Message::Finish(Box::new(finished)));
    }

    /// Drops the segment.
    pub(super) fn abandon(&self, task: &Arc<Task>) {
        self.send(task, Message::Abandon);
    }

    fn send(&self, task: &Arc<Task>, message: Message) {
        let mut mailbox = lock(&task.mailbox);
        mailbox.messages.push_back(message);
        if !std::mem::replace(&mut mailbox.is_scheduled, true) {
            lock(&self.shared.ready).tasks.push_back(Arc::clone(task));
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
    fn run(&self, outcomes: &Sender<Result<Published>>) {
        let mut compressors = Compressors::default();
        while let Some(task) = self.next_task() {
            loop {
                let message = {
                    let mut mailbox = lock(&task.mailbox);
                    let message = mailbox.messages.pop_front();
                    mailbox.is_scheduled = message.is_some();
                    message
                };
                let Some(message) = message else {
                    break;
                };
                self.work(&task, message, &mut compressors, &|outcome| {
                    if outcome.is_err() {
                        self.is_broken.store(true, Ordering::SeqCst);
                    }
                    // Nobody hears it only when the program is ending.
                    let _ = outcomes.send(outcome);
                });
            }
        }
    }

    fn next_task(&self) -> Option<Arc<Task>> {
        let ready = lock(&self.ready);
        let mut ready = self
            .is_ready
            .wait_while(ready, |ready| ready.tasks.is_empty() && !ready.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        ready.tasks.pop_front()
    }

    /// After the first failure nothing more is stored.
    fn work(
        &self,
        task: &Task,
        message: Message,
        compressors: &mut Compressors,
        tell: &dyn Fn(Result<Published>),
    ) {
        let is_broken = || self.is_broken.load(Ordering::SeqCst);
        let mut growing = lock(&task.growing);
        let whole = match message {
            Message::Block(block) => {
                if !is_broken() {
                    let compressor = compressors.of(growing.codec);
                    let added = compressor.and_then(|compressor| {
                        self.publisher.add(&mut growing, &block, compressor)
                    });
                    if let Err(error) = added {
                        tell(Err(error));
                    }
                }
                self.budget.give_back(block);
                return;
            }
            Message::Abandon => None,
            Message::Finish(finished) => Some((growing.take(), *finished)),
        };
        let target = Arc::clone(&growing.target);
        drop(growing.take());
        drop(growing);
        target.store_in_order(task.number, whole, &mut |growing, finished| {
            if !is_broken() {
                tell(self.publisher.publish(growing, finished));
            }
        });
    }
}

/// The compressors of one thread.
#[derive(Default)]
struct Compressors(Vec<(Codec, Compressor)>);

impl Compressors {
    fn of(&mut self, codec: Codec) -> Result<&mut Compressor> {
        let known = self.0.iter().position(|(known, _)| *known == codec);
        let at = if let Some(at) = known {
            at
        } else {
            let made = Compressor::new(codec).context("cannot compress")?;
            self.0.push((codec, made));
            self.0.len() - 1
        };
        Ok(&mut self.0[at].1)
    }
}
