//! A file name or command with `{}` where the partition goes.

use std::str::FromStr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionTemplate(String);

impl PartitionTemplate {
    /// The text with the partition for every `{}`.
    pub(crate) fn fill(&self, partition: i64) -> String {
        self.0.replace("{}", &partition.to_string())
    }
}

impl FromStr for PartitionTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<PartitionTemplate, String> {
        if text.contains("{}") {
            return Ok(PartitionTemplate(text.to_owned()));
        }
        Err("{} is missing, where the partition goes".to_owned())
    }
}
