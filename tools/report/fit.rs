//! A table that fits a terminal: a row is one line. Pure.
//!
//! In this order, until it fits: what is the same in all rows goes into the
//! heading, the widest first; columns move together; long texts are cut; then
//! titles; then the bar goes, and at last columns of texts, which the heading
//! names.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// What a column has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Set to the left, and may be cut.
    Text,
    /// Set to the right, and never cut.
    Number,
    /// What the number before it has changed by.
    Change,
    /// A bar for the number before it.
    Bar,
}

/// A column as it is drawn.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub(super) title: String,
    pub(super) texts: Vec<String>,
    pub(super) kind: Kind,
    /// How wide its cells are, and how wide it is drawn.
    cell_width: usize,
    width: usize,
}

impl Drawn {
    pub(super) fn new(title: String, texts: Vec<String>, kind: Kind) -> Drawn {
        let cell_width = texts.iter().map(|text| text.width()).max().unwrap_or(0);
        Drawn {
            width: cell_width.max(title.width()),
            cell_width,
            title,
            texts,
            kind,
        }
    }

    fn is_same_everywhere(&self) -> bool {
        let mut texts = self.texts.iter();
        let first = texts.next();
        first.is_some_and(|first| texts.all(|text| text == first))
    }
}

/// Columns, what is between them, and the heading above.
#[derive(Debug)]
pub(super) struct Fitted {
    pub(super) heading: Vec<String>,
    pub(super) columns: Vec<Drawn>,
    pub(super) gap: &'static str,
    ellipsis: &'static str,
}

/// Texts are first cut to this, and then to the second.
const TEXT_FLOORS: [usize; 2] = [12, 6];
/// A title of numbers is cut to this.
const TITLE_FLOOR: usize = 3;
/// So many columns stay in any case: what the row is about.
const STAYING: usize = 3;

impl Fitted {
    /// All of it, however wide.
    pub(super) fn whole(columns: Vec<Drawn>) -> Fitted {
        Fitted {
            heading: Vec::new(),
            columns,
            gap: "  ",
            ellipsis: "",
        }
    }

    /// As much of it as `limit` columns of a terminal can have.
    pub(super) fn new(columns: Vec<Drawn>, limit: usize, is_utf8: bool) -> Fitted {
        let mut fitted = Fitted::whole(columns);
        if fitted.excess(limit) == 0 {
            return fitted;
        }
        fitted.ellipsis = if is_utf8 { "\u{2026}" } else { "~" };
        let mut heading = fitted.hoist(limit);
        if fitted.excess(limit) > 0 {
            fitted.gap = " ";
        }
        fitted.cut_texts(limit, TEXT_FLOORS[0]);
        fitted.cut_titles(limit);
        if fitted.excess(limit) > 0 {
            fitted.columns.retain(|column| column.kind != Kind::Bar);
        }
        fitted.cut_texts(limit, TEXT_FLOORS[1]);
        let dropped = fitted.drop_texts(limit);
        if !dropped.is_empty() {
            heading.push(format!("--wide also shows: {}", dropped.join(" ")));
        }
        fitted.heading = wrap(&heading, limit, fitted.ellipsis);
        fitted
    }

    /// By how much it is too wide.
    fn excess(&self, limit: usize) -> usize {
        let widths: usize = self.columns.iter().map(|column| column.width).sum();
        let gaps = self.gap.len() * self.columns.len().saturating_sub(1);
        (widths + gaps).saturating_sub(limit)
    }

    fn hoist(&mut self, limit: usize) -> Vec<String> {
        let mut heading: Vec<(usize, String)> = Vec::new();
        let mut places: Vec<usize> = (0..self.columns.len()).collect();
        while self.excess(limit) > 0 && self.columns.len() > 1 {
            let candidates = (0..self.columns.len()).filter(|&at| {
                let has_beside = self.columns.get(at + 1).map(|next| next.kind);
                let is_plain = matches!(self.columns[at].kind, Kind::Text | Kind::Number);
                let is_alone = !matches!(has_beside, Some(Kind::Change | Kind::Bar));
                is_plain && is_alone && self.columns[at].is_same_everywhere()
            });
            let Some(at) = candidates.max_by_key(|&at| self.columns[at].width) else {
                break;
            };
            let column = self.columns.remove(at);
            let place = places.remove(at);
            // An empty text is not missed.
            if let Some(text) = column.texts.first().filter(|text| !text.is_empty()) {
                heading.push((place, format!("{}: {text}", column.title)));
            }
        }
        heading.sort();
        heading.into_iter().map(|(_, text)| text).collect()
    }

    fn cut_texts(&mut self, limit: usize, floor: usize) {
        while self.excess(limit) > 0 {
            let texts = self
                .columns
                .iter_mut()
                .filter(|column| column.kind == Kind::Text);
            match texts.max_by_key(|column| column.width) {
                Some(widest) if widest.width > floor => widest.width -= 1,
                _ => return,
            }
        }
    }

    fn cut_titles(&mut self, limit: usize) {
        while self.excess(limit) > 0 {
            let spare = |column: &Drawn| {
                column.width - column.cell_width.max(TITLE_FLOOR).min(column.width)
            };
            let numbers = self
                .columns
                .iter_mut()
                .filter(|column| column.kind != Kind::Text);
            match numbers.max_by_key(|column| spare(column)) {
                Some(column) if spare(column) > 0 => column.width -= 1,
                _ => return,
            }
        }
    }

