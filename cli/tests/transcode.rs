//! `tramline transcode` as a user runs it: a process of its own, with bytes piped in.

use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

const TO_JSON: &[&str] = &["--from", "msgpack", "--to", "json"];
const TO_MSGPACK: &[&str] = &["--from", "json", "--to", "msgpack"];

fn start(args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tramline"));
    command.arg("transcode").args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("starts")
}

fn transcode(args: &[&str], input: &[u8]) -> Output {
    let mut child = start(args);
    let mut stdin = child.stdin.take().expect("piped");
    thread::scope(|scope| {
        scope.spawn(move || {
            // It may have ended before it has read all.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().expect("ends")
    })
}

/// What comes out when nothing is wrong.
fn good(args: &[&str], input: &[u8]) -> Vec<u8> {
    let output = transcode(args, input);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    output.stdout
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn transcode_goes_both_ways_and_writes_one_value_a_line() {
    let lines = "{\"z\":18446744073709551615,\"a\":[0.1,-1,null]}\n\"é\\n\"\n7\n";
    let packed = b"\x82\xa1z\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa1a\x93\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a\xff\xc0\xa3\xc3\xa9\n\x07";
    assert_eq!(good(TO_MSGPACK, lines.as_bytes()), packed);
    assert_eq!(text(&good(TO_JSON, packed)), lines);
    let loose = b" { \"z\" : 18446744073709551615, \"a\":[1e-1,-1 ,null]}\r\n\"\\u00e9\\n\"7";
    assert_eq!(good(TO_MSGPACK, loose), packed);
    assert_eq!(text(&good(&["--from", "json", "--to", "json"], loose)), lines);
    assert_eq!(good(TO_JSON, b""), b"");
    assert_eq!(good(TO_MSGPACK, b" \n"), b"");
}

#[test]
fn pretty_json_is_for_people() {
    let args = &["--from", "msgpack", "--to", "json", "--pretty"];
    let lines = "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}\n3\n";
    assert_eq!(text(&good(args, b"\x82\xa1a\x92\x01\x02\xa1b\x80\x03")), lines);
}

#[test]
fn integers_that_javascript_would_round_stay_become_text_or_are_refused() {
    let lines = b"[9007199254740991,9007199254740993,-9007199254740993]\n";
    let packed = good(TO_MSGPACK, lines);
    let with = |wish| transcode(&[TO_JSON, &["--integers", wish]].concat(), &packed);
    assert_eq!(with("exact").stdout, lines);
    let strings = "[9007199254740991,\"9007199254740993\",\"-9007199254740993\"]\n";
    assert_eq!(text(&with("string").stdout), strings);
    let refused = with("refuse");
    assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(2), ""));
    let line = "tramline: integer is beyond 2^53 - 1, at byte 10\n";
    assert_eq!(text(&refused.stderr), line);
}

#[test]
fn bad_input_of_every_kind_ends_with_its_byte_and_nothing_behind_the_last_good_value() {
    let deep_packed = [vec![0x01], vec![0x91; 200]].concat();
    let deep_text = format!("1 {}", "[".repeat(200));
    // Each behind a good value, and half of it good itself.
    for (args, input, at) in [
        (TO_JSON, &b"\x01\x92\x01"[..], 3),
        (TO_JSON, b"\x01\xdd\xff\xff\xff\xff\x01", 7),
        (TO_JSON, b"\x01\xdb\xff\xff\xff\xffabc", 9),
        (TO_JSON, b"\x01\x92\x01\xc1", 3),
        (TO_JSON, b"\x01\x92\x01\xd6\xff\0\0\0\0", 3),
        (TO_JSON, b"\x01\x92\x01\xcb\x7f\xf8\0\0\0\0\0\0", 3),
        (TO_JSON, b"\x01\x92\x01\xa2a\xff", 5),
        (TO_JSON, b"\x01\x82\xa1a\x01\xa1a\x02", 5),
        (TO_JSON, b"\x01\x82\xa1a\x01\xc0\x02", 5),
        (TO_JSON, &deep_packed, 128),
        (TO_MSGPACK, b"1 [2", 4),
        (TO_MSGPACK, b"1 [2,]", 5),
        (TO_MSGPACK, b"1 [2,18446744073709551616]", 5),
        (TO_MSGPACK, b"1 [2,1e400]", 5),
        (TO_MSGPACK, b"1 [2,\"\\ud800\"]", 6),
        (TO_MSGPACK, b"1 [2,\"\xff\"]", 6),
        (TO_MSGPACK, b"1 [2,\"\x01\"]", 6),
        (TO_MSGPACK, b"1 {\"a\":1,\"\\u0061\":2}", 9),
        (TO_MSGPACK, b"1 x", 2),
        (TO_MSGPACK, b"1true", 1),
        (TO_MSGPACK, deep_text.as_bytes(), 129),
    ] {
        let output = transcode(args, input);
        assert_eq!(output.status.code(), Some(2), "{}", input.escape_ascii());
        // With a value that runs into the next one even the first is not good.
        let whole: &[u8] = match args {
            _ if input == b"1true" => b"",
            TO_JSON => b"1\n",
            _ => b"\x01",
        };
        assert_eq!(output.stdout, whole, "{}", input.escape_ascii());
        let line = text(&output.stderr);
        assert!(line.starts_with("tramline: ") && line.lines().count() == 1, "{line}");
        assert!(line.ends_with(&format!(", at byte {at}\n")), "{line}, not {at}");
    }
}

#[test]
fn of_a_large_bad_value_nothing_is_written_either() {
    let len = 12 << 20;
    let mut input = b"\x01\x92\xdb\x00\xc0\x00\x00".to_vec();
    input.resize(input.len() + len, b'a');
    input.push(0xc1);
    let output = transcode(TO_JSON, &input);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b"1\n"[..]));
    *input.last_mut().expect("a byte") = 0xc0;
    let output = good(TO_JSON, &input);
    assert_eq!((output.len(), &output[..5]), (len + 12, &b"1\n[\"a"[..]));
    assert_eq!(&output[output.len() - 9..], b"a\",null]\n");
}

