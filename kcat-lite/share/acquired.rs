//! From the records of a response to jobs, of `--batch` records each.

use tools::kafka::share::AcquiredRecord;

use super::job::{Job, JobRecord};
use crate::output::{BadRecord, EncodeRefusal, Encoding};

/// Records on their way into jobs.
#[derive(Default)]
pub(super) struct AcquiredJobs {
    pub(super) jobs: Vec<Job>,
    /// Records that the format can't hold.
    pub(super) unwritten: Vec<JobRecord>,
    pub(super) failed: Option<anyhow::Error>,
}

impl AcquiredJobs {
    pub(super) fn add(
        &mut self,
        acquired: &AcquiredRecord<'_>,
        encoding: &mut Encoding,
        batch_records: u64,
    ) {
        let record = JobRecord::new(acquired.position, &acquired.record, acquired.delivery_count);
        let is_full = |job: &Job| job.records.len() as u64 >= batch_records;
        if self.jobs.last().is_none_or(is_full) {
            self.jobs.push(Job::new());
        }
        let Some(job) = self.jobs.last_mut() else {
            return;
        };
        let (start, ambiguous) = (job.input().len(), encoding.ambiguous());
        let encoded = match encoding.encode(&acquired.record, job.input()) {
            // A command with several records would take it for two.
            Ok(()) if batch_records > 1 && encoding.ambiguous() > ambiguous => {
                Err(EncodeRefusal::Ambiguous)
            }
            other => other,
        };
        match encoded {
            Ok(()) => job.records.push(record),
            Err(reason) => {
                job.input().truncate(start);
                self.unwritten.push(record);
                let bad = BadRecord::new(&acquired.record, reason);
                self.failed.get_or_insert_with(|| bad.into());
            }
        }
        self.jobs.retain(|job| !job.records.is_empty());
    }
}
