//! Needs no cluster: `-V`, `-X list`, `-X dump`.

use std::fmt::Write as _;

use tools::cli::Exit;
use tools::cli::connection::Listing;
use tools::kafka::{Options, library, options};

use crate::admin_query::AdminQuery;

/// `kcat-lite 0.1.0 (librdkafka 2.12.1; gzip, snappy, ...)`.
pub(crate) fn print_version() -> anyhow::Result<Exit> {
    let text = format!(
        "kcat-lite {} (librdkafka {}; {})\n",
        env!("CARGO_PKG_VERSION"),
        library::version(),
        library::features().join(", "),
    );
    AdminQuery::new()?.print(&text)?;
    Ok(Exit::Done)
}

/// librdkafka's table of properties, or those in force: a file that `-F` reads back, each source as a comment above.
pub(crate) fn print_properties(listing: Listing, in_force: &Options) -> anyhow::Result<Exit> {
    let text = match listing {
        Listing::Known => options::table::list(),
        Listing::InForce => {
            let mut text = String::new();
            for (name, value, source) in in_force.dump() {
                if !source.is_empty() {
                    let _ = writeln!(text, "# {source}");
                }
                let _ = writeln!(text, "{name} = {value}");
            }
            text
        }
    };
    AdminQuery::new()?.print(&text)?;
    Ok(Exit::Done)
}
