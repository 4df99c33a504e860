//! `--watch`: the same report again and again until a signal comes; `--write`: into a file.
//!
//! A table on a terminal is drawn over the one before, with what its counts
//! and sizes have changed by beside them. Anywhere else one block follows the
//! other, and every block says when it was taken: a table in a line above it,
//! the other formats in a first column `time`.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use rustix::event::PollFlags;
use unicode_width::UnicodeWidthStr as _;

use super::exit::Exit;
use super::message::message;
use super::now_ms;
use super::signals::Signals;
use super::stdout::Out;
use crate::report::{Format, Report, Style};
use crate::units::{format_duration_ms, format_time_ms, parse_duration};

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Report")]
pub struct WatchArgs {
    /// Repeat the report at this interval, until interrupted
    ///
    /// On a terminal each table replaces the last one and shows what changed;
    /// elsewhere each block begins with its time.
    #[arg(long, value_name = "TIME", value_parser = parse_interval)]
    pub watch: Option<Duration>,

    /// Write the report to this file, and replace it atomically
    #[arg(long, value_name = "FILE", conflicts_with = "watch")]
    pub write: Option<PathBuf>,
}

impl WatchArgs {
    /// Checks that reports of this format may follow one another.
    pub fn check(&self, format: Format) -> Result<()> {
        ensure!(
            self.watch.is_none() || !matches!(format, Format::Prometheus | Format::Html),
            "--watch: metrics or pages that follow one another can't be read as one"
        );
        Ok(())
    }
}

/// The shortest pause; less would only load the cluster.
const SHORTEST: Duration = Duration::from_millis(100);

fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if interval < SHORTEST {
        return Err("at least 100ms is expected".to_owned());
    }
    Ok(interval)
}

/// Whether anybody looks again while a pipe is idle.
const READER_CHECK: Duration = Duration::from_millis(500);

/// Shows the report that `take` brings at this interval.
///
/// The exit is that of the last report. A report that could not be taken
/// ends nothing but the first time: the cluster may come back.
///
/// # Errors
/// The first failure of `take`, or output that is not taken.
pub fn repeat(
    every: Duration,
    style: Style,
    signals: &Signals,
    mut take: impl FnMut() -> Result<(Report, Exit)>,
) -> Result<Exit> {
    let mut out = Out::stdout()?;
    let mut screen = Screen {
        redraws: out.is_terminal() && style.format == Format::Table,
        style,
        every,
        before: None,
    };
    let mut last = Exit::Done;
    loop {
        let started = Instant::now();
        match take() {
            Ok((report, exit)) => {
                screen.draw(report, now_ms(), out.buffer())?;
                out.flush_report(style.format, signals)?;
                last = exit;
            }
            Err(_) if signals.caught().is_some() => {}
            Err(error) if screen.before.is_none() => return Err(error),
            Err(error) => {
                message(format_args!("{error:#}"));
                last = Exit::Failed;
            }
        }
        let next = started + every;
        while signals.caught().is_none() && Instant::now() < next && out.has_reader() {
            let pause = READER_CHECK.min(next.saturating_duration_since(Instant::now()));
            // Rounded up, so that the last wait does not become a spin.
            let pause_ms = pause.as_millis() as u64 + 1;
            signals.wait(signals.as_fd(), PollFlags::IN, Some(pause_ms))?;
        }
        if signals.caught().is_some() || !out.has_reader() {
            signals.end_line();
            return Ok(last);
        }
    }
}

/// What is on the screen, or was written last.
struct Screen {
    redraws: bool,
    style: Style,
    every: Duration,
    before: Option<Report>,
}

impl Screen {
    fn draw(&mut self, report: Report, now_ms: i64, out: &mut Vec<u8>) -> io::Result<()> {
        let is_first = self.before.is_none();
        if self.redraws {
            let mut text = Vec::new();
            let every = format_duration_ms(self.every.as_millis() as i64);
            writeln!(text, "{}  every {every}", format_time_ms(now_ms))?;
            let size = screen_size();
            let style = Style {
                // The window may have another size by now.
                width: self.style.width.map(|_| size.0),
                has_bars: self.style.is_utf8,
                ..self.style
            };
            report.write_changes(style, self.before.as_ref(), &mut text)?;
            redraw(&String::from_utf8_lossy(&text), size, is_first, out);
        } else if self.style.format == Format::Table {
            let gap = if is_first { "" } else { "\n" };
            writeln!(out, "{gap}{}", format_time_ms(now_ms))?;
            report.write_changes(self.style, self.before.as_ref(), out)?;
        } else {
            let stamped = report.stamped(now_ms);
            if is_first {
                stamped.write(self.style, out)?;
            } else {
                stamped.write_more(self.style, out)?;
            }
        }
        self.before = Some(report);
        Ok(())
    }
}

