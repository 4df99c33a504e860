//! What a member does while the cluster is away, or in a state that passes: it asks again.

use std::time::{Duration, Instant};

use super::{GroupError, Member, is_outage};
use crate::kafka::admin::{
    Isolation, OffsetQuery, OffsetSpec, QueryBudget, coordinator_answers, offsets,
};
use crate::kafka::client::ContactError;
use crate::kafka::consume::offset_range::offset;
use crate::kafka::consume::{ConsumeError, LeaderProbe};
use crate::kafka::error::{KafkaError, code, is_leader_change};
use crate::kafka::wire::Wire;

/// How long to wait before a question is asked again.
const AGAIN: Duration = Duration::from_millis(100);
/// A partition that is not there for longer does not come.
const UNKNOWN: Duration = Duration::from_secs(10);

impl Member {
    /// Whether it makes sense to go on waiting for an answer to a question that was first asked at `begun`.
    pub(super) fn may_retry(&self, begun: Instant) -> bool {
        let give_up = self.membership.give_up;
        give_up.is_none_or(|limit| begun.elapsed() < limit)
    }

    /// One offset for each question, asked until all are answered; `None` after a signal.
    pub(super) fn ask_offsets(
        &self,
        questions: &[OffsetQuery],
        isolation: Isolation,
    ) -> Result<Option<Vec<Option<i64>>>, GroupError> {
        let begun = Instant::now();
        loop {
            let interrupted = || (self.interrupted)();
            let asked = ask_once(self, questions, isolation, &interrupted);
            match asked {
                Ok(offsets) => return Ok(Some(offsets)),
                Err(_) if interrupted() => return Ok(None),
                Err(error) if may_pass(&error, begun) => {
                    if !self.may_retry(begun) {
                        return Err(self.gave_up(begun.elapsed()));
                    }
                    std::thread::sleep(AGAIN);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends a member whose cluster has been away for longer than its user wants to wait.
    pub(super) fn check_contact(&mut self) -> Result<(), GroupError> {
        let Some(within) = self.outage.probe_due() else {
            return Ok(());
        };
        let is_answered = self.is_answered(within);
        match self.outage.note(is_answered) {
            Some(silence) => Err(self.gave_up(silence)),
            None => Ok(()),
        }
    }

    /// Whether the group's coordinator and the leaders of all that is assigned answer.
    fn is_answered(&self, within: Duration) -> bool {
        let begun = Instant::now();
        let is_over = || begun.elapsed() >= within || (self.interrupted)();
        let mut wire = Wire::new(&self.handle.client);
        let mut budget = QueryBudget::new(within, &is_over);
        let group = &self.membership.group;
        if !coordinator_answers(&mut wire, group, &mut budget) {
            return false;
        }
        let assigned = self.reader.partitions();
        let questions = assigned.iter();
        let questions = questions.map(|it| OffsetQuery::new(it, OffsetSpec::Latest));
        let leaders = LeaderProbe::from_questions(questions.collect());
        leaders.all_respond(&self.handle.client, within, &|| (self.interrupted)())
    }

    pub(super) fn gave_up(&self, silence: Duration) -> GroupError {
        GroupError::GaveUp {
            group: self.membership.group.clone(),
            seconds: silence.as_secs(),
            cause: self.known_cause(),
        }
    }

    /// `: ` and the cause of trouble, if one is known.
    pub(super) fn known_cause(&self) -> String {
        let cause = self.handle.client.cause();
        cause.map_or_else(String::new, |cause| format!(": {cause}"))
    }
}

fn ask_once(
    member: &Member,
    questions: &[OffsetQuery],
    isolation: Isolation,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<Option<i64>>, ConsumeError> {
    let answers = offsets(&member.handle.client, questions, isolation, interrupted)?;
    let rows = questions.iter().zip(answers);
    rows.map(|(question, answer)| offset(question, answer))
        .collect()
}

/// Whether the same question may be answered later.
fn may_pass(error: &ConsumeError, begun: Instant) -> bool {
    let by_code = |error: &KafkaError| match error.code {
        code::UNKNOWN_TOPIC_OR_PARTITION | code::UNKNOWN_PARTITION | code::UNKNOWN_TOPIC => {
            begun.elapsed() < UNKNOWN
        }
        other => is_outage(other) || is_leader_change(other),
    };
    match error {
        ConsumeError::Contact(ContactError::Unreachable { .. }) => true,
        ConsumeError::Contact(ContactError::Answered(error))
        | ConsumeError::Partition { error, .. } => by_code(error),
        _ => false,
    }
}
