//! The layout of a table that fits a terminal: a row is one line.
//!
//! In this order, until it fits: columns with the same text in all rows go into
//! the heading, the widest first; gaps shrink; long texts are cut; times are
//! left out, which other columns have as ages; titles are cut; then the bar is
//! left out, columns of text, and at last columns of numbers. The heading lists
//! what is left out.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnKind {
    /// Aligned to the left, and may be cut.
    Text,
    /// Aligned to the right, and never cut.
    Number,
    /// How much the number before it has changed.
    Change,
    /// A bar for the number before it.
    Bar,
}

#[derive(Clone, Debug)]
pub(super) struct TableColumn {
    pub(super) title: String,
    pub(super) texts: Vec<String>,
    pub(super) kind: ColumnKind,
    /// Of the widest cell.
    cell_width: usize,
    /// Of the column, which may be less.
    width: usize,
}

impl TableColumn {
    pub(super) fn new(title: String, texts: Vec<String>, kind: ColumnKind) -> TableColumn {
        let cell_width = texts.iter().map(|text| text.width()).max().unwrap_or(0);
        TableColumn {
            width: cell_width.max(title.width()),
            cell_width,
            title,
            texts,
            kind,
        }
    }

    fn is_constant(&self) -> bool {
        let mut texts = self.texts.iter();
        let first = texts.next();
        first.is_some_and(|first| texts.all(|text| text == first))
    }
}

#[derive(Debug)]
pub(super) struct TableLayout {
    pub(super) heading: Vec<String>,
    pub(super) columns: Vec<TableColumn>,
    pub(super) gap: &'static str,
    ellipsis: &'static str,
}

/// Texts are cut to at least the first width, and then to the second.
const MIN_TEXT_WIDTHS: [usize; 2] = [12, 6];
/// Titles of numbers are cut to at least this.
const MIN_TITLE_WIDTH: usize = 3;
/// The first columns, which identify the row, are never left out.
const KEPT_COLUMNS: usize = 2;
/// Numbers as wide as this are times.
const TIME_WIDTH: usize = 20;

impl TableLayout {
    /// Without a limit.
    pub(super) fn unlimited(columns: Vec<TableColumn>) -> TableLayout {
        TableLayout {
            heading: Vec::new(),
            columns,
            gap: "  ",
            ellipsis: "",
        }
    }

    /// At most `limit` columns of a terminal wide, if possible.
    pub(super) fn new(columns: Vec<TableColumn>, limit: usize, is_utf8: bool) -> TableLayout {
        let mut layout = TableLayout::unlimited(columns);
        if layout.excess(limit) == 0 {
            return layout;
        }
        layout.ellipsis = if is_utf8 { "\u{2026}" } else { "~" };
        let mut heading = layout.move_constants_to_heading(limit);
        if layout.excess(limit) > 0 {
            layout.gap = " ";
        }
        layout.cut_texts(limit, MIN_TEXT_WIDTHS[0]);
        let mut removed = Vec::new();
        let is_time = |column: &TableColumn| column.cell_width >= TIME_WIDTH;
        layout.remove(limit, &mut removed, |column| {
            column.kind == ColumnKind::Number && is_time(column)
        });
        layout.cut_titles(limit);
        layout.remove(limit, &mut removed, |column| column.kind == ColumnKind::Bar);
        layout.cut_texts(limit, MIN_TEXT_WIDTHS[1]);
        layout.remove(limit, &mut removed, |column| {
            column.kind == ColumnKind::Text
        });
        layout.remove(limit, &mut removed, |_| true);
        removed.retain(|title| !title.is_empty());
        if !removed.is_empty() {
            heading.push(format!("--wide also shows: {}", removed.join(" ")));
        }
        layout.heading = wrap(&heading, limit, layout.ellipsis);
        layout
    }