#[test]
fn a_value_comes_out_as_soon_as_it_has_come_in() {
    for (args, values, answers) in [
        (TO_JSON, [&b"\x91\x01"[..], b"\x02\x92\xc0"], [&b"[1]\n"[..], b"2\n"]),
        (TO_MSGPACK, [b"[1]", b" 2 [null,"], [b"\x91\x01", b"\x02"]),
    ] {
        let mut child = start(args);
        let mut stdin = child.stdin.take().expect("piped");
        let mut stdout = child.stdout.take().expect("piped");
        for (value, answer) in values.into_iter().zip(answers) {
            stdin.write_all(value).expect("it reads");
            let mut found = vec![0; answer.len()];
            stdout.read_exact(&mut found).expect("it answers");
            assert_eq!(found, answer);
        }
        // The last value was not complete.
        drop(stdin);
        assert_eq!(child.wait().expect("ends").code(), Some(2));
    }
}

#[test]
fn whoever_closes_the_output_ends_it_quietly() {
    for (args, value) in [(TO_JSON, &b"\x93\x01\x02\x03"[..]), (TO_MSGPACK, b"[1,2,3]\n")] {
        let mut child = start(args);
        let mut stdin = child.stdin.take().expect("piped");
        drop(child.stdout.take());
        // Until it has gone.
        while stdin.write_all(&value.repeat(1000)).is_ok() {}
        drop(stdin);
        let output = child.wait_with_output().expect("ends");
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    }
}

#[test]
fn arguments_that_make_no_sense_are_one_line_and_exit_2() {
    for args in [
        &["--from", "msgpack", "--to", "msgpack"][..],
        &["--from", "json", "--to", "msgpack", "--pretty"],
        &["--from", "json", "--to", "msgpack", "--integers", "string"],
        &["--from", "xml", "--to", "json"],
        &["--from", "json"],
    ] {
        let output = transcode(args, b"");
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{args:?}");
        assert_eq!(text(&output.stderr).lines().count(), 1, "{}", text(&output.stderr));
    }
}

