use std::fs::File;

use super::*;

#[test]
fn lines_are_written_whole_and_long_ones_are_announced() {
    let (mut source, mut sink, _folder) = pair(SinkKind::Plain);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut lines = Lines::new(File::from(rustix::fd::OwnedFd::from(writer)), Shape::Tsv);
    let mut expected = Vec::new();
    for offset in 0..3000 {
        let long = if offset % 1000 == 999 { 10_000 } else { 90 };
        let line = format!("s:t:0:{offset}\t{}\n", "x".repeat(long));
        expected.extend_from_slice(line.as_bytes());
    }
    lines.buffer().extend_from_slice(&expected);
    let mut read = Vec::new();
    let mut reader = File::from(rustix::fd::OwnedFd::from(reader));
    let mut block = vec![0; 3000];
    let mut announced = 0;
    while lines.write(&mut source).expect("a reader") == Written::Blocked {
        let bytes = std::io::Read::read(&mut reader, &mut block).expect("bytes");
        read.extend_from_slice(&block[..bytes]);
        sink.hear().expect("there");
        announced += usize::from(sink.long.is_some());
    }
    drop(lines);
    std::io::Read::read_to_end(&mut reader, &mut read).expect("bytes");
    assert_eq!(read, expected);
    assert!(announced > 0, "no long line was seen under way");
    sink.hear().expect("there");
    assert_eq!(sink.long, None);
}

#[test]
fn a_reader_that_left_is_noticed_with_and_without_writing() {
    let (mut source, _sink, _folder) = pair(SinkKind::Plain);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut lines = Lines::new(File::from(rustix::fd::OwnedFd::from(writer)), Shape::Tsv);
    assert!(lines.has_reader());
    drop(reader);
    assert!(!lines.has_reader());
    lines.buffer().extend_from_slice(b"s:t:0:1\tv\n");
    assert_eq!(lines.write(&mut source).expect("told"), Written::Closed);
}