    /// How much it is too wide.
    fn excess(&self, limit: usize) -> usize {
        let widths: usize = self.columns.iter().map(|column| column.width).sum();
        let gaps = self.gap.len() * self.columns.len().saturating_sub(1);
        (widths + gaps).saturating_sub(limit)
    }

    fn move_constants_to_heading(&mut self, limit: usize) -> Vec<String> {
        let mut heading: Vec<(usize, String)> = Vec::new();
        let mut places: Vec<usize> = (0..self.columns.len()).collect();
        while self.excess(limit) > 0 && self.columns.len() > 1 {
            let candidates = (0..self.columns.len()).filter(|&at| {
                let next_kind = self.columns.get(at + 1).map(|next| next.kind);
                let is_plain =
                    matches!(self.columns[at].kind, ColumnKind::Text | ColumnKind::Number);
                let is_alone = !matches!(next_kind, Some(ColumnKind::Change | ColumnKind::Bar));
                is_plain && is_alone && self.columns[at].is_constant()
            });
            let Some(at) = candidates.max_by_key(|&at| self.columns[at].width) else {
                break;
            };
            let column = self.columns.remove(at);
            let place = places.remove(at);
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
                .filter(|column| column.kind == ColumnKind::Text);
            match texts.max_by_key(|column| column.width) {
                Some(widest) if widest.width > floor => widest.width -= 1,
                _ => return,
            }
        }
    }

    fn cut_titles(&mut self, limit: usize) {
        while self.excess(limit) > 0 {
            let spare = |column: &TableColumn| {
                column.width - column.cell_width.max(MIN_TITLE_WIDTH).min(column.width)
            };
            let numbers = self
                .columns
                .iter_mut()
                .filter(|column| column.kind != ColumnKind::Text);
            match numbers.max_by_key(|column| spare(column)) {
                Some(column) if spare(column) > 0 => column.width -= 1,
                _ => return,
            }
        }
    }

    /// Removes columns of this sort from the right until the table fits.
    fn remove(
        &mut self,
        limit: usize,
        removed: &mut Vec<String>,
        is_removable: impl Fn(&TableColumn) -> bool,
    ) {
        while self.excess(limit) > 0 {
            // The last column has the notes: why something is unknown.
            let last = self.columns.len().saturating_sub(1);
            let mut places = (KEPT_COLUMNS..last).rev();
            let Some(at) = places.find(|&at| is_removable(&self.columns[at])) else {
                break;
            };
            removed.insert(0, self.columns.remove(at).title);
        }
    }

    /// The lines of the table, its titles first.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let rows = self.columns.first().map_or(0, |column| column.texts.len());
        let titles = std::iter::once(self.line(|column| &column.title));
        titles.chain((0..rows).map(|row| self.line(move |column| &column.texts[row])))
    }

    fn line<'a>(&'a self, text_of: impl Fn(&'a TableColumn) -> &'a String) -> String {
        let mut line = String::new();
        for (at, column) in self.columns.iter().enumerate() {
            let text = cut(text_of(column), column.width, self.ellipsis);
            let padding = " ".repeat(column.width.saturating_sub(text.width()));
            let gap = if at == 0 { "" } else { self.gap };
            match column.kind {
                ColumnKind::Number | ColumnKind::Change => line.extend([gap, &padding, &text]),
                ColumnKind::Text | ColumnKind::Bar => line.extend([gap, &text, &padding]),
            }
        }
        // Spaces at the end would wrap on a narrow terminal.
        line.truncate(line.trim_end().len());
        line
    }
}

/// `text`, cut to `width` with an ellipsis.
fn cut(text: &str, width: usize, ellipsis: &str) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let available = width.saturating_sub(ellipsis.width());
    let mut shown = String::new();
    let mut used = 0;
    for letter in text.chars() {
        used += letter.width().unwrap_or(0);
        if used > available {
            break;
        }
        shown.push(letter);
    }
    shown + ellipsis
}

