//! Transactions: their partitions, their end, what fails in them.

use super::super::transaction::TransactionPlan;
use super::*;

const PRODUCER: ProducerId = ProducerId { id: 9, epoch: 3 };

/// Topic `t` of two partitions and an open transaction, whose coordinator is broker 5.
fn trial() -> Trial {
    let settings = ProduceSettings {
        transactional_id: Some("id".to_owned()),
        ..settings()
    };
    let mut trial = Trial::new(settings, 2);
    trial.accumulator.set_producer(PRODUCER);
    trial.accumulator.begin_transaction(trial.now);
    trial
        .accumulator
        .transaction
        .as_mut()
        .expect("open")
        .coordinator = Some(5);
    trial
}

fn add(trial: &mut Trial, result: Result<i32, KafkaError>) -> Option<Vec<(usize, usize)>> {
    match trial.accumulator.plan_transaction(trial.now)? {
        TransactionPlan::AddPartitions {
            coordinator: 5,
            producer: PRODUCER,
            partitions,
        } => {
            let now = trial.now;
            trial
                .accumulator
                .partitions_added(partitions.clone(), result, now);
            Some(partitions)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_partition_is_added_before_its_first_batch_is_sent_and_once() {
    let mut trial = trial();
    trial.append(Some(1), "a");
    assert!(trial.plan().is_empty());
    assert_eq!(add(&mut trial, Ok(code::NONE)), Some(vec![(0, 1)]));
    let plan = trial.plan().remove(0);
    assert_eq!(plan.batches[0].batch.stamp, Some((PRODUCER, 0)));
    trial.append(Some(1), "b");
    assert_eq!(add(&mut trial, Ok(code::NONE)), None);
    trial.accumulator.begin_transaction(trial.now);
    trial.plan();
    assert_eq!(
        add(&mut trial, Ok(code::NONE)),
        None,
        "one batch is in flight"
    );
}

#[test]
fn a_coordinator_that_is_busy_is_asked_again_soon_and_one_that_moves_is_looked_up() {
    let mut trial = trial();
    trial.append(Some(0), "a");
    trial.plan();
    assert!(add(&mut trial, Ok(code::CONCURRENT_TRANSACTIONS)).is_some());
    assert!(add(&mut trial, Ok(code::NONE)).is_none());
    trial.advance(20);
    assert!(add(&mut trial, Ok(code::NOT_COORDINATOR)).is_some());
    trial.advance(1000);
    let plan = trial.accumulator.plan_transaction(trial.now);
    assert_eq!(plan, Some(TransactionPlan::FindCoordinator));
    trial.accumulator.coordinator_found(Ok(5), trial.now);
    assert!(add(&mut trial, Ok(code::NONE)).is_some());
    assert_eq!(trial.plan().len(), 1);
}

#[test]
fn after_a_record_failed_nothing_more_of_the_transaction_is_sent() {
    let mut trial = trial();
    trial.append(Some(0), "a");
    trial.append(Some(9), "nowhere");
    trial.append(Some(0), "b");
    assert_eq!(trial.totals(), (3, 0, 3));
    assert_eq!(trial.accumulator.report.failures.len(), 1);
    trial.accumulator.begin_transaction(trial.now);
    trial.append(Some(0), "c");
    assert_eq!(trial.totals(), (4, 0, 3));
}

#[test]
fn another_producer_with_the_id_ends_this_one() {
    let mut trial = trial();
    trial.append(Some(0), "a");
    trial.plan();
    add(&mut trial, Ok(code::INVALID_PRODUCER_EPOCH));
    let fatal = trial.accumulator.fatal().expect("fatal");
    assert_eq!(fatal.code, code::FENCED);
    assert_eq!(trial.totals(), (1, 0, 1));
}
