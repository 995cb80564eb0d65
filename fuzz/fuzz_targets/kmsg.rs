//! One record of `/dev/kmsg`, as the agent reads it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut scratch = Vec::new();
    if let Some(record) = highwater_log::kmsg::record(bytes, &mut scratch) {
        let line = record.as_line();
        assert_eq!((line.number, line.seq), (record.seq, Some(record.seq)));
        assert!(line.text.len() <= bytes.len(), "a message is no longer than its record");
        let mut assembler = highwater_oom::Assembler::new();
        let pushed = assembler.push(&line);
        assert!(!pushed.new_kill || !assembler.kills().is_empty());
    }
});