/// The texts, as many in a line as fit.
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

    fn column(title: &str, kind: ColumnKind, texts: &[&str]) -> TableColumn {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        TableColumn::new(title.to_owned(), texts, kind)
    }

    fn lines(columns: Vec<TableColumn>, limit: usize) -> Vec<String> {
        let layout = TableLayout::new(columns, limit, true);
        layout
            .heading
            .iter()
            .cloned()
            .chain(layout.lines())
            .collect()
    }

    fn sample() -> Vec<TableColumn> {
        vec![
            column("GROUP", ColumnKind::Text, &["billing", "shop"]),
            column(
                "STATE",
                ColumnKind::Text,
                &["PreparingRebalance", "PreparingRebalance"],
            ),
            column("LAG", ColumnKind::Number, &["5", "12345678"]),
            column(
                "NOTE",
                ColumnKind::Text,
                &["", "never committed, at most 9 behind"],
            ),
        ]
    }

    #[test]
    fn a_table_that_fits_is_unchanged() {
        assert_eq!(
            lines(sample(), 80),
            [
                "GROUP    STATE                    LAG  NOTE",
                "billing  PreparingRebalance         5",
                "shop     PreparingRebalance  12345678  never committed, at most 9 behind",
            ]
        );
    }

    #[test]
    fn constant_columns_go_into_the_heading_and_the_widest_is_cut() {
        assert_eq!(
            lines(sample(), 54),
            [
                "STATE: PreparingRebalance",
                "GROUP         LAG  NOTE",
                "billing         5",
                "shop     12345678  never committed, at most 9 behind",
            ]
        );
        assert_eq!(
            lines(sample(), 34)[3],
            "shop    12345678 never committed,\u{2026}"
        );
    }

    #[test]
    fn a_single_row_keeps_what_fits_below_the_rest() {
        let columns = vec![
            column("GROUP", ColumnKind::Text, &["a-group-with-a-long-name"]),
            column("LAG", ColumnKind::Number, &["5"]),
        ];
        assert_eq!(
            lines(columns, 26),
            ["GROUP: a-group-with-a-lon\u{2026}", "LAG", "  5"]
        );
    }

    #[test]
    fn times_are_left_out_before_titles_are_cut() {
        let times = ["2026-11-30T03:14:49.117Z", "2026-11-30T03:14:49.198Z"];
        let columns = vec![
            column("TOPIC", ColumnKind::Text, &["orders", "stock"]),
            column("PARTITION", ColumnKind::Number, &["0", "1"]),
            column("OLDEST_OFFSET", ColumnKind::Number, &["0", "1"]),
            column("OLDEST_TIME", ColumnKind::Number, &times),
            column("AGE", ColumnKind::Number, &["2s", "3s"]),
            column("NOTE", ColumnKind::Text, &["", "young"]),
        ];
        assert_eq!(
            lines(columns, 60),
            [
                "--wide also shows: OLDEST_TIME",
                "TOPIC  PARTITION OLDEST_OFFSET AGE NOTE",
                "orders         0             0  2s",
                "stock          1             1  3s young",
            ]
        );
    }

    fn any_column() -> impl Strategy<Value = TableColumn> {
        let kind = prop_oneof![
            Just(ColumnKind::Text),
            Just(ColumnKind::Text),
            Just(ColumnKind::Number)
        ];
        (kind, prop::collection::vec("[a-z\u{6ce8}]{0,40}", 3..4)).prop_map(|(kind, texts)| {
            let texts = match kind {
                ColumnKind::Text => texts,
                _ => texts.iter().map(|text| text.len().to_string()).collect(),
            };
            TableColumn::new("SOME_TITLE".to_owned(), texts, kind)
        })
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(columns in prop::collection::vec(any_column(), 1..14)) {
            for line in lines(columns, 80) {
                prop_assert!(line.width() <= 80, "{line}");
            }
        }
    }
}
