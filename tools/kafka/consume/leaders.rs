//! Whether the brokers answer that lead what is read.

use std::time::{Duration, Instant};

use super::{ConsumeError, Wanted, topics};
use crate::kafka::Client;
use crate::kafka::cluster::{Isolation, Question, Spec, offsets};

/// The partitions that are read, to ask their leaders about.
#[derive(Default)]
pub struct Leaders {
    questions: Vec<Question>,
}

impl Leaders {
    /// Those of all that is wanted.
    pub fn of(
        client: &Client,
        wanted: &Wanted,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Leaders, ConsumeError> {
        let found = topics::find(client, &wanted.topics, interrupted)?;
        let questions = found.iter().flat_map(|topic| {
            let of_it = topic.partitions.iter();
            let read = of_it.filter(|id| wanted.partition.is_none_or(|wanted| wanted == **id));
            read.map(|&partition| Question {
                topic: topic.name.clone(),
                partition,
                spec: Spec::Latest,
            })
        });
        Ok(Leaders {
            questions: questions.collect(),
        })
    }

    /// Of these questions.
    pub(crate) fn asked(questions: Vec<Question>) -> Leaders {
        Leaders { questions }
    }

    /// Whether all of them answer `within` this time.
    pub fn answer(
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
