//! The stream's tests.

use highwater_core::line::Seen;

use super::*;

/// Something of each line of a log.
fn each<T>(log: &[u8], told: impl Fn(&LogLine<'_>) -> T) -> Vec<T> {
    let (mut stream, mut all) = (Stream::new(log), Vec::new());
    while let Some(line) = stream.next_line() {
        all.push(told(&line));
    }
    all
}

#[test]
fn lines_without_a_stamp_that_begin_with_blanks_continue() {
    let log = b"[    1.000000] anon 1\n                file 2\nplain\n";
    assert_eq!(each(log, |l| (l.number, l.continues)), [(1, false), (2, true), (3, false)]);
}

#[test]
fn records_come_without_their_device_lines() {
    let log = b"6,1,2,-;a\n SUBSYSTEM=x\n DEVICE=y\n6,2,3,+;b\n";
    let told = each(log, |l| (l.number, l.seq, l.continues));
    assert_eq!(told, [(1, Some(1), false), (4, Some(2), true)]);
}

#[test]
fn garbage_is_a_line_like_any_other() {
    for log in [&b"\xff\xfe\x00"[..], b"[", b"<", b"<6", b"1,", b"> ", b">>>", b"[.]", b"\r"] {
        assert!(each(log, |_| ()).len() <= 1);
    }
}

#[test]
fn an_endless_line_is_cut_and_the_next_is_read() {
    let log = [vec![b'x'; 5 * LIMITS.line], b"\nnext".to_vec()].concat();
    let told = each(&log, |l| (l.number, l.text.len()));
    assert_eq!(told, [(1, LIMITS.line), (2, 4)]);
}

/// Sees the word `mark`; also what of it the ends of the stretch leave.
const MARKS: Net =
    Net { sweep: marks, is_relevant: |line| memchr::memmem::find(line, b"mark").is_some() };

fn marks(stretch: &[u8]) -> Seen {
    Seen { ends: ends(stretch), mark: memchr::memmem::find(stretch, b"mark") }
}

/// Skips from the first byte.
const EAGER: Limits = Limits { front: 0, ..LIMITS };

/// Limits that are reached by short logs.
fn tight(block: usize) -> Limits {
    Limits { front: 0, block, line: 60, back: 20, lead: 5, entry: 40, linger: 10 }
}

/// Number and text of each line that is given when all is skipped that may be.
fn skipped<R: Read>(mut stream: Stream<R>) -> (Vec<(u64, Vec<u8>)>, u64, u64) {
    let mut all = Vec::new();
    loop {
        stream.skip_to(MARKS);
        match stream.next_line() {
            Some(line) => all.push((line.number, line.raw.to_vec())),
            None => return (all, stream.lines(), stream.bytes()),
        }
    }
}

/// What must hold of a log whose lines are `lines`, in blocks of every size and by either way.
fn check(lines: &[String], ended: bool) {
    let mut log = lines.join("\n").into_bytes();
    if ended && !log.is_empty() {
        log.push(b'\n');
    }
    let count = ends(&log) + u64::from(log.last().is_some_and(|last| *last != b'\n'));
    let texts: Vec<&[u8]> = log.split(|b| *b == b'\n').collect();
    for block in [1, 3, 13, 61, 1000] {
        let alone = Source::Alone(Input::new(log.as_slice()), Vec::new());
        let alone = skipped(Stream::within(tight(block), alone));
        let ahead = skipped(Stream::ahead_within(tight(block), io::Cursor::new(log.clone())));
        assert_eq!(alone, ahead, "block {block}");
        let (given, number, bytes) = alone;
        assert_eq!((number, bytes), (count, long(log.len())), "block {block}");
        assert!(given.windows(2).all(|two| two[0].0 < two[1].0), "block {block}");
        for (number, text) in &given {
            let whole = texts[usize::try_from(*number).unwrap() - 1];
            assert_eq!(text, &whole[..whole.len().min(60)], "block {block}");
        }
        for (at, text) in texts.iter().enumerate() {
            let place = memchr::memmem::find(text, b"mark");
            let is_given = given.iter().any(|(number, _)| *number == long(at) + 1);
            assert!(is_given || place.is_none_or(|at| at + 4 > 60), "block {block}: {text:?}");
        }
    }
}

#[test]
fn marks_are_given_wherever_blocks_end() {
    for before in (0..70).step_by(3) {
        for after in [0, 1, 30, 90] {
            let quiet = |count: usize| (0..count).map(|at| "q".repeat(at % 7 + 1));
            let mut lines: Vec<String> = quiet(before).collect();
            lines.push(format!("{}mark here", "x".repeat(before % 11)));
            lines.extend(quiet(after));
            check(&lines, after % 2 == 0);
        }
    }
}

#[test]
fn what_is_far_from_a_mark_is_skipped() {
    let log = [vec![b"quiet\n".to_vec(); 1000].concat(), b"mark\n".to_vec()].concat();
    let log = [log.clone(), log].concat();
    for block in [7, 64, 4096] {
        let alone = Source::Alone(Input::new(log.as_slice()), Vec::new());
        let (given, ..) = skipped(Stream::within(tight(block), alone));
        assert!(given.len() < 30, "{}", given.len());
        assert_eq!(given.iter().filter(|(_, text)| text == b"mark").count(), 2);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]

    #[test]
    fn skipping_loses_no_mark(
        lines in proptest::collection::vec("(q{0,9}|x{0,50}mark|marky{0,99}|z{0,300}mark|mar|k|__CURSOR=a)", 0..60),
        ended in proptest::bool::ANY,
    ) {
        check(&lines, ended);
    }
}

#[test]
fn a_message_written_as_its_bytes_is_given() {
    let quiet = "{\"MESSAGE\":\"quiet\"}\n".repeat(30);
    for array in ["{\"MESSAGE\":[79,111]}", "{\"MESSAGE\" : [ 79, 111 ]}"] {
        let log = format!("{quiet}{array}\n{quiet}");
        let alone = Source::Alone(Input::new(log.as_bytes()), Vec::new());
        let (given, ..) = skipped(Stream::within(tight(100), alone));
        assert!(given.iter().any(|(number, _)| *number == 31) && given.len() < 10);
    }
}

#[test]
fn an_entry_is_given_from_its_beginning() {
    let log = format!("{}__CURSOR=a\nA=b\nB={}\nMESSAGE=mark\n", "q\n".repeat(99), "c".repeat(9));
    let alone = Source::Alone(Input::new(log.as_bytes()), Vec::new());
    let (given, ..) = skipped(Stream::within(tight(16), alone));
    assert!(given.iter().any(|(_, raw)| raw.starts_with(b"__CURSOR")));
    assert!(given.len() < 10);
}

#[test]
fn head_and_tail_are_kept() {
    let mut stream = Stream::new(&b"a\nb\nc"[..]);
    stream.skip_to(MARKS);
    // The front is read whatever stands in it.
    assert_eq!(std::iter::from_fn(|| stream.next_line().map(|line| line.number)).count(), 3);
    assert_eq!(stream.tail(), Tail { bytes: b"a\nb\nc".to_vec(), first_line: 1 });
    assert_eq!((stream.head(), stream.looks_binary()), (&b"a\nb\nc"[..], false));
    let log = "line\n".repeat(300_000);
    let mut stream = Stream::ahead_within(EAGER, io::Cursor::new(log.clone()));
    stream.skip_to(MARKS);
    assert!(stream.next_line().is_none());
    let tail = stream.tail();
    assert!(tail.bytes.len() >= 250 << 10 && log.as_bytes().ends_with(&tail.bytes));
    assert_eq!(tail.first_line + ends(&tail.bytes), 300_001);
    assert!(Stream::new(&b"\0"[..]).tail().bytes.is_empty());
}

/// An endless line, in memory that does not grow.
#[test]
fn a_line_of_ten_gigabytes_takes_no_more_memory_than_a_short_one() {
    let endless = || io::repeat(b'x').take(1 << 28);
    let alone = Stream::within(EAGER, Source::Alone(Input::new(endless()), Vec::new()));
    let ahead = Stream::ahead_within(EAGER, endless());
    for mut stream in [alone, ahead] {
        stream.skip_to(MARKS);
        assert!(stream.next_line().is_none());
        assert_eq!((stream.lines(), stream.bytes()), (1, 1 << 28));
        assert!(stream.buffer.capacity() <= 4 * LIMITS.line && stream.held.len() <= 3);
    }
    let mut stream = Stream::new(endless());
    assert_eq!(stream.next_line().map(|line| line.raw.len()), Some(LIMITS.line));
    assert!(stream.next_line().is_none());
    assert!(stream.buffer.capacity() <= 4 * LIMITS.line && stream.held.len() <= 3);
}

/// Gives some bytes and then fails.
struct Broken(&'static [u8]);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the disk is gone")),
            count => Ok(count),
        }
    }
}

#[test]
fn what_was_read_before_a_fault_is_given() {
    for mut stream in [Stream::new(Broken(b"a\nmark")), Stream::ahead(Broken(b"a\nmark"))] {
        stream.skip_to(MARKS);
        assert!(stream.next_line().is_some());
        while stream.next_line().is_some() {}
        assert_eq!(stream.fault().map(ToString::to_string).as_deref(), Some("the disk is gone"));
        assert_eq!(stream.lines(), 2);
    }
}
