//! Who is connected, and who has to go where places are scarce.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

/// Connections at a time.
const MOST: usize = 256;
/// Answers of different looks that slow readers may keep in memory.
const MOST_LOOKS: usize = 4;
/// Descriptors that stay free for the cluster's connections.
const FREE_DESCRIPTORS: usize = 6;
/// A client has at least this long to send its request.
const GRACE: Duration = Duration::from_millis(15);

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not asked yet.
    Asking,
    /// The cluster is looked at for it.
    Waiting,
    /// It reads the answer, which is of this look.
    Reading(u64),
}

struct Client {
    stage: Stage,
    since: Instant,
    task: Option<AbortHandle>,
}

/// All connections.
#[derive(Clone, Default)]
pub(super) struct Connections {
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    clients: HashMap<u64, Client>,
    last: u64,
}

/// A place at the server; it is free again when this is dropped.
pub(super) struct Place {
    number: u64,
    connections: Connections,
}

impl Place {
    /// Notes that the client has come so far.
    pub(super) fn set(&self, stage: Stage) {
        let mut table = self.connections.lock();
        if let Some(client) = table.clients.get_mut(&self.number) {
            client.stage = stage;
            client.since = Instant::now();
        }
        table.cut_old_readers();
    }

    /// The task that serves the client, which ends if the place is taken away.
    pub(super) fn served_by(number: u64, connections: &Connections, task: AbortHandle) {
        if let Some(client) = connections.lock().clients.get_mut(&number) {
            client.task = Some(task);
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().clients.remove(&self.number);
    }
}

/// What comes of asking for a place.
pub(super) enum Admission {
    /// There is one.
    Place(Place),
    /// All who are there have just come: ask again in a moment.
    Later,
    /// All wait for the cluster; there is none.
    Refused,
}

impl Connections {
    pub(super) fn new() -> Connections {
        Connections::default()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more, of somebody who keeps the server waiting if need be.
    pub(super) fn admit(&self) -> Admission {
        let mut table = self.lock();
        let is_scarce = free_descriptors().is_some_and(|free| free < FREE_DESCRIPTORS);
        if table.clients.len() >= MOST || is_scarce {
            match table.cut_slowest(Instant::now()) {
                Cut::Done => {}
                Cut::AllAreNew => return Admission::Later,
                Cut::AllWait if table.clients.is_empty() => {}
                Cut::AllWait => return Admission::Refused,
            }
        }
        table.last += 1;
        let number = table.last;
        let client = Client {
            stage: Stage::Asking,
            since: Instant::now(),
            task: None,
        };
        table.clients.insert(number, client);
        Admission::Place(Place {
            number,
            connections: self.clone(),
        })
    }

    /// Takes a place away because the system has no descriptor left.
    pub(super) fn cut_one(&self) {
        self.lock().cut_slowest(Instant::now());
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Cut {
    Done,
    AllAreNew,
    AllWait,
}

impl Table {
    /// Cuts off who has not asked for the longest time, else who reads an answer for the longest time.
    fn cut_slowest(&mut self, now: Instant) -> Cut {
        let oldest = |is_meant: fn(Stage) -> bool| {
            let meant = self.clients.iter().filter(|(_, c)| is_meant(c.stage));
            meant
                .min_by_key(|(_, c)| c.since)
                .map(|(&n, c)| (n, c.since))
        };
        let asking = oldest(|stage| stage == Stage::Asking);
        let reading = oldest(|stage| matches!(stage, Stage::Reading(_)));
        let is_old = |&(_, since): &(u64, Instant)| now.duration_since(since) >= GRACE;
        match asking.filter(is_old).or(reading.filter(is_old)) {
            Some((number, _)) => {
                self.cut(number);
                Cut::Done
            }
            None if asking.or(reading).is_some() => Cut::AllAreNew,
            None => Cut::AllWait,
        }
    }

    /// Slow readers keep old answers in memory: only those of the last looks.
    fn cut_old_readers(&mut self) {
        let mut looks: Vec<u64> = self
            .clients
            .values()
            .filter_map(|client| match client.stage {
                Stage::Reading(look) => Some(look),
                _ => None,
            })
            .collect();
        looks.sort_unstable();
        looks.dedup();
        let Some(surplus) = looks.len().checked_sub(MOST_LOOKS).filter(|n| *n > 0) else {
            return;
        };
        let gone: Vec<u64> = self
            .clients
            .iter()
            .filter(|(_, c)| matches!(c.stage, Stage::Reading(look) if look < looks[surplus]))
            .map(|(&number, _)| number)
            .collect();
        for number in gone {
            self.cut(number);
        }
    }

    fn cut(&mut self, number: u64) {
        if let Some(task) = self.clients.remove(&number).and_then(|c| c.task) {
            task.abort();
        }
    }
}

/// How many descriptors this process may still open, where the system tells.
fn free_descriptors() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some((limit as usize).saturating_sub(open))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(stages: &[Stage]) -> (Table, Instant) {
        let mut table = Table::default();
        let start = Instant::now();
        for (at, stage) in (1..).zip(stages) {
            let client = Client {
                stage: *stage,
                since: start + Duration::from_millis(at),
                task: None,
            };
            table.clients.insert(at, client);
        }
        (table, start + Duration::from_secs(1))
    }

    fn left(table: &Table) -> Vec<u64> {
        let mut numbers: Vec<u64> = table.clients.keys().copied().collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn who_does_not_ask_goes_first_then_who_does_not_read_and_who_waits_stays() {
        use Stage::{Asking, Reading, Waiting};
        let (mut table, now) = table(&[Waiting, Reading(1), Asking, Asking]);
        for rest in [vec![1, 2, 4], vec![1, 2], vec![1]] {
            assert_eq!(table.cut_slowest(now), Cut::Done);
            assert_eq!(left(&table), rest);
        }
        assert_eq!(table.cut_slowest(now), Cut::AllWait);
        assert_eq!(left(&table), [1]);
    }

    #[test]
    fn who_has_just_come_has_a_moment_to_ask() {
        let (mut table, _) = table(&[Stage::Waiting, Stage::Asking]);
        let soon = table.clients[&2].since + Duration::from_millis(1);
        assert_eq!(table.cut_slowest(soon), Cut::AllAreNew);
        assert_eq!(left(&table), [1, 2]);
    }

    #[test]
    fn answers_of_old_looks_do_not_stay_in_memory() {
        let reading: Vec<Stage> = [1, 2, 2, 3, 4, 5, 6].map(Stage::Reading).into();
        let (mut table, _) = table(&reading);
        table.cut_old_readers();
        assert_eq!(left(&table), [4, 5, 6, 7]);
        table.cut_old_readers();
        assert_eq!(left(&table), [4, 5, 6, 7]);
    }
}
