use std::fs::File;

use super::*;

#[test]
fn lines_are_written_as_the_reader_takes_them() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut lines = LineWriter::new(File::from(rustix::fd::OwnedFd::from(writer)));
    let mut expected = Vec::new();
    for offset in 0..3000 {
        let long = if offset % 1000 == 999 { 10_000 } else { 90 };
        let line = format!("s:{}:t:0:{offset}\t{}\n", offset + 1, "x".repeat(long));
        expected.extend_from_slice(line.as_bytes());
    }
    lines.buffer().extend_from_slice(&expected);
    let mut read = Vec::new();
    let mut reader = File::from(rustix::fd::OwnedFd::from(reader));
    let mut block = vec![0; 3000];
    while lines.write().expect("a reader") == WriteProgress::Blocked {
        let bytes = std::io::Read::read(&mut reader, &mut block).expect("bytes");
        read.extend_from_slice(&block[..bytes]);
    }
    assert_eq!(lines.total_bytes(), expected.len() as u64);
    drop(lines);
    std::io::Read::read_to_end(&mut reader, &mut read).expect("bytes");
    assert_eq!(read, expected);
}

#[test]
fn a_reader_that_left_is_noticed_with_and_without_writing() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut lines = LineWriter::new(File::from(rustix::fd::OwnedFd::from(writer)));
    assert!(lines.has_reader());
    drop(reader);
    assert!(!lines.has_reader());
    lines.buffer().extend_from_slice(b"s:1:t:0:1\tv\n");
    assert_eq!(lines.write().expect("no error"), WriteProgress::Closed);
}
