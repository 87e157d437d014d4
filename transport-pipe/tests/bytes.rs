//! Streams without frames.

mod kit;

use std::io::{ErrorKind, Read, Write};
use std::thread;

use tramline_transport_pipe::ByteHalves;

fn connected() -> (ByteHalves, ByteHalves) {
    let (client, server) = kit::connected();
    (client.into_bytes(), server.into_bytes())
}

#[test]
fn bytes_go_both_ways_in_any_pieces() {
    let (mut ours, mut theirs) = connected();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    let expected = sent.clone();
    let writing = thread::spawn(move || ours.writer.write_all(&sent).map(|()| ours));
    let mut found = vec![0; expected.len()];
    theirs.reader.read_exact(&mut found).expect("connected");
    assert!(found == expected);
    let mut ours = writing.join().expect("no panic").expect("connected");
    theirs.writer.write_all(b"back").expect("connected");
    let mut found = [0; 4];
    ours.reader.read_exact(&mut found).expect("connected");
    assert_eq!(&found, b"back");
}

#[test]
fn hanging_up_gets_threads_out_of_both_halves() {
    let (ours, theirs) = connected();
    let ByteHalves { mut reader, mut writer, hang_up, gone, .. } = ours;
    let reading = thread::spawn(move || reader.read(&mut [0; 1]));
    // Nobody reads it, so it blocks sooner or later.
    let writing = thread::spawn(move || while writer.write(&[0; 4096]).is_ok() {});
    let waiting = thread::spawn(gone.expect("a stream"));
    hang_up();
    assert_eq!(reading.join().expect("no panic").expect("an end"), 0);
    writing.join().expect("no panic");
    waiting.join().expect("no panic");
    drop(theirs);
}

#[test]
fn a_peer_that_is_gone_is_noticed_by_whoever_waits_for_that() {
    let (ours, mut theirs) = connected();
    let ByteHalves { mut reader, writer, gone, .. } = ours;
    drop((writer, theirs.writer));
    // Half of it may be dropped: the stream ends with the last part.
    let waiting = thread::spawn(gone.expect("a stream"));
    (theirs.hang_up)();
    assert_eq!(reader.read(&mut [0; 1]).expect("an end"), 0);
    waiting.join().expect("no panic");
    let read = theirs.reader.read(&mut [0; 1]);
    assert!(read.is_ok_and(|len| len == 0));
}

#[test]
fn writing_to_a_peer_that_is_gone_is_a_broken_pipe() {
    let (mut ours, theirs) = connected();
    drop(theirs);
    let error = loop {
        if let Err(error) = ours.writer.write(b"hello") {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}