    fn drop_texts(&mut self, limit: usize) -> Vec<String> {
        let mut dropped = Vec::new();
        while self.excess(limit) > 0 {
            // The last one are remarks, which say why something is not known.
            let last = self.columns.len().saturating_sub(1);
            let found = (STAYING..last)
                .rev()
                .find(|&at| self.columns[at].kind == Kind::Text);
            let Some(at) = found else { break };
            dropped.insert(0, self.columns.remove(at).title);
        }
        dropped
    }

    /// The lines of the table, its titles first.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let rows = self.columns.first().map_or(0, |column| column.texts.len());
        let titles = std::iter::once(self.line(|column| &column.title));
        titles.chain((0..rows).map(|row| self.line(move |column| &column.texts[row])))
    }

    fn line<'a>(&'a self, text_of: impl Fn(&'a Drawn) -> &'a String) -> String {
        let mut line = String::new();
        for (at, column) in self.columns.iter().enumerate() {
            let text = cut(text_of(column), column.width, self.ellipsis);
            let padding = " ".repeat(column.width.saturating_sub(text.width()));
            let gap = if at == 0 { "" } else { self.gap };
            match column.kind {
                Kind::Number | Kind::Change => line.extend([gap, &padding, &text]),
                Kind::Text | Kind::Bar => line.extend([gap, &text, &padding]),
            }
        }
        // Blanks at the end of a line would only wrap on a narrow terminal.
        line.truncate(line.trim_end().len());
        line
    }
}

/// `text`, or what of it fits with the mark that there is more.
fn cut(text: &str, width: usize, ellipsis: &str) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(ellipsis.width());
    let mut shown = String::new();
    let mut used = 0;
    for letter in text.chars() {
        used += letter.width().unwrap_or(0);
        if used > room {
            break;
        }
        shown.push(letter);
    }
    shown + ellipsis
}

/// The texts beside each other, as many as a line can have.
fn wrap(texts: &[String], limit: usize, ellipsis: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for text in texts {
        let text = cut(text, limit, ellipsis);
        match lines.last_mut() {
            Some(line) if line.width() + 2 + text.width() <= limit => {
                line.push_str("  ");
                line.push_str(&text);
            }
            _ => lines.push(text),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn column(title: &str, kind: Kind, texts: &[&str]) -> Drawn {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        Drawn::new(title.to_owned(), texts, kind)
    }

    fn drawn(columns: Vec<Drawn>, limit: usize) -> Vec<String> {
        let fitted = Fitted::new(columns, limit, true);
        fitted
            .heading
            .iter()
            .cloned()
            .chain(fitted.lines())
            .collect()
    }

    fn sample() -> Vec<Drawn> {
        vec![
            column("GROUP", Kind::Text, &["billing", "shop"]),
            column(
                "STATE",
                Kind::Text,
                &["PreparingRebalance", "PreparingRebalance"],
            ),
            column("LAG", Kind::Number, &["5", "12345678"]),
            column(
                "NOTE",
                Kind::Text,
                &["", "never committed, at most 9 behind"],
            ),
        ]
    }

    #[test]
    fn what_fits_is_left_alone() {
        assert_eq!(
            drawn(sample(), 80),
            [
                "GROUP    STATE                    LAG  NOTE",
                "billing  PreparingRebalance         5",
                "shop     PreparingRebalance  12345678  never committed, at most 9 behind",
            ]
        );
    }

    #[test]
    fn what_is_the_same_everywhere_goes_into_the_heading_and_the_widest_is_cut() {
        assert_eq!(
            drawn(sample(), 54),
            [
                "STATE: PreparingRebalance",
                "GROUP         LAG  NOTE",
                "billing         5",
                "shop     12345678  never committed, at most 9 behind",
            ]
        );
        assert_eq!(
            drawn(sample(), 34)[3],
            "shop    12345678 never committed,\u{2026}"
        );
    }

    #[test]
    fn a_single_row_keeps_what_fits_below_the_rest() {
        let columns = vec![
            column("GROUP", Kind::Text, &["a-group-with-a-long-name"]),
            column("LAG", Kind::Number, &["5"]),
        ];
        assert_eq!(
            drawn(columns, 26),
            ["GROUP: a-group-with-a-lon\u{2026}", "LAG", "  5"]
        );
    }

    fn any_column() -> impl Strategy<Value = Drawn> {
        let kind = prop_oneof![Just(Kind::Text), Just(Kind::Text), Just(Kind::Number)];
        (kind, prop::collection::vec("[a-z\u{6ce8}]{0,40}", 3..4)).prop_map(|(kind, texts)| {
            let texts = match kind {
                Kind::Text => texts,
                _ => texts.iter().map(|text| text.len().to_string()).collect(),
            };
            Drawn::new("SOME_TITLE".to_owned(), texts, kind)
        })
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(columns in prop::collection::vec(any_column(), 1..14)) {
            for line in drawn(columns, 80) {
                prop_assert!(line.width() <= 80, "{line}");
            }
        }
    }
}
