//! The settings of a share group that decide what its members get.

use std::time::{Duration, Instant};

use anyhow::bail;
use tools::cli::signals::Signals;
use tools::kafka::Client;
use tools::kafka::admin::{
    ConfigResource, ConfigsQuery, QueryBudget, Topics, configs, coordinators, metadata,
    share_offsets,
};
use tools::kafka::error::{KafkaError, code, is_connection_failure, is_coordinator_change};
use tools::kafka::wire::Wire;

use super::StatusReporter;
use crate::config::Share;

/// How long one try to reach the coordinator takes.
const TIME_LIMIT: Duration = Duration::from_secs(2);
/// Per group since Kafka 4.3 (KIP-1240), else the broker's.
const GROUP_LIMIT: &str = "share.delivery.count.limit";
const BROKER_LIMIT: &str = "group.share.delivery.count.limit";
const RESET: &str = "share.auto.offset.reset";

#[derive(Debug, Default)]
pub(super) struct GroupSettings {
    /// How often a record is delivered at most; none if this user may not see it.
    pub(super) delivery_limit: Option<u32>,
    /// Whether the group has no position in any of its topics yet.
    is_new: bool,
    /// `share.auto.offset.reset`
    reset: Option<String>,
}

impl GroupSettings {
    /// What to report of a new group that begins at the end of its topics, as its settings say.
    pub(super) fn warning_of_new_group(&self, group: &str) -> Option<String> {
        let begins = match self.reset.as_deref() {
            Some("latest") => "it begins at the end",
            None => {
                "unless its settings, which this user may not see, say otherwise, it begins at the end"
            }
            Some(_) => return None,
        };
        self.is_new.then(|| {
            format!(
                "group {group} is new: {begins}, with what comes from now on (kafka-configs.sh --alter \
                 --entity-type groups --entity-name {group} --add-config share.auto.offset.reset=earliest \
                 makes it begin at the beginning)"
            )
        })
    }
}

/// Waits for the group's coordinator, and asks it; none if a signal came first.
pub(super) fn read(
    client: &Client,
    config: &Share,
    signals: &Signals,
) -> anyhow::Result<Option<GroupSettings>> {
    let interrupted = || signals.caught().is_some();
    let started = Instant::now();
    let mut status = StatusReporter::new(config);
    while !interrupted() {
        let metadata = metadata(client, Topics::Named(&[]), &interrupted)?;
        let mut wire = Wire::new(client);
        let mut budget = QueryBudget::new(TIME_LIMIT, &interrupted).among(metadata.broker_ids());
        let group = [config.group.clone()];
        let found = coordinators(&mut wire, &group, &mut budget).pop();
        let asked = found.map(|found| {
            found.and_then(|coordinator| ask(&mut wire, coordinator, &config.group, &mut budget))
        });
        match asked {
            Some(Ok(settings)) => return Ok(Some(settings)),
            Some(Err(error)) => {
                if !is_away(&error) {
                    bail!("group {}: {error}", config.group);
                }
                let time = started.elapsed();
                if config.give_up.is_some_and(|limit| time >= limit) {
                    bail!("group {}: {error}", config.group);
                }
                status.report_outage(time, &error);
            }
            None => {}
        }
    }
    Ok(None)
}

/// What can be found out; a setting that this user may not see is none.
fn ask(
    wire: &mut Wire<'_>,
    coordinator: i32,
    group: &str,
    budget: &mut QueryBudget<'_>,
) -> Result<GroupSettings, KafkaError> {
    let mut settings = GroupSettings::default();
    let of_group = ConfigResource::Group(group.to_owned());
    let of_broker = ConfigResource::Broker(coordinator);
    let query = ConfigsQuery {
        broker: coordinator,
        resources: vec![
            (of_group.clone(), vec![GROUP_LIMIT, RESET]),
            (of_broker.clone(), vec![BROKER_LIMIT]),
        ],
    };
    let answers = configs(wire, &[query], budget).pop();
    if let Some(Err(error)) = &answers
        && is_away(error)
    {
        return Err(error.clone());
    }
    if let Some(Ok(answers)) = answers {
        let value = |resource, name| match answers.get(resource) {
            Some(Ok(values)) => values.get(name).cloned(),
            _ => None,
        };
        settings.reset = value(&of_group, RESET);
        let limit = value(&of_group, GROUP_LIMIT).or_else(|| value(&of_broker, BROKER_LIMIT));
        settings.delivery_limit = limit.and_then(|limit| limit.parse().ok());
    }
    settings.is_new = match share_offsets(wire, &[(group, coordinator)], budget).pop() {
        Some(Ok(positions)) => positions.iter().all(|position| position.start.is_none()),
        Some(Err(error)) if is_away(&error) => return Err(error),
        Some(Err(error)) => error.code == code::GROUP_ID_NOT_FOUND,
        None => false,
    };
    Ok(settings)
}

/// Whether another try may find the coordinator.
fn is_away(error: &KafkaError) -> bool {
    is_coordinator_change(error.code) || is_connection_failure(error.code)
}
