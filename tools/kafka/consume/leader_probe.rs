//! Whether the leaders of partitions respond.

use std::time::{Duration, Instant};

use super::{ConsumeError, ReadRequest, topics};
use crate::kafka::Client;
use crate::kafka::admin::{Isolation, OffsetQuery, OffsetSpec, offsets};

/// Asks the leaders of partitions for their end offsets.
#[derive(Default)]
pub struct LeaderProbe {
    questions: Vec<OffsetQuery>,
}

impl LeaderProbe {
    /// For the partitions of a request.
    pub fn new(
        client: &Client,
        request: &ReadRequest,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<LeaderProbe, ConsumeError> {
        let found = topics::find(client, &request.topics, interrupted)?;
        let questions = found.iter().flat_map(|topic| {
            let ids = topic.partitions.iter();
            let read = ids.filter(|&&id| request.partition.is_none_or(|only| only == id));
            read.map(|&partition| OffsetQuery {
                topic: topic.name.clone(),
                partition,
                spec: OffsetSpec::Latest,
            })
        });
        Ok(LeaderProbe {
            questions: questions.collect(),
        })
    }

    pub(crate) fn from_questions(questions: Vec<OffsetQuery>) -> LeaderProbe {
        LeaderProbe { questions }
    }

    /// Whether all leaders respond `within` this time.
    pub fn all_respond(
        &self,
        client: &Client,
        within: Duration,
        interrupted: &dyn Fn() -> bool,
    ) -> bool {
        if self.questions.is_empty() {
            return true;
        }
        let begun = Instant::now();
        let is_over = || begun.elapsed() >= within || interrupted();
        let answers = offsets(
            client,
            &self.questions,
            Isolation::ReadUncommitted,
            &is_over,
        );
        answers.is_ok_and(|answers| answers.iter().all(Result::is_ok))
    }
}
