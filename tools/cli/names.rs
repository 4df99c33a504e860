//! Which topics or groups are meant: plain names, and `^regex` as librdkafka has it in a subscription.

use std::fmt;
use std::str::FromStr;

use regex::Regex;

/// One word of a command line: a name, or a pattern that begins with `^`.
#[derive(Clone, Debug)]
pub enum Name {
    /// This name and no other.
    Plain(String),
    /// Every name that matches; the end is open, as everywhere in librdkafka.
    Pattern(Regex),
}

impl Name {
    /// Whether `name` is meant.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Name::Plain(plain) => plain == name,
            Name::Pattern(pattern) => pattern.is_match(name),
        }
    }
}

impl Name {
    /// What every name begins with that is meant by it, as far as a pattern says so before its first choice.
    pub fn prefix(&self) -> String {
        let pattern = match self {
            Name::Plain(plain) => return plain.clone(),
            Name::Pattern(pattern) => pattern.as_str().trim_start_matches('^'),
        };
        let mut prefix = String::new();
        let mut characters = pattern.chars().peekable();
        while let Some(character) = characters.next() {
            let literal = match character {
                '\\' => match characters.next() {
                    Some(escaped) if escaped.is_ascii_punctuation() => escaped,
                    _ => break,
                },
                _ if character.is_alphanumeric() || "-_,:;/@ ".contains(character) => character,
                _ => break,
            };
            // What may be left out is not what every name has.
            if matches!(characters.peek(), Some('*' | '?' | '{')) {
                break;
            }
            prefix.push(literal);
        }
        if pattern.contains('|') {
            prefix.clear();
        }
        prefix
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Name, String> {
        if text.is_empty() {
            return Err("a name is expected".to_owned());
        }
        if !text.starts_with('^') {
            return Ok(Name::Plain(text.to_owned()));
        }
        Regex::new(text).map(Name::Pattern).map_err(|error| {
            // The parser draws where the fault is, and says last what it is.
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            format!("{text:?} is not a regular expression: {reason}")
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Plain(name) => out.write_str(name),
            Name::Pattern(pattern) => out.write_str(pattern.as_str()),
        }
    }
}

/// Says that there may be more of `what` than a user is shown, of those whose names begin with `prefix`.
pub fn may_be_hidden(what: &str, prefix: &str) -> String {
    let which = match prefix {
        "" => String::new(),
        prefix => format!(" whose names begin with {prefix}"),
    };
    format!("not authorised to describe all {what}{which}: there may be others than are shown")
}

/// What is wanted and what is left out of it.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    wanted: Vec<Name>,
    excluded: Vec<Name>,
}

impl Selection {
    /// Names that fit one of `wanted` (all where that is empty) and none of `excluded`.
    pub fn new(wanted: &[Name], excluded: &[Name]) -> Selection {
        Selection {
            wanted: wanted.to_vec(),
            excluded: excluded.to_vec(),
        }
    }

    /// Whether `name` is selected.
    pub fn takes(&self, name: &str) -> bool {
        self.wants(name) && !self.excludes(name)
    }

    /// Whether some of `existing` are wanted, and all of those are excluded.
    pub fn excludes_all(&self, existing: &[&str]) -> bool {
        let mut wanted = existing.iter().filter(|name| self.wants(name)).peekable();
        wanted.peek().is_some() && wanted.all(|name| self.excludes(name))
    }

    fn wants(&self, name: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|wanted| wanted.matches(name))
    }

    fn excludes(&self, name: &str) -> bool {
        self.excluded.iter().any(|excluded| excluded.matches(name))
    }

    /// The names that are wanted and excluded: a contradiction.
    pub fn contradictions(&self) -> Vec<&str> {
        let names = self.wanted.iter().filter_map(|name| match name {
            Name::Plain(name) => Some(name.as_str()),
            Name::Pattern(_) => None,
        });
        names.filter(|name| self.excludes(name)).collect()
    }

    /// The names and patterns that were asked for; none is all.
    pub fn wanted(&self) -> &[Name] {
        &self.wanted
    }

    /// What the names begin with that can only be known from a list: an empty one where all are asked for.
    pub fn listed_prefixes(&self) -> Vec<String> {
        if self.wanted.is_empty() {
            return vec![String::new()];
        }
        let patterns = self.wanted.iter();
        let patterns = patterns.filter(|name| matches!(name, Name::Pattern(_)));
        patterns.map(Name::prefix).collect()
    }

