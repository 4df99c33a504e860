//! A page without scripts, pictures and links, which can be sent as a mail.

use std::fmt::Write as _;
use std::io;

use super::table::{cell_text, is_numeric, title};
use super::{Column, Report, Role};

const STYLE: &str = "body{font:14px sans-serif;margin:1em;color:#222;background:#fff}\
table{border-collapse:collapse}\
th,td{padding:.2em .6em;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}\
th{background:#eee}\
.n{text-align:right;white-space:nowrap}\
.b{height:4px;background:#c33}\
p{margin:.3em 0}";

pub(super) fn write(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    let mut page = head(report.prefix);
    for line in &report.caption {
        let _ = writeln!(page, "<p>{}</p>", escape(line));
    }
    if report.rows.is_empty() {
        page.push_str("<p>Nothing to show.</p>\n");
    } else {
        table(report, &mut page);
    }
    page.push_str("</body>\n</html>\n");
    out.write_all(page.as_bytes())
}

/// A page with the reason why there is no report.
pub fn failure_page(program: &str, reason: &str) -> Vec<u8> {
    let mut page = head(program);
    let _ = writeln!(page, "<p>{}</p>\n</body>\n</html>", escape(reason));
    page.into_bytes()
}

fn head(title: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    )
}

fn table(report: &Report, page: &mut String) {
    let count = report.columns.len();
    let is_right: Vec<bool> = (0..count)
        .map(|at| is_numeric(report.rows.iter().map(|row| &row[at])))
        .collect();
    let class = |at: usize| if is_right[at] { " class=\"n\"" } else { "" };
    page.push_str("<table>\n<thead><tr>");
    for at in 0..count {
        let help = help(&report.columns[at]);
        let _ = write!(
            page,
            "<th{}{help}>{}</th>",
            class(at),
            escape(&title(report, at))
        );
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    let bars: Vec<Option<Vec<f64>>> = (0..count)
        .map(|at| {
            report.columns[at]
                .has_bar
                .then(|| report.shares(at).collect())
        })
        .collect();
    for (number, row) in report.rows.iter().enumerate() {
        page.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let _ = write!(page, "<td{}>{}", class(at), escape(&cell_text(cell)));
            let share = bars[at].as_ref().map_or(0.0, |shares| shares[number]);
            if share > 0.0 {
                let percent = (share * 100.0).ceil();
                let _ = write!(page, "<div class=\"b\" style=\"width:{percent}%\"></div>");
            }
            page.push_str("</td>");
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n");
}

fn help(column: &Column) -> String {
    match column.role {
        Role::Value(help) => format!(" title=\"{}\"", escape(help)),
        Role::Label | Role::Remark => String::new(),
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}
