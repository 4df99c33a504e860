//! The name that was meant where another was typed.

/// The name that is most like what was typed, if one is like it.
pub fn nearest<N: AsRef<str>>(typed: &str, names: impl IntoIterator<Item = N>) -> Option<N> {
    const LIKE: f64 = 0.9;
    let rated = names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(typed, name.as_ref()), name));
    let (likeness, name) = rated.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (likeness >= LIKE).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_finger_is_known_and_another_word_is_not() {
        let names = ["sasl.mechanisms", "sasl.username", "acks"];
        for (typed, meant) in [
            ("sasl.mechanismz", Some("sasl.mechanisms")),
            ("sasl.usrname", Some("sasl.username")),
            ("ack", Some("acks")),
            ("linger", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
    }
}