    /// Whether nothing was said about which names are meant.
    pub fn takes_all(&self) -> bool {
        self.wanted.is_empty() && self.excluded.is_empty()
    }

    /// Whether it was said which names are meant, and not only which are not.
    pub fn is_chosen(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// The names themselves, each once, where they were all named and nothing has to be looked for.
    pub fn plain_names(&self) -> Option<Vec<String>> {
        if self.wanted.is_empty() {
            return None;
        }
        let mut names: Vec<String> = Vec::new();
        for name in &self.wanted {
            let Name::Plain(name) = name else { return None };
            if self.takes(name) && !names.contains(name) {
                names.push(name.clone());
            }
        }
        Some(names)
    }

    /// The wanted names and patterns that fit none of `existing`: a misspelt name must not look like an empty answer.
    pub fn unmatched(&self, existing: &[&str]) -> Vec<String> {
        let is_unmatched = |name: &&Name| !existing.iter().any(|e| name.matches(e));
        let unmatched = self.wanted.iter().filter(is_unmatched);
        unmatched.map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<Name> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn nothing_wanted_is_everything_but_what_is_excluded() {
        let all = Selection::new(&[], &names(&["orders", "^__"]));
        assert!(all.takes("stock") && all.takes("orders2"));
        assert!(!all.takes_all() && Selection::default().takes_all());
        assert!(!all.takes("orders") && !all.takes("__consumer_offsets"));
        assert_eq!(all.plain_names(), None);
    }

    #[test]
    fn a_name_is_itself_and_a_pattern_is_open_at_its_end() {
        let some = Selection::new(&names(&["a.b", "^shop-", "^x$"]), &names(&["shop-test"]));
        for (name, taken) in [
            ("a.b", true),
            ("a.bc", false),
            ("axb", false),
            ("shop-1", true),
            ("my-shop-1", false),
            ("shop-test", false),
            ("x", true),
            ("xy", false),
        ] {
            assert_eq!(some.takes(name), taken, "{name}");
        }
        assert_eq!(some.plain_names(), None);
    }

    #[test]
    fn plain_names_need_no_listing() {
        let some = Selection::new(&names(&["b", "a", "b", "c"]), &names(&["^c"]));
        assert_eq!(some.plain_names(), Some(vec!["b".into(), "a".into()]));
    }

    #[test]
    fn a_pattern_says_what_its_names_begin_with() {
        for (text, prefix) in [
            ("orders", "orders"),
            ("^team-a-", "team-a-"),
            (r"^personal\.data", "personal.data"),
            ("^a.b", "a"),
            ("^ab*c", "a"),
            ("^ab+c", "ab"),
            ("^shop|^bill", ""),
            ("^(a|b)", ""),
            ("^.*-2$", ""),
            (r"^\d", ""),
            ("^x$", "x"),
        ] {
            let name: Name = text.parse().unwrap();
            assert_eq!(name.prefix(), prefix, "{text}");
        }
    }

    #[test]
    fn a_selection_that_leaves_nothing_out_of_something_is_known() {
        let none = Selection::new(&[], &names(&["^a", "b"]));
        assert!(none.excludes_all(&["aa", "b"]));
        assert!(!none.excludes_all(&["aa", "c"]) && !none.excludes_all(&[]));
        let wanted = Selection::new(&names(&["a"]), &names(&["b"]));
        assert!(!wanted.excludes_all(&["b"]));
        let both = Selection::new(&names(&["aa", "c", "^a"]), &names(&["^a"]));
        assert_eq!(both.contradictions(), ["aa"]);
    }

    #[test]
    fn what_fits_nothing_is_told() {
        let some = Selection::new(&names(&["a", "b", "^c", "^d"]), &[]);
        assert_eq!(some.unmatched(&["a", "cc"]), ["b", "^d"]);
    }

    #[test]
    fn no_name_and_no_regular_expression_are_refused() {
        assert!("".parse::<Name>().is_err());
        let refused = "^(".parse::<Name>().expect_err("an open group");
        let expected = "\"^(\" is not a regular expression: unclosed group";
        assert_eq!(refused, expected);
    }
}
