//! What a client takes: `Accept-Encoding` and `Accept` of HTTP. Pure.

/// How the metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Variant {
    /// OpenMetrics 1.0, instead of Prometheus' text format 0.0.4.
    pub(super) is_openmetrics: bool,
    pub(super) is_gzip: bool,
}

impl Variant {
    pub(super) fn of(accept: Option<&str>, accept_encoding: Option<&str>) -> Variant {
        Variant {
            is_openmetrics: accept.is_some_and(wants_openmetrics),
            is_gzip: accept_encoding.is_some_and(wants_gzip),
        }
    }

    /// What the format is called in `Content-Type`.
    pub(super) fn content_type(self) -> &'static str {
        if self.is_openmetrics {
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        } else {
            "text/plain; version=0.0.4; charset=utf-8"
        }
    }
}

/// Whether gzip is taken, itself or as one of all encodings.
pub(super) fn wants_gzip(accept_encoding: &str) -> bool {
    let quality = |wanted: &[&str]| {
        let items = items(accept_encoding);
        items
            .filter(|item| {
                wanted
                    .iter()
                    .any(|name| item.name.eq_ignore_ascii_case(name))
            })
            .map(|item| item.quality)
            .next()
    };
    let gzip = quality(&["gzip", "x-gzip"]).or_else(|| quality(&["*"]));
    gzip.is_some_and(|quality| quality > 0.0)
}

/// Whether OpenMetrics is taken at least as gladly as plain text.
fn wants_openmetrics(accept: &str) -> bool {
    let mut openmetrics = 0.0_f32;
    let mut text = 0.0_f32;
    for item in items(accept) {
        let kind = item.name.to_ascii_lowercase();
        match (kind.as_str(), item.version) {
            ("application/openmetrics-text", None | Some("1.0.0")) => {
                openmetrics = openmetrics.max(item.quality);
            }
            ("text/plain", _) => text = text.max(item.quality),
            _ => {}
        }
    }
    openmetrics > 0.0 && openmetrics >= text
}

struct Item<'a> {
    name: &'a str,
    version: Option<&'a str>,
    quality: f32,
}

/// The items of a list with their parameters.
fn items(list: &str) -> impl Iterator<Item = Item<'_>> {
    list.split(',').map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let mut found = Item {
            name: parts.next().unwrap_or(""),
            version: None,
            quality: 1.0,
        };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim() {
                "q" | "Q" => found.quality = value.parse().unwrap_or(0.0),
                "version" => found.version = Some(value),
                _ => {}
            }
        }
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_who_takes_it() {
        for (header, taken) in [
            ("gzip", true),
            ("GZIP;q=0.5, br", true),
            ("deflate, *", true),
            ("*;q=0.1", true),
            ("br, deflate", false),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(wants_gzip(header), taken, "{header}");
        }
        let nothing = Variant::of(None, None);
        assert!(!nothing.is_gzip && !nothing.is_openmetrics);
    }

    #[test]
    fn openmetrics_is_sent_to_prometheus_and_text_to_everybody_else() {
        const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (header, taken) in [
            (PROMETHEUS, true),
            ("application/openmetrics-text", true),
            ("application/openmetrics-text; version=\"1.0.0\"", true),
            ("application/openmetrics-text;version=2.0.0", false),
            ("application/openmetrics-text;q=0", false),
            (
                "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.2",
                false,
            ),
            ("text/plain", false),
            ("*/*", false),
        ] {
            assert_eq!(wants_openmetrics(header), taken, "{header}");
        }
    }
}
