//! Whether the leaders of partitions respond.

use std::time::{Duration, Instant};

use super::offset_range::selected_partitions;
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
        let mut questions = Vec::new();
        for topic in topics::find(client, &request.topics, interrupted)? {
            let read = selected_partitions(request, &topic)?.into_iter();
            questions.extend(read.map(|partition| OffsetQuery {
                topic: topic.name.clone(),
                partition,
                spec: OffsetSpec::Latest,
            }));
        }
        Ok(LeaderProbe { questions })
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
