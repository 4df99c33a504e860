//! The text of an exposition: families of gauges and their samples, in the format of Prometheus 0.0.4.

use std::fmt::Display;
use std::io::Write as _;

use tools::report::push_label;

use crate::row::Row;

/// Families of gauges, one after the other.
pub(crate) struct Exposition<'a> {
    text: &'a mut Vec<u8>,
    /// The labels that every sample begins with.
    common: String,
    name: String,
    /// The head of a family without samples is not written.
    head: Option<String>,
    labels: String,
}

impl<'a> Exposition<'a> {
    /// Nothing yet; every sample will name `cluster` where there is one.
    pub(crate) fn new(cluster: Option<&str>, text: &'a mut Vec<u8>) -> Exposition<'a> {
        let mut common = String::new();
        if let Some(cluster) = cluster {
            push_label(&mut common, "cluster_name", cluster);
        }
        Exposition {
            text,
            common,
            name: String::new(),
            head: None,
            labels: String::new(),
        }
    }

    /// Begins a family of this name.
    pub(crate) fn family(&mut self, name: &str, help: &str) {
        self.name.clear();
        self.name.push_str(name);
        self.head = Some(format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
    }

    /// A sample of the family that was begun last.
    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let mut text = std::mem::take(&mut self.labels);
        text.clear();
        text.push_str(&self.common);
        for (name, value) in labels {
            push_label(&mut text, name, value);
        }
        self.put(&text, value);
        self.labels = text;
    }

    /// A sample where there is a value.
    pub(crate) fn known_sample(&mut self, labels: &[(&str, &str)], value: Option<impl Display>) {
        if let Some(value) = value {
            self.sample(labels, value);
        }
    }

    /// A sample with the labels of a partition.
    pub(crate) fn partition_sample(&mut self, topic: &str, partition: i32, value: impl Display) {
        let partition = partition.to_string();
        self.sample(&[("topic", topic), ("partition", &partition)], value);
    }

    /// A sample with the labels of a group's partition and its owner.
    pub(crate) fn row_sample(&mut self, row: &Row, value: impl Display) {
        let partition = row.partition.map_or(String::new(), |id| id.to_string());
        let owner = row.owner.as_deref();
        let labels = [
            ("group", row.group_name()),
            ("topic", row.topic_name()),
            ("partition", &partition),
            ("member_host", owner.map_or("", |owner| &owner.host)),
            ("consumer_id", owner.map_or("", |owner| &owner.member)),
            ("client_id", owner.map_or("", |owner| &owner.client)),
        ];
        self.sample(&labels, value);
    }

    /// A sample that says why something is not known.
    pub(crate) fn noted_sample(&mut self, row: &Row, reason: &str) {
        let partition = row.partition.map_or(String::new(), |id| id.to_string());
        let labels = [
            ("group", row.group_name()),
            ("topic", row.topic_name()),
            ("partition", &partition),
            ("reason", reason),
        ];
        self.sample(&labels, 1);
    }

    fn put(&mut self, labels: &str, value: impl Display) {
        if let Some(head) = self.head.take() {
            self.text.extend_from_slice(head.as_bytes());
        }
        self.text.extend_from_slice(self.name.as_bytes());
        if !labels.is_empty() {
            let _ = write!(self.text, "{{{labels}}}");
        }
        // A vector takes everything.
        let _ = writeln!(self.text, " {value}");
    }
}
