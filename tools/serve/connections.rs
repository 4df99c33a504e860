//! The open connections, and which one is closed when there are too many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

/// Connections at a time.
const MAX_CONNECTIONS: usize = 256;
/// Answers of different scrapes that slow readers may keep in memory.
const MAX_SCRAPES_IN_MEMORY: usize = 4;
/// Descriptors that stay free for the cluster's connections.
const FREE_DESCRIPTORS: usize = 6;
/// A client has at least this long to send its request.
const GRACE: Duration = Duration::from_millis(15);

/// What a client is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientState {
    /// Its request is not complete.
    AwaitingRequest,
    /// It waits for a scrape of the cluster.
    AwaitingScrape,
    /// It reads the answer, which is of this scrape.
    Reading(u64),
}

struct Client {
    state: ClientState,
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

/// A slot for one connection; dropping it frees the slot.
pub(super) struct ConnectionSlot {
    number: u64,
    connections: Connections,
}

impl ConnectionSlot {
    pub(super) fn set(&self, state: ClientState) {
        let mut table = self.connections.lock();
        if let Some(client) = table.clients.get_mut(&self.number) {
            client.state = state;
            client.since = Instant::now();
        }
        table.evict_old_readers();
    }

    /// The task that serves the client; eviction aborts it.
    pub(super) fn served_by(number: u64, connections: &Connections, task: AbortHandle) {
        if let Some(client) = connections.lock().clients.get_mut(&number) {
            client.task = Some(task);
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.connections.lock().clients.remove(&self.number);
    }
}

/// The answer to a new connection.
pub(super) enum Admission {
    /// There is a slot.
    Slot(ConnectionSlot),
    /// All clients are new: try again in a moment.
    Later,
    /// All clients wait for the cluster; there is no slot.
    Refused,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot for one more connection; evicts the slowest client if there is none.
    pub(super) fn admit(&self) -> Admission {
        let mut table = self.lock();
        let is_scarce = free_descriptors().is_some_and(|free| free < FREE_DESCRIPTORS);
        if table.clients.len() >= MAX_CONNECTIONS || is_scarce {
            match table.evict_slowest(Instant::now()) {
                Eviction::Done => {}
                Eviction::AllAreNew => return Admission::Later,
                Eviction::AllWait if table.clients.is_empty() => {}
                Eviction::AllWait => return Admission::Refused,
            }
        }
        table.last += 1;
        let number = table.last;
        let client = Client {
            state: ClientState::AwaitingRequest,
            since: Instant::now(),
            task: None,
        };
        table.clients.insert(number, client);
        Admission::Slot(ConnectionSlot {
            number,
            connections: self.clone(),
        })
    }

    /// Evicts one client because the system has no descriptor left.
    pub(super) fn evict_one(&self) {
        self.lock().evict_slowest(Instant::now());
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Eviction {
    Done,
    AllAreNew,
    AllWait,
}

impl Table {
    /// Evicts the client that has not sent its request for the longest time, else the one that reads its response for the longest time.
    fn evict_slowest(&mut self, now: Instant) -> Eviction {
        let oldest = |is_meant: fn(ClientState) -> bool| {
            let meant = self.clients.iter().filter(|(_, c)| is_meant(c.state));
            meant
                .min_by_key(|(_, c)| c.since)
                .map(|(&n, c)| (n, c.since))
        };
        let asking = oldest(|state| state == ClientState::AwaitingRequest);
        let reading = oldest(|state| matches!(state, ClientState::Reading(_)));
        let is_old = |&(_, since): &(u64, Instant)| now.duration_since(since) >= GRACE;
        match asking.filter(is_old).or(reading.filter(is_old)) {
            Some((number, _)) => {
                self.evict(number);
                Eviction::Done
            }
            None if asking.or(reading).is_some() => Eviction::AllAreNew,
            None => Eviction::AllWait,
        }
    }

    /// Slow readers keep old answers in memory: only those of the last scrapes.
    fn evict_old_readers(&mut self) {
        let mut scrapes: Vec<u64> = self
            .clients
            .values()
            .filter_map(|client| match client.state {
                ClientState::Reading(scrape) => Some(scrape),
                _ => None,
            })
            .collect();
        scrapes.sort_unstable();
        scrapes.dedup();
        let Some(surplus) = scrapes
            .len()
            .checked_sub(MAX_SCRAPES_IN_MEMORY)
            .filter(|n| *n > 0)
        else {
            return;
        };
        let gone: Vec<u64> = self
            .clients
            .iter()
            .filter(|(_, c)| matches!(c.state, ClientState::Reading(scrape) if scrape < scrapes[surplus]))
            .map(|(&number, _)| number)
            .collect();
        for number in gone {
            self.evict(number);
        }
    }

    fn evict(&mut self, number: u64) {
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

    fn table(states: &[ClientState]) -> (Table, Instant) {
        let mut table = Table::default();
        let start = Instant::now();
        for (at, state) in (1..).zip(states) {
            let client = Client {
                state: *state,
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
        use ClientState::{AwaitingRequest, AwaitingScrape, Reading};
        let (mut table, now) =
            table(&[AwaitingScrape, Reading(1), AwaitingRequest, AwaitingRequest]);
        for rest in [vec![1, 2, 4], vec![1, 2], vec![1]] {
            assert_eq!(table.evict_slowest(now), Eviction::Done);
            assert_eq!(left(&table), rest);
        }
        assert_eq!(table.evict_slowest(now), Eviction::AllWait);
        assert_eq!(left(&table), [1]);
    }

    #[test]
    fn who_has_just_come_has_a_moment_to_ask() {
        let (mut table, _) = table(&[ClientState::AwaitingScrape, ClientState::AwaitingRequest]);
        let soon = table.clients[&2].since + Duration::from_millis(1);
        assert_eq!(table.evict_slowest(soon), Eviction::AllAreNew);
        assert_eq!(left(&table), [1, 2]);
    }

    #[test]
    fn answers_of_old_looks_do_not_stay_in_memory() {
        let reading: Vec<ClientState> = [1, 2, 2, 3, 4, 5, 6].map(ClientState::Reading).into();
        let (mut table, _) = table(&reading);
        table.evict_old_readers();
        assert_eq!(left(&table), [4, 5, 6, 7]);
        table.evict_old_readers();
        assert_eq!(left(&table), [4, 5, 6, 7]);
    }
}
