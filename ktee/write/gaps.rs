//! What lies between the end of a backup and the first record of a run: records that the topic has deleted, if its
//! cluster can be asked, or nobody knows.

use anyhow::{Context, Result};
use tools::cli::message;
use tools::cli::signals::any_caught;
use tools::kafka::admin::{Isolation, OffsetQuery, OffsetSpec, offsets};
use tools::kafka::{Client, Options, Role};

use super::partition::Partition;
use crate::head::Head;
use crate::segment::{LogId, RangeStatus};

/// Asks the cluster for the first offset that the topic still has.
fn log_start(options: &Options, topic: &str, partition: i32) -> Result<Option<i64>> {
    let client = Client::new(options, Role::Consumer)?;
    let question = OffsetQuery {
        topic: topic.to_owned(),
        partition,
        spec: OffsetSpec::Earliest,
    };
    let isolation = Isolation::ReadUncommitted;
    let mut answers = offsets(&client, &[question], isolation, &any_caught)?;
    Ok(answers.pop().context("no answer")??.offset)
}

/// Reports what is missing between the backup's end before `offset` and the run that begins there.
///
/// `start` is where the log starts, as the source says; else the cluster of `options` is asked, if there is one.
pub(super) fn report(
    partition: &Partition,
    offset: i64,
    mut start: Option<i64>,
    options: &mut Option<Options>,
) -> Result<()> {
    let target = &partition.target;
    let LogId::Partition(topic, number) = &target.log else {
        return Ok(());
    };
    // What the source has read from on, there is nothing of.
    let read_from = partition.after.map_or(offset, |after| after + 1);
    let head = Head::read(&*target.store, topic)?.partitions.remove(number);
    let head = head.map(|span| span.last).filter(|last| *last < offset);
    let end = target.index().last_before(offset)?.max(head);
    // The source may begin before the end: those records are not in the topic any more.
    let Some(end) = end.filter(|end| end + 1 < read_from) else {
        return Ok(());
    };
    let (first, last) = (end + 1, read_from - 1);
    let gaps = target.index().coverage(first, last)?.unknown(first, last);
    if gaps.is_empty() {
        return Ok(());
    }
    if let Some(known) = options
        && start.is_none()
    {
        start = log_start(known, topic, *number).unwrap_or_else(|error| {
            message(format_args!(
                "{}: the start of the log is not known: {error}",
                target.log
            ));
            // One failure is enough of a wait.
            *options = None;
            None
        });
    }
    let start = start.unwrap_or(i64::MIN);
    for (first, last) in gaps.iter() {
        if first < start {
            let last = last.min(start - 1);
            message(format_args!(
                "{}: offsets {first} to {last} were deleted from the topic before they were backed up",
                target.log
            ));
            target.index().mark(RangeStatus::Expired, first, last)?;
        }
        let first = first.max(start);
        if first <= last {
            message(format_args!(
                "{}: offsets {first} to {last} are in neither the backup nor the input",
                target.log
            ));
        }
    }
    Ok(())
}