/// How much memory a process has had at most.
#[cfg(target_os = "linux")]
mod memory {
    use super::*;

    fn peak_len(child: &Child) -> u64 {
        let path = format!("/proc/{}/status", child.id());
        let status = std::fs::read_to_string(path).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib << 10
    }

    /// Lets a program transcode one value that is written by `write`, until `is_end` says of what has
    /// come out last that this is all. Gives the program's peak of memory and the output's length.
    fn run(
        args: &[&str],
        write: impl FnOnce(&mut dyn Write) + Send,
        is_end: impl Fn(&[u8], u64) -> bool,
    ) -> (u64, u64) {
        let mut child = start(args);
        let mut stdin = child.stdin.take().expect("piped");
        let mut stdout = child.stdout.take().expect("piped");
        thread::scope(|scope| {
            let writer = scope.spawn(move || {
                let mut out = std::io::BufWriter::with_capacity(1 << 20, &mut stdin);
                write(&mut out);
                out.flush().expect("it reads");
                drop(out);
                // Open, so that the program stays until it has been looked at.
                stdin
            });
            let mut buffer = vec![0; 1 << 20];
            let mut total = 0;
            loop {
                let len = stdout.read(&mut buffer).expect("it writes");
                total += len as u64;
                assert!(len > 0, "it ended after {total} bytes");
                if is_end(&buffer[..len], total) {
                    break;
                }
            }
            let peak = peak_len(&child);
            drop(writer.join().expect("written"));
            assert!(child.wait().expect("ends").success());
            (peak, total)
        })
    }

    #[test]
    fn messagepack_of_any_size_becomes_json_in_constant_memory() {
        const TEXT_LEN: u32 = 190 << 20;
        const BYTES_LEN: u32 = 4 << 20;
        const NUMBERS: u32 = 8 << 20;
        let write = |out: &mut dyn Write| {
            let piece = vec![b'x'; 1 << 20];
            let mut put = |marker: u8, len: u32, pieces: usize, piece: &[u8]| {
                out.write_all(&[marker]).expect("it reads");
                out.write_all(&len.to_be_bytes()).expect("it reads");
                (0..pieces).for_each(|_| out.write_all(piece).expect("it reads"));
            };
            put(0xdd, 3, 0, &[]);
            put(0xdb, TEXT_LEN, 190, &piece);
            put(0xc6, BYTES_LEN, 4, &piece);
            put(0xdd, NUMBERS, 8, &vec![5; 1 << 20]);
        };
        let (peak, total) = run(TO_JSON, write, |end, _| end.ends_with(b"\n"));
        let expected = TEXT_LEN + 2 + 4 * BYTES_LEN + 1 + 2 * NUMBERS + 1 + 4 + 1;
        assert_eq!(total, expected.into());
        assert!(peak <= 64 << 20, "{} MiB", peak >> 20);
        println!("peak {} MiB for {} MiB", peak >> 20, total >> 20);
    }

    #[test]
    fn json_becomes_messagepack_in_at_most_twice_its_encoded_size() {
        // Half of it floats, which are three times as long in MessagePack; half text with escapes.
        const FLOATS: u64 = 2_000_000;
        const TEXTS: u64 = 300;
        let text = format!("\"\\n{}\"", "é".repeat(40_000));
        let encoded = 5 + 9 * FLOATS + TEXTS * (5 + 1 + 80_000);
        let write = |out: &mut dyn Write| {
            out.write_all(b"[").expect("it reads");
            for _ in 0..TEXTS {
                out.write_all(text.as_bytes()).expect("it reads");
                out.write_all(b",").expect("it reads");
            }
            for _ in 1..FLOATS {
                out.write_all(b"0.5,").expect("it reads");
            }
            // The end of a number that nothing follows would be waited for.
            out.write_all(b"0.5]").expect("it reads");
        };
        let (peak, total) = run(TO_MSGPACK, write, |_, total| total == encoded);
        assert_eq!(total, encoded);
        assert!(peak <= 2 * encoded, "{peak} bytes for {encoded}");
        println!("peak {} MiB for {} MiB", peak >> 20, total >> 20);
    }
}
