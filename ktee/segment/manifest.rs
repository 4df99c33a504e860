//! What a segment holds and its checksum: a file of two lines beside it, which `sha256sum -c` reads.
//!
//! The first line is a comment to sha256sum and has the fields as words
//! `NAME=VALUE`; the second is the checksum. A manifest says nothing that the
//! segment itself does not say, but for what was before it in the backup.

use std::fmt::Write as _;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// The offset of the first record; of lines, the number of the segment.
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) records: u64,
    /// Bytes before compression.
    pub(crate) bytes: u64,
    pub(crate) stored_bytes: u64,
    /// The earliest and the latest time of a record, milliseconds since 1970.
    pub(crate) times_ms: Option<(i64, i64)>,
    /// The offset of the record before in the same run: there are no records between the two. `None` where a run begins.
    pub(crate) after: Option<i64>,
    /// The time of the newest record of the run before this segment.
    pub(crate) after_ms: Option<i64>,
    /// Set by the version before: the input began here, and `after` is only what the backup had.
    pub(crate) starts_run: bool,
    /// XXH64 of the segment's lines, and of the first one alone; version 0.1 had none.
    pub(crate) digests: Option<(u64, u64)>,
    /// SHA-256 of the file, in hexadecimal digits.
    pub(crate) sha256: String,
}

impl Manifest {
    /// Counts the next record.
    #[inline]
    pub(crate) fn add(&mut self, offset: i64, time_ms: Option<i64>, bytes: usize) {
        if self.records == 0 {
            (self.first, self.last) = (offset, offset);
        }
        self.first = self.first.min(offset);
        self.last = self.last.max(offset);
        self.records += 1;
        self.bytes += bytes as u64;
        self.times_ms = join_times(self.times_ms, time_ms.map(|ms| (ms, ms)));
    }

    /// The words of the first line, which object stores also keep as metadata.
    pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("first", self.first.to_string()),
            ("last", self.last.to_string()),
            ("records", self.records.to_string()),
            ("bytes", self.bytes.to_string()),
            ("stored", self.stored_bytes.to_string()),
        ];
        if let Some((earliest, latest)) = self.times_ms {
            fields.push(("earliest", earliest.to_string()));
            fields.push(("latest", latest.to_string()));
        }
        if let Some(after) = self.after {
            fields.push(("after", after.to_string()));
        }
        if let Some(ms) = self.after_ms {
            fields.push(("until", ms.to_string()));
        }
        if self.starts_run {
            fields.push(("seam", "1".to_owned()));
        }
        if let Some((all, first)) = self.digests {
            fields.push(("xxh64", format!("{all:016x}")));
            fields.push(("xxh64first", format!("{first:016x}")));
        }
        fields
    }

    /// The manifest of the segment in `file`.
    pub(crate) fn text(&self, file: &str) -> String {
        let mut text = String::from("# ktee segment");
        for (name, value) in self.fields() {
            let _ = write!(text, " {name}={value}");
        }
        let _ = writeln!(text, "\n{}  {file}", self.sha256);
        text
    }

    /// Reads a manifest; `None` where it is none, or has been cut off.
    pub(crate) fn parse(text: &str) -> Option<Manifest> {
        let (fields, checksum) = text.strip_prefix("# ktee segment ")?.split_once('\n')?;
        let sha256 = checksum.strip_suffix('\n')?.split_once("  ")?.0.to_owned();
        let field = |name: &str| {
            fields.split(' ').find_map(|word| {
                let (known, value) = word.split_once('=')?;
                (known == name).then_some(value)
            })
        };
        let number = |name: &str| field(name)?.parse::<i64>().ok();
        let count = |name: &str| field(name)?.parse::<u64>().ok();
        let digest = |name: &str| u64::from_str_radix(field(name)?, 16).ok();
        let is_digest = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
        is_digest.then_some(())?;
        Some(Manifest {
            first: number("first")?,
            last: number("last")?,
            records: count("records")?,
            bytes: count("bytes")?,
            stored_bytes: count("stored")?,
            times_ms: number("earliest").zip(number("latest")),
            after: number("after"),
            after_ms: number("until"),
            starts_run: field("seam").is_some(),
            digests: digest("xxh64").zip(digest("xxh64first")),
            sha256,
        })
    }
}

/// The earliest and the latest of both.
#[inline]
pub(crate) fn join_times(one: Option<(i64, i64)>, other: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (one, other) {
        (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_back_and_a_torn_one_is_none() {
        let whole = Manifest {
            first: 5,
            last: 9,
            records: 4,
            bytes: 100,
            stored_bytes: 60,
            times_ms: Some((-1, 1_795_373_046_123)),
            after: Some(3),
            after_ms: Some(17),
            starts_run: true,
            digests: Some((0xdead_beef, 1)),
            sha256: "ab".repeat(32),
        };
        let text = whole.text("t+0+5.tsv.zst");
        assert_eq!(
            text,
            format!(
                "# ktee segment first=5 last=9 records=4 bytes=100 stored=60 earliest=-1 \
                 latest=1795373046123 after=3 until=17 seam=1 xxh64=00000000deadbeef \
                 xxh64first=0000000000000001\n{}  t+0+5.tsv.zst\n",
                "ab".repeat(32)
            )
        );
        assert_eq!(Manifest::parse(&text), Some(whole));
        for end in 0..text.len() {
            assert_eq!(Manifest::parse(&text[..end]), None, "{end}");
        }
        let least = Manifest {
            sha256: "0".repeat(64),
            ..Manifest::default()
        };
        assert_eq!(Manifest::parse(&least.text("x")), Some(least));
    }
}