/// Columns and lines of the terminal.
fn screen_size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (80, 24),
    }
}

/// Draws `text` from the upper left corner over what is there, as much of it as fits.
///
/// The screen is cleared only at first: clearing it each time would flicker.
fn redraw(text: &str, (columns, lines): (usize, usize), is_first: bool, out: &mut Vec<u8>) {
    const HOME: &str = "\x1b[H";
    const CLEAR_TO_END_OF_LINE: &str = "\x1b[K";
    const CLEAR_BELOW: &str = "\x1b[J";
    out.extend_from_slice(HOME.as_bytes());
    if is_first {
        out.extend_from_slice(CLEAR_BELOW.as_bytes());
    }
    // A line that is wider than the screen wraps, and takes as much of its height.
    let height = |line: &str| line.width().div_ceil(columns).max(1);
    let total = text.lines().count();
    let needs_cut = text.lines().map(height).sum::<usize>() >= lines;
    // The cursor rests in the last line.
    let mut left = lines.saturating_sub(1 + usize::from(needs_cut));
    let mut drawn = 0;
    for line in text.lines() {
        if height(line) > left {
            break;
        }
        left -= height(line);
        drawn += 1;
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(CLEAR_TO_END_OF_LINE.as_bytes());
        out.push(b'\n');
    }
    if drawn < total {
        let rest = format!("... {} more lines{CLEAR_TO_END_OF_LINE}\n", total - drawn);
        out.extend_from_slice(rest.as_bytes());
    }
    out.extend_from_slice(CLEAR_BELOW.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Column;

    fn report(number: i64) -> Report {
        let columns = [Column::label("topic"), Column::value("n", "N.")];
        let mut report = Report::new("x", &columns);
        report.push(vec!["a".into(), number.into()]);
        report
    }

    fn drawn(redraws: bool, format: Format) -> String {
        let header = true;
        let mut screen = Screen {
            redraws,
            style: Style::new(format, header),
            every: Duration::from_secs(2),
            before: None,
        };
        let mut out = Vec::new();
        screen.draw(report(5), 1000, &mut out).unwrap();
        screen.draw(report(7), 3000, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_block_in_a_pipe_says_when_it_was_taken_and_names_its_columns_once() {
        assert_eq!(
            drawn(false, Format::Tsv),
            "time\ttopic\tn\n1000\ta\t5\n3000\ta\t7\n"
        );
        assert_eq!(
            drawn(false, Format::Csv),
            "time,topic,n\n1000,a,5\n3000,a,7\n"
        );
        assert_eq!(
            drawn(false, Format::Json),
            "{\"time\":1000,\"topic\":\"a\",\"n\":5}\n{\"time\":3000,\"topic\":\"a\",\"n\":7}\n"
        );
        assert_eq!(
            drawn(false, Format::Table),
            "1970-01-01T00:00:01.000Z\nTOPIC  N\na      5\n\n\
             1970-01-01T00:00:03.000Z\nTOPIC  N  +/-\na      7   +2\n"
        );
    }

    #[test]
    fn a_terminal_is_drawn_over_from_its_corner() {
        let text = drawn(true, Format::Table);
        let frames: Vec<&str> = text.split("\x1b[H").collect();
        assert_eq!(frames.len(), 3);
        assert!(frames[1].starts_with("\x1b[J1970-01-01T00:00:01.000Z  every 2s\x1b[K\n"));
        assert!(
            frames[2].ends_with("a      7   +2\x1b[K\n\x1b[J"),
            "{text:?}"
        );
    }

    #[test]
    fn what_does_not_fit_on_the_screen_is_counted() {
        let mut out = Vec::new();
        redraw("1\n22222\n3\n4\n5\n", (4, 6), false, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text.replace("\x1b[K", ""),
            "\x1b[H1\n22222\n3\n... 2 more lines\n\x1b[J"
        );
        let mut out = Vec::new();
        redraw("1\n22222\n3\n", (4, 6), false, &mut out);
        assert!(!String::from_utf8(out).unwrap().contains("more"));
    }
}
