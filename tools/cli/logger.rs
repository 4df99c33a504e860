//! What the library has to say while it works, as messages on stderr.
//!
//! The modules below report it through the `log` crate and know nothing of a
//! terminal: a warning of ours is always shown unless `-q`, librdkafka's own
//! log where `-v` or `-d` asks for it.

use std::sync::OnceLock;

use log::{LevelFilter, Log, Metadata, Record};

use super::message;

static SHOWN: OnceLock<Stderr> = OnceLock::new();

struct Stderr {
    ours: LevelFilter,
    librdkafka: LevelFilter,
}

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_ours = metadata.target().starts_with("tools");
        metadata.level() <= if is_ours { self.ours } else { self.librdkafka }
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if record.target().starts_with("tools") {
            message(record.args());
        } else {
            message(format_args!("{}: {}", record.target(), record.args()));
        }
    }

    fn flush(&self) {}
}

/// Shows the log from now on; the first call counts. `verbosity` is -1 for `-q`, else the number of `-v`.
pub fn start(verbosity: i32, wants_debug: bool) {
    let librdkafka = match verbosity {
        _ if wants_debug => LevelFilter::Trace,
        ..=0 => LevelFilter::Off,
        1 => LevelFilter::Warn,
        _ => LevelFilter::Trace,
    };
    let ours = match verbosity {
        ..0 => LevelFilter::Error,
        0 => LevelFilter::Warn,
        _ => LevelFilter::Info,
    };
    let logger = SHOWN.get_or_init(|| Stderr { ours, librdkafka });
    if log::set_logger(logger).is_ok() {
        log::set_max_level(ours.max(librdkafka));
    }
}
