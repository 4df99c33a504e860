//! One segment, record by record.

use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use sha2::{Digest, Sha256};
use tools::record::json::Json;
use tools::record::tsv::Tsv;
use tools::record::{Decoded, DecodedRecord, Decoder, Encoder, Format, Record};
use tools::text::{LOWER, hex_digits};

use crate::segment::cut::digest_of;
use crate::segment::{Codec, Layout, LinesDigest, LogId, Manifest, Name};
use crate::store::Store;

/// How much is decompressed at a time.
const BLOCK_BYTES: usize = 128 * 1024;

/// The format of records in a segment of this layout; lines have none.
pub(crate) fn format(layout: Layout) -> Option<Format> {
    match layout {
        Layout::Tsv => Some(Format::Tsv(Tsv {
            columns: "all".parse().expect("`all` is a list of columns"),
            ..Tsv::default()
        })),
        Layout::Json => Some(Format::Json(Json {
            delimiter: b"\n".to_vec(),
        })),
        Layout::Text => None,
    }
}

/// The checksum of a record as a line of `--tsv=all`, whatever layout it is stored in.
pub(crate) struct Digester {
    encoder: Encoder,
    line: Vec<u8>,
}

impl Digester {
    pub(crate) fn new() -> Result<Digester> {
        Ok(Digester {
            encoder: Encoder::new(format(Layout::Tsv).context("a format")?),
            line: Vec::new(),
        })
    }

    pub(crate) fn digest(&mut self, record: &Record<'_>) -> Result<u64> {
        self.line.clear();
        self.encoder.encode(record, &mut self.line)?;
        Ok(digest_of(&self.line))
    }
}

/// What a manifest says of the stored file.
#[derive(Default)]
pub(crate) struct Checksum {
    sha256: Sha256,
    pub(crate) bytes: u64,
}

impl Checksum {
    pub(crate) fn add(&mut self, stored: &[u8]) {
        self.sha256.update(stored);
        self.bytes += stored.len() as u64;
    }

    /// The SHA-256, in hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        let sha256 = self.sha256.finalize();
        let digits = sha256.iter().flat_map(|byte| hex_digits(*byte, LOWER));
        digits.map(char::from).collect()
    }
}

/// Counts and digests what is read through it.
struct ChecksumReader<R> {
    stored: R,
    checksum: Rc<RefCell<Checksum>>,
}

impl<R: Read> Read for ChecksumReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stored.read(buffer)?;
        self.checksum.borrow_mut().add(&buffer[..read]);
        Ok(read)
    }
}

/// The SHA-256 of a stored file, in hexadecimal digits.
pub(crate) fn sha256(stored: impl Read) -> io::Result<String> {
    let mut counted = ChecksumReader {
        stored,
        checksum: Rc::default(),
    };
    io::copy(&mut counted, &mut io::sink())?;
    Ok(counted.checksum.take().finish())
}

/// The stored bytes of a segment.
pub(crate) fn stored(store: &dyn Store, log: &LogId, name: &Name) -> Result<Box<dyn Read + Send>> {
    let path = name.path(log);
    store.read(&path)?.ok_or_else(|| anyhow!("{path} is gone"))
}

/// Reads a segment from its start to its end.
pub(crate) struct Reader {
    input: Box<dyn Read>,
    checksum: Rc<RefCell<Checksum>>,
    decoder: Option<Decoder>,
    /// Whose records these have to be; none for any.
    log: Option<LogId>,
    buffer: Vec<u8>,
    used: usize,
    at_end: bool,
    line: u64,
    /// Of the records so far.
    records: Manifest,
    digest: LinesDigest,
}

impl Reader {
    /// Reads a segment: records of `log` alone, in their order and from the offset on that its name says.
    pub(crate) fn open(store: &dyn Store, log: &LogId, name: &Name) -> Result<Reader> {
        let stored = stored(store, log, name)?;
        let mut reader = Reader::of_file(stored, name.codec, format(name.layout))
            .with_context(|| name.path(log))?;
        (reader.records.first, reader.records.last) = (name.first, name.first);
        reader.log = Some(log.clone());
        Ok(reader)
    }

