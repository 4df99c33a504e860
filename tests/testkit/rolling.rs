//! Three brokers of which one after another is killed and started again, for as long as the run lasts.

use super::broker::{Kafka, Spec};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

const AWAY: Duration = Duration::from_secs(2);
const ALL_THERE: Duration = Duration::from_secs(4);

/// Held while a broker is away.
static RESTARTING: Mutex<()> = Mutex::new(());

/// The cluster, which the long runs share. `None`: no Java or no Maven, the test is skipped.
pub(crate) fn shared() -> Option<&'static Kafka> {
    static CLUSTER: OnceLock<Option<Kafka>> = OnceLock::new();
    static RESTARTER: OnceLock<()> = OnceLock::new();
    let start = || {
        Spec::new()
            .brokers(3)
            .setting("min.insync.replicas", "2")
            .setting("offsets.topic.replication.factor", "3")
            .setting("transaction.state.log.replication.factor", "3")
            .setting("transaction.state.log.min.isr", "2")
            .setting("share.coordinator.state.topic.replication.factor", "3")
            .setting("share.coordinator.state.topic.min.isr", "2")
            .start()
    };
    let kafka = CLUSTER.get_or_init(start).as_ref()?;
    RESTARTER.get_or_init(|| drop(std::thread::spawn(|| restart_in_turn(kafka))));
    Some(kafka)
}

fn restart_in_turn(kafka: &Kafka) {
    for id in (1..=3).cycle() {
        let restarting = all_there();
        kafka.kill(id);
        std::thread::sleep(AWAY);
        kafka.start_again(id);
        drop(restarting);
        std::thread::sleep(ALL_THERE);
    }
}

/// No broker is away while this is held, as before a topic of three replicas can be made.
pub(crate) fn all_there() -> MutexGuard<'static, ()> {
    RESTARTING.lock().unwrap()
}
