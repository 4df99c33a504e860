//! Files of properties: librdkafka's and kcat's (`name=value`), and Java's client.properties.

use std::path::Path;

use super::{Options, OptionsError, Source, java};

/// Reads `path` into `options`. A file that was asked for must be there; later lines win over earlier ones.
pub(super) fn read(
    options: &mut Options,
    path: &Path,
    asked_for: bool,
) -> Result<(), OptionsError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if !asked_for && error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(OptionsError::Read(path.display().to_string(), error)),
    };
    add(options, path, &text)
}

/// Adds what the text of the file `path` says.
pub(super) fn add(options: &mut Options, path: &Path, text: &str) -> Result<(), OptionsError> {
    for (line, name, value) in parse(text).into_iter().rev() {
        let source = Source::File(path.to_owned(), line);
        let Some((name, value)) = split(&name, value, &source)? else {
            continue;
        };
        for (name, value) in
            java::translate(name, value).map_err(|e| OptionsError::Property(source.clone(), e))?
        {
            options.set(&name, &value, &source)?;
        }
    }
    Ok(())
}

fn split(
    name: &str,
    value: Option<String>,
    source: &Source,
) -> Result<Option<(String, String)>, OptionsError> {
    match value {
        Some(value) => Ok(Some((name.to_owned(), value))),
        None if name.is_empty() => Ok(None),
        None => Err(OptionsError::Property(
            source.clone(),
            format!("NAME=VALUE is expected, not `{name}`"),
        )),
    }
}

/// Lines as (number, name, value): comments and blank lines left out, both ends
/// trimmed, `\:` and `\=` unescaped, a line that ends in `\` joined with the
/// next one, as java.util.Properties and kcat read them.
fn parse(text: &str) -> Vec<(usize, String, Option<String>)> {
    let mut rows = Vec::new();
    let mut joined: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let (number, mut whole) = joined.take().unwrap_or((index + 1, String::new()));
        let part = line.trim();
        if whole.is_empty() && (part.is_empty() || part.starts_with(['#', '!'])) {
            continue;
        }
        let trailing = part.len() - part.trim_end_matches('\\').len();
        if trailing % 2 == 1 {
            whole.push_str(&part[..part.len() - 1]);
            joined = Some((number, whole));
            continue;
        }
        whole.push_str(part);
        rows.push(split_line(number, &whole));
    }
    rows.extend(joined.map(|(number, whole)| split_line(number, &whole)));
    rows
}

fn split_line(number: usize, line: &str) -> (usize, String, Option<String>) {
    let unescape = |text: &str| text.trim().replace("\\:", ":").replace("\\=", "=");
    match line.split_once('=') {
        Some((name, value)) => (number, name.trim().to_owned(), Some(unescape(value))),
        None => (number, line.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_line_is_trimmed_unescaped_and_joined_with_the_next_where_it_ends_in_a_backslash() {
        let text = "# comment\n\n a.b = c\\:\\=d \nlong=one \\\n   two\nbare\n";
        assert_eq!(
            parse(text),
            [
                (3, "a.b".to_owned(), Some("c:=d".to_owned())),
                (4, "long".to_owned(), Some("one two".to_owned())),
                (6, "bare".to_owned(), None),
            ]
        );
    }
}
