//! How long a reader's cluster may be away.

use std::time::Duration;

use anyhow::bail;
use tools::kafka::Client;
use tools::kafka::consume::{ConsumeError, LeaderProbe, ReadRequest};
use tools::kafka::outage::Outage;

/// How long the leaders may be silent, and the option that says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SilenceLimit {
    pub(crate) time: Duration,
    pub(crate) option: &'static str,
}

impl SilenceLimit {
    pub(crate) fn give_up(time: Option<Duration>) -> Option<SilenceLimit> {
        let option = "--give-up";
        time.map(|time| SilenceLimit { time, option })
    }
}

/// Probes the leaders of what is read.
pub(crate) struct ContactWatch<'a> {
    client: &'a Client,
    leaders: LeaderProbe,
    outage: Outage,
    option: &'static str,
}

impl<'a> ContactWatch<'a> {
    /// Without a limit nothing is probed.
    pub(crate) fn new(
        client: &'a Client,
        request: &ReadRequest,
        limit: Option<SilenceLimit>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<ContactWatch<'a>, ConsumeError> {
        Ok(ContactWatch {
            client,
            leaders: match limit {
                Some(_) => LeaderProbe::new(client, request, interrupted)?,
                None => LeaderProbe::default(),
            },
            outage: Outage::new(limit.map(|limit| limit.time)),
            option: limit.map_or("", |limit| limit.option),
        })
    }

    /// Fails if the leaders have not answered for longer than the limit.
    pub(crate) fn check(&mut self, interrupted: &dyn Fn() -> bool) -> anyhow::Result<()> {
        let Some(within) = self.outage.probe_due() else {
            return Ok(());
        };
        let is_answered = self.leaders.all_respond(self.client, within, interrupted);
        let Some(silence) = self.outage.note(is_answered) else {
            return Ok(());
        };
        let cause = self.client.cause();
        let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
        let (seconds, option) = (silence.as_secs(), self.option);
        bail!("no contact with the cluster for {seconds} s ({option}){cause}")
    }
}
