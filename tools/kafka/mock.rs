//! librdkafka's mock cluster: a throw-away cluster in this process, reached over TCP like any other.
#![allow(unsafe_code)]

use super::ffi;

/// More brokers than this help nobody, and each costs a listening socket.
pub const MAX_BROKERS: u32 = 100;

/// A cluster that lives as long as this does. Topics are made by their first use, with four partitions.
pub struct MockCluster {
    rk: *mut ffi::rd_kafka_t,
    cluster: *mut ffi::rd_kafka_mock_cluster_t,
}

impl MockCluster {
    /// Starts so many brokers on free ports of 127.0.0.1; an error is a sentence.
    pub fn start(brokers: u32) -> Result<MockCluster, String> {
        if brokers == 0 || brokers > MAX_BROKERS {
            return Err(format!("a mock cluster has 1 to {MAX_BROKERS} brokers"));
        }
        let mut reason = [0u8; 512];
        // SAFETY: the configuration is librdkafka's once the handle is made,
        // and freed here where it is not; the handle carries the cluster's
        // threads and outlives it.
        unsafe {
            let conf = ffi::rd_kafka_conf_new();
            // Its clients report what goes wrong here; librdkafka would log to stderr in its own format.
            ffi::rd_kafka_conf_set_log_cb(conf, None);
            let rk = ffi::rd_kafka_new(
                ffi::rd_kafka_type_t::RD_KAFKA_PRODUCER,
                conf,
                reason.as_mut_ptr().cast(),
                reason.len(),
            );
            if rk.is_null() {
                ffi::rd_kafka_conf_destroy(conf);
                return Err(ffi::buffer_text(&reason));
            }
            let cluster = without_signals(|| ffi::rd_kafka_mock_cluster_new(rk, brokers as i32));
            if cluster.is_null() {
                ffi::rd_kafka_destroy(rk);
                return Err("librdkafka can't start its mock cluster".to_owned());
            }
            // Three seconds of waiting for more members make sense in a data centre.
            ffi::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
            Ok(MockCluster { rk, cluster })
        }
    }

    /// Where it is reached: `127.0.0.1:PORT,...`.
    pub fn brokers(&self) -> String {
        // SAFETY: the cluster is live, and the text lives as long.
        unsafe { ffi::text(ffi::rd_kafka_mock_cluster_bootstraps(self.cluster)) }
    }
}

/// Runs `start` with every signal blocked, which the threads that it starts inherit.
///
/// A signal that is handled on the mock's thread interrupts its poll(2), which
/// ends the cluster (rdkafka_mock.c, `rd_kafka_mock_cluster_io_poll`); other
/// threads of librdkafka's are started so by itself.
fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are ours, and written before they are read.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        let started = start();
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
        started
    }
}

impl Drop for MockCluster {
    fn drop(&mut self) {
        // SAFETY: both are live and ours, the cluster first because it uses the handle.
        unsafe {
            ffi::rd_kafka_mock_cluster_destroy(self.cluster);
            ffi::rd_kafka_destroy(self.rk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BROKERS, MockCluster};
    use crate::kafka::admin::{Isolation, OffsetQuery, OffsetSpec, Topics, metadata, offsets};
    use crate::kafka::options::{Options, Source};
    use crate::kafka::{Client, Role};

    fn client(cluster: &MockCluster) -> Client {
        let mut options = Options::default();
        options
            .set(
                "bootstrap.servers",
                &cluster.brokers(),
                &Source::Option("-b"),
            )
            .unwrap();
        Client::new(&options, Role::Consumer).unwrap()
    }

    #[test]
    fn a_cluster_has_the_brokers_asked_for_and_no_topic_that_was_only_asked_about() {
        let cluster = MockCluster::start(3).unwrap();
        let client = client(&cluster);
        let names = ["none".to_owned()];
        let found = metadata(&client, Topics::Named(&names), &|| false).unwrap();
        assert_eq!(found.brokers.len(), 3);
        assert_eq!(found.topics[0].error.as_ref().map(|e| e.code), Some(3));
        let all = metadata(&client, Topics::All, &|| false).unwrap();
        assert_eq!(all.topics, []);
        assert!(all.cluster_id.is_some());
    }

    #[test]
    fn the_mock_does_not_pretend_to_look_up_times() {
        let cluster = MockCluster::start(1).unwrap();
        let client = client(&cluster);
        metadata(&client, Topics::All, &|| false).unwrap();
        let by_time = OffsetQuery {
            topic: "any".to_owned(),
            partition: 0,
            spec: OffsetSpec::Time(0),
        };
        let answers = offsets(&client, &[by_time], Isolation::ReadCommitted, &|| false).unwrap();
        let error = answers[0].as_ref().unwrap_err();
        assert!(error.to_string().contains("mock cluster"), "{error}");
    }

    #[test]
    fn no_broker_and_too_many_are_refused() {
        assert!(MockCluster::start(0).is_err());
        assert!(MockCluster::start(MAX_BROKERS + 1).is_err());
    }
}
