//! The text of an exposition: families of gauges and their samples, in the format of Prometheus 0.0.4.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::Write as _;

use tools::report::push_label;

/// Families of gauges, one after the other.
pub(super) struct Exposition<'a> {
    text: &'a mut Vec<u8>,
    /// The labels that every sample begins with.
    common: String,
    /// The families that are wanted, where not all are.
    wanted: Option<&'a BTreeSet<String>>,
    name: &'static str,
    /// Whether the family that was begun last is left out.
    is_left_out: bool,
    /// The head of a family without samples is not written.
    head: Option<String>,
    labels: String,
}

impl<'a> Exposition<'a> {
    /// Nothing yet; every sample will name `cluster` where there is one.
    pub(super) fn new(
        cluster: Option<&str>,
        wanted: Option<&'a BTreeSet<String>>,
        text: &'a mut Vec<u8>,
    ) -> Exposition<'a> {
        let mut common = String::new();
        if let Some(cluster) = cluster {
            push_label(&mut common, "cluster_name", cluster);
        }
        Exposition {
            text,
            common,
            wanted,
            name: "",
            is_left_out: false,
            head: None,
            labels: String::new(),
        }
    }

    /// Begins a family of this name; whether it is wanted.
    pub(super) fn family(&mut self, family: super::Family) -> bool {
        let super::Family { name, help } = family;
        self.name = name;
        let is_own = name.starts_with("klag_");
        let is_wanted = self.wanted.is_none_or(|wanted| wanted.contains(name));
        self.is_left_out = !is_wanted && !is_own;
        self.head = Some(format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
        !self.is_left_out
    }

    /// A sample of the family that was begun last.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        if self.is_left_out {
            return;
        }
        if let Some(head) = self.head.take() {
            self.text.extend_from_slice(head.as_bytes());
        }
        self.labels.clone_from(&self.common);
        for (name, value) in labels {
            push_label(&mut self.labels, name, value);
        }
        self.text.extend_from_slice(self.name.as_bytes());
        // A vector takes everything.
        let _ = match self.labels.as_str() {
            "" => writeln!(self.text, " {value}"),
            labels => writeln!(self.text, "{{{labels}}} {value}"),
        };
    }

    /// A sample where there is a value.
    pub(super) fn known_sample(&mut self, labels: &[(&str, &str)], value: Option<impl Display>) {
        if let Some(value) = value {
            self.sample(labels, value);
        }
    }
}
