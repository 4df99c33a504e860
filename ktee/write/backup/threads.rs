//! The threads behind a backup, and the channels to them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::super::budget::Budget;
use super::super::pack::{Packer, Work};
use super::super::publish::{Outcome, Publisher, Reports};
use super::Settings;
use crate::segment::Layout;
use crate::store::Store;
use crate::write::Waiting;

/// So many segments are made durable at a time: an object store answers slowly, and many at once.
const PUBLISHERS: usize = 4;
/// So many wait for each publisher.
const WAITING: usize = 1;
/// Who waits for the threads looks up this often.
const TICK: Duration = Duration::from_millis(500);

/// The compressor, the publishers, and what they have to say.
pub(super) struct Threads {
    work: Option<Sender<Work>>,
    budget: Arc<Budget>,
    outcomes: Receiver<Outcome>,
    running: Vec<JoinHandle<()>>,
}

impl Threads {
    pub(super) fn start(
        store: &Arc<dyn Store>,
        settings: &Settings,
        layout: Layout,
    ) -> Result<Threads> {
        let (outcome_sender, outcomes) = mpsc::channel();
        let reports = Reports {
            outcomes: outcome_sender,
            is_broken: Arc::new(AtomicBool::new(false)),
        };
        let mut running = Vec::new();
        let mut publishers = Vec::new();
        for number in 0..PUBLISHERS {
            let publisher = Publisher {
                store: Arc::clone(store),
                reports: reports.clone(),
            };
            let (jobs_sender, jobs) = mpsc::sync_channel(WAITING);
            publishers.push(jobs_sender);
            running.push(spawn(format!("publish-{number}"), move || {
                publisher.run(&jobs);
            })?);
        }
        let budget = Arc::new(Budget::new(settings.buffer_bytes / 2));
        let packer = Packer {
            store: Arc::clone(store),
            budget: Arc::clone(&budget),
            codec: settings.codec,
            layout,
            publishers,
            reports,
        };
        let (work, works) = mpsc::channel();
        running.push(spawn("pack".to_owned(), move || packer.run(&works))?);
        Ok(Threads {
            work: Some(work),
            budget,
            outcomes,
            running,
        })
    }

    /// Waits until so many bytes more may wait for the compressor: this is what holds the input back.
    pub(super) fn wait_for_room(&self, bytes: usize, waiting: &mut Waiting<'_>) {
        while !self.budget.take(bytes, TICK) {
            waiting();
        }
    }

    /// An empty block for the next bytes.
    pub(super) fn spare(&self) -> Vec<u8> {
        self.budget.spare()
    }

    pub(super) fn send(&self, work: Work) -> Result<()> {
        let sent = self.work.as_ref().map(|channel| channel.send(work).is_ok());
        sent.filter(|sent| *sent)
            .map(drop)
            .ok_or_else(|| anyhow!("the thread that compresses has ended"))
    }

    /// What has become of a segment, if there is news.
    pub(super) fn next_outcome(&self) -> Option<Outcome> {
        self.outcomes.try_recv().ok()
    }

    /// Lets the threads finish what they have, and waits for them.
    pub(super) fn finish(&mut self, waiting: &mut Waiting<'_>) -> Vec<Outcome> {
        self.work = None;
        let mut outcomes = Vec::new();
        loop {
            match self.outcomes.recv_timeout(TICK) {
                Ok(outcome) => outcomes.push(outcome),
                Err(RecvTimeoutError::Timeout) => _ = waiting(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        for thread in self.running.drain(..) {
            // One that panicked has left its segments without an outcome, which is noticed.
            let _ = thread.join();
        }
        outcomes
    }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name)
        .spawn(run)
        .context("cannot start a thread")
}