    /// Reads records of any log in any order; without a format, lines.
    pub(crate) fn of_file(
        stored: Box<dyn Read + Send>,
        codec: Codec,
        format: Option<Format>,
    ) -> Result<Reader> {
        let checksum = Rc::default();
        let counted = ChecksumReader {
            stored,
            checksum: Rc::clone(&checksum),
        };
        Ok(Reader {
            input: codec.reader(counted),
            checksum,
            decoder: format.map(Decoder::new).transpose()?,
            log: None,
            buffer: Vec::new(),
            used: 0,
            at_end: false,
            line: 0,
            records: Manifest::default(),
            digest: LinesDigest::default(),
        })
    }

    /// The next record and its line, line feed included; `None` at the end.
    ///
    /// # Errors
    /// The file can't be read or decompressed, or a line is no record.
    pub(crate) fn next(&mut self) -> Result<Option<(DecodedRecord<'_>, &[u8])>> {
        loop {
            // Where the line ends is found first: what borrows from the decoder can't be kept over a round.
            let rest = &self.buffer[self.used..];
            if let Some(end) = memchr::memchr(b'\n', rest) {
                let start = self.used;
                self.used += end + 1;
                self.line += 1;
                return self.decode(start, start + end + 1).map(Some);
            }
            if self.at_end {
                if !rest.is_empty() {
                    bail!("line {} has no end", self.line + 1);
                }
                return Ok(None);
            }
            self.fill()?;
        }
    }

    fn decode(&mut self, start: usize, end: usize) -> Result<(DecodedRecord<'_>, &[u8])> {
        let line = &self.buffer[start..end];
        let Some(decoder) = &mut self.decoder else {
            self.records.records += 1;
            self.records.bytes += line.len() as u64;
            self.digest.add(line);
            return Ok((DecodedRecord::default(), line));
        };
        match decoder
            .decode(line, true)
            .with_context(|| format!("line {}", self.line))?
        {
            Decoded::Record { record, .. } => {
                let fields = record.record();
                if let Some(log) = &self.log {
                    check_place(&fields, log, &self.records)?;
                }
                if let Some(offset) = fields.offset {
                    self.records.add(offset, fields.timestamp_ms, line.len());
                }
                self.digest.add(line);
                Ok((record, line))
            }
            Decoded::Skipped { .. } | Decoded::Incomplete => bail!("line {} is empty", self.line),
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + BLOCK_BYTES, 0);
        let read = self.input.read(&mut self.buffer[filled..]);
        self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
        self.at_end = matches!(read, Ok(0));
        match read {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads what is left, and says what the segment holds.
    pub(crate) fn manifest(mut self) -> Result<Manifest> {
        while self.next()?.is_some() {}
        ensure!(self.records.records > 0, "it has no record");
        // What is behind the last frame belongs to the file as well.
        io::copy(&mut self.input, &mut io::sink())?;
        drop(self.input);
        let checksum = self.checksum.take();
        Ok(Manifest {
            stored_bytes: checksum.bytes,
            digests: self.digest.finish(),
            sha256: checksum.finish(),
            ..self.records
        })
    }
}

/// Whether a record belongs behind those that were read of its log; a file may be another's copy.
fn check_place(record: &Record<'_>, log: &LogId, read: &Manifest) -> Result<()> {
    let is_at_home = log.has(record.topic, record.partition);
    ensure!(is_at_home, "a record of another partition is in it");
    let offset = record.offset.unwrap_or(-1);
    if read.records == 0 {
        ensure!(offset == read.first, "it does not begin as its name says");
    } else {
        ensure!(
            offset > read.last,
            "offset {offset} stands behind {}",
            read.last
        );
    }
    Ok(())
}
