use super::*;

/// A sink that has heard of session `s`, and its source.
fn begun() -> (Source, Sink, tempfile::TempDir) {
    let (mut source, mut sink, folder) = pair(SinkKind::Plain);
    source.begin(&session("s")).expect("heard");
    sink.poll(Arrival::More).expect("there");
    (source, sink, folder)
}

const TWO: &[u8] = b"s:1:t:0:1\ta\ns:2:t:0:2\tb\n";
const FIRST: &str = "s:1:t:0:1|a";
const SECOND: &str = "s:2:t:0:2|b";

#[test]
fn the_last_line_waits_until_a_whole_one_is_behind_it() {
    let (_source, mut sink, _folder) = begun();
    let (lines, used) = taken(&mut sink, TWO).expect("in order");
    assert_eq!((lines, used), (vec![FIRST.to_owned()], 12));
    let behind = [&TWO[used..], b"s:3:t:0:3\t"].concat();
    assert_eq!(taken(&mut sink, &behind).expect("in order").1, 0);
    let behind = [&TWO[used..], b"s:3:t:0:3\tc\n"].concat();
    assert_eq!(
        taken(&mut sink, &behind).expect("in order"),
        (vec![SECOND.to_owned()], 12)
    );
}

#[test]
fn the_last_line_is_used_when_the_source_says_that_it_is_the_last_and_has_a_reader() {
    let (mut source, mut sink, _folder) = begun();
    let (_, used) = taken(&mut sink, TWO).expect("in order");
    let rest = &TWO[used..];
    sink.poll(Arrival::Idle).expect("there");
    let until = std::time::Instant::now() + SOON;
    let asked = loop {
        assert_eq!(
            taken(&mut sink, rest).expect("in order").1,
            0,
            "not confirmed yet"
        );
        if let Some(number) = source.poll().expect("there").queried_line {
            break number;
        }
        assert!(std::time::Instant::now() < until, "nothing was asked");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(asked, 2);
    source.confirm(2).expect("heard");
    sink.poll(Arrival::Idle).expect("there");
    // The end of the input without the end mark is a death, whatever was confirmed.
    sink.poll(Arrival::End).expect("there");
    assert_eq!(taken(&mut sink, rest).expect("in order").1, 0);
    sink.poll(Arrival::Idle).expect("there");
    assert_eq!(
        taken(&mut sink, rest).expect("in order"),
        (vec![SECOND.to_owned()], 12)
    );
    assert!(sink.is_complete(b""));
}

#[test]
fn at_the_end_the_last_line_is_used_if_it_is_the_last_that_was_written() {
    let (mut source, mut sink, _folder) = begun();
    source.end(3, Vec::new()).expect("heard");
    sink.poll(Arrival::End).expect("there");
    let (_, used) = taken(&mut sink, TWO).expect("in order");
    assert_eq!(used, 12);
    source.end(2, Vec::new()).expect("heard");
    sink.poll(Arrival::End).expect("there");
    assert_eq!(taken(&mut sink, &TWO[used..]).expect("in order").1, 12);
}

#[test]
fn a_torn_line_is_never_used_nor_one_that_is_torn_behind_its_position() {
    for torn in [
        &b"s:1:t:0:1\ta"[..],
        b"s:1:t:0:1\n",
        b"s:1:t:0:1\ta\n",
        b"s:1",
    ] {
        let (mut source, mut sink, _folder) = begun();
        source.end(2, Vec::new()).expect("heard");
        sink.poll(Arrival::End).expect("there");
        assert_eq!(taken(&mut sink, torn).expect("not looked at").1, 0);
    }
}

#[test]
fn lines_that_are_lost_repeated_or_turned_are_noticed_and_the_line_before_is_not_used() {
    for (second, words) in [
        (
            "s:3:t:0:3\tc\n",
            "line 3 of the source came where line 2 was expected",
        ),
        ("s:1:t:1:1\tc\n", "line 1 of the source came where line 2"),
        ("s:1:t:0:2\tc\n", "line 1 of the source came where line 2"),
        ("s:0:t:0:0\tc\n", "line 0 of the source came where line 2"),
    ] {
        let (mut source, mut sink, _folder) = begun();
        let both = Session {
            topic_partitions: vec![("t".to_owned(), 0), ("t".to_owned(), 1)],
            ..session("s")
        };
        source.begin(&both).expect("heard");
        sink.poll(Arrival::More).expect("there");
        let mut used = 0;
        let bytes = [b"s:1:t:0:1\ta\n", second.as_bytes(), b"s:4:t:0:4\td\n"].concat();
        let error = sink.next(&bytes, &mut used).expect_err(second);
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(used, 0);
    }
    let (_source, mut sink, _folder) = begun();
    let error = taken(&mut sink, b"s:2:t:0:2\ta\ns:3:t:0:3\tb\n").expect_err("the first is lost");
    assert!(
        error
            .to_string()
            .contains("line 2 of the source came where line 1"),
        "{error}"
    );
}

#[test]
fn a_record_may_come_as_several_lines() {
    let (_source, mut sink, _folder) = begun();
    let bytes = b"s:1:t:0:1\ta\ns:1:t:0:1\tb\ns:2:t:0:2\n";
    let mut used = 0;
    let mut copies = Vec::new();
    while let Some(line) = sink.next(bytes, &mut used).expect("in order") {
        copies.push(line.is_copy);
        assert_eq!(
            sink.is_complete(b""),
            line.is_copy,
            "a copy follows the first line"
        );
    }
    assert_eq!(copies, [false, true]);
}

#[test]
fn a_line_of_another_run_is_refused() {
    for stray in [
        "old:1:t:0:1\tv\n",
        // A topic that was changed on the way, too: its position would be committed for another.
        "s:1:T:0:1\tv\n",
        "s:1:t:7:1\tv\n",
    ] {
        let (_source, mut sink, _folder) = begun();
        let refused = taken(&mut sink, stray.as_bytes());
        assert!(
            matches!(refused, Err(AckError::UnknownSession(_))),
            "{stray}"
        );
    }
}

#[test]
fn lines_of_a_released_session_are_passed_over_and_counted() {
    let (mut source, mut sink, _folder) = begun();
    let key = position("s:t:0:1").key;
    let (lines, used) = taken(&mut sink, TWO).expect("in order");
    assert_eq!(lines, [FIRST]);
    source
        .released(vec![key.clone()], Vec::new())
        .expect("heard");
    source.begin(&session("s2")).expect("heard");
    sink.poll(Arrival::More).expect("there");
    assert_eq!(sink.take_released(), [0]);
    let late = [
        &TWO[used..],
        b"s:3:t:0:3\tc\ns2:4:t:0:2\tb\ns2:5:t:0:3\tc\n",
    ]
    .concat();
    let (lines, _) = taken(&mut sink, &late).expect("in order");
    assert_eq!(lines, ["s2:4:t:0:2|b"]);
    // A gap among them is one, too: what comes behind it may be torn.
    let (mut source, mut sink, _folder) = begun();
    source.released(vec![key], Vec::new()).expect("heard");
    sink.poll(Arrival::More).expect("there");
    sink.take_released();
    assert!(taken(&mut sink, b"s:1:t:0:1\ta\ns:3:t:0:3\tb\n").is_err());
}
