//! Attacks by the handshake: its order, its time, its descriptors, and how many there are.

use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::Duration;

use tramline_core::AnyCodec;
use tramline_tests::raw::greeting;

use crate::link::Link;
use crate::meeting::{
    HALF, HELLO, MOST_DESCRIPTORS, Message, OFFER, READY, REJECT, Segment, Socket, exchange_hellos,
    hello, message, nonce, offer, segment_len, their_offer,
};
use crate::offers::not_an_offer;
use crate::stage::Stage;

fn good_file(nonce: [u8; 16]) -> OwnedFd {
    Segment::good(nonce).make().expect("a segment").0
}

fn good_offer(nonce: [u8; 16]) -> Message {
    offer(segment_len(), crate::meeting::CAPACITY, nonce)
}

fn with(mut message: Message, at: usize, byte: u8) -> Message {
    message[at] = byte;
    message
}

pub(crate) fn out_of_order(stage: &Stage) {
    let no = [0; 16];
    let firsts = [
        ("READY first", message(READY, &[])),
        ("REJECT first", message(REJECT, &[])),
        ("OFFER first", good_offer(no)),
        ("kind 0 first", message(0, &[])),
        ("garbage first", [0xA5; 64]),
        ("zeros first", [0; 64]),
        ("HELLO with features", with(hello(HALF), 16, 1)),
    ];
    for (variant, first) in firsts {
        stage.variant(variant, || {
            let socket = Socket::greeted(&stage.name);
            socket.send(&first);
            socket.until_hung_up();
        });
    }
    let seconds = [
        ("second HELLO", hello(HALF), false),
        ("READY before OFFER", message(READY, &[]), false),
        ("OFFER without descriptor", good_offer(no), false),
        ("OFFER with reserved bytes", with(good_offer(no), 50, 1), true),
        ("REJECT with descriptor", message(REJECT, &[]), true),
        ("unknown kind with descriptor", not_an_offer(9, no), true),
        ("garbage second", [0xA5; 64], false),
    ];
    for (variant, second, with_file) in seconds {
        stage.variant(variant, || {
            let socket = Socket::greeted(&stage.name);
            exchange_hellos(&socket, HALF);
            let file = good_file(no);
            let files = [file.as_fd()];
            socket.send_with(&second, if with_file { &files } else { &[] });
            socket.until_hung_up();
        });
    }
    let thirds = [
        ("HELLO third", message(HELLO, &[]), false),
        ("second OFFER", message(OFFER, &[]), true),
        ("READY with descriptor", message(READY, &[]), true),
        ("READY with reserved bytes", with(message(READY, &[]), 40, 1), false),
        ("garbage third", [0xA5; 64], false),
    ];
    for (variant, third, with_file) in thirds {
        stage.variant(variant, || {
            let socket = Socket::greeted(&stage.name);
            let nonce = nonce(HALF, &exchange_hellos(&socket, HALF));
            let file = good_file(nonce);
            let files = [file.as_fd()];
            socket.send_with(&good_offer(nonce), &files);
            socket.send_with(&third, if with_file { &files } else { &[] });
            socket.until_hung_up();
        });
    }
}

pub(crate) fn garbage_greeting(stage: &Stage) {
    let greetings: [(&str, &[u8]); 8] = [
        ("another protocol", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("zeros", &[0; 64]),
        ("ones", &[0xFF; 4096]),
        ("another version", b"TRAM\x09\x03\0\0"),
        ("reserved byte 6", b"TRAM\x01\x03\x01\0"),
        ("reserved byte 7", b"TRAM\x01\x03\0\x80"),
        ("no transport", b"TRAM\x01\0\0\0"),
        ("transports that do not exist", b"TRAM\x01\xF0\0\0"),
    ];
    for (variant, bytes) in greetings {
        stage.variant(variant, || {
            let socket = Socket::connect(&stage.name);
            socket.send(bytes);
            socket.until_hung_up();
        });
    }
}

/// How far a handshake goes before this side says no more.
type Stop = (&'static str, fn(&Socket));

const STOPS: [Stop; 6] = [
    ("at once", |_| {}),
    ("inside the greeting", |socket| {
        socket.send(b"TRA");
    }),
    ("after the greeting", |socket| {
        socket.send(&greeting(3));
    }),
    ("after HELLO", |socket| {
        socket.send(&greeting(3));
        socket.send(&hello(HALF));
    }),
    ("after OFFER", |socket| {
        let nonce = greet_and_offer(socket);
        assert_ne!(nonce, [0; 16]);
    }),
    ("after READY", |socket| {
        greet_and_offer(socket);
        socket.send(&message(READY, &[]));
    }),
];

fn greet_and_offer(socket: &Socket) -> [u8; 16] {
    socket.send(&greeting(3));
    assert!(socket.fill(&mut [0; 8]), "a greeting");
    let nonce = nonce(HALF, &exchange_hellos(socket, HALF));
    socket.send_with(&good_offer(nonce), &[good_file(nonce).as_fd()]);
    nonce
}

pub(crate) fn silent(stage: &Stage) {
    for (variant, act) in STOPS {
        stage.variant(variant, || {
            let socket = Socket::connect(&stage.name);
            act(&socket);
            socket.until_hung_up();
        });
    }
}

pub(crate) fn vanishing(stage: &Stage) {
    for (variant, act) in STOPS {
        stage.variant(variant, || {
            let socket = Socket::connect(&stage.name);
            act(&socket);
        });
    }
}

/// One byte at a time, so that something always comes and nothing is ever whole in time.
pub(crate) fn slow(stage: &Stage) {
    /// Longer than the other side's limit divided by the bytes of a message.
    const PAUSE: Duration = Duration::from_millis(40);
    let drip = |socket: &Socket, bytes: &[u8]| {
        for byte in bytes {
            if !socket.send(&[*byte]) {
                break;
            }
            thread::park_timeout(PAUSE);
        }
        socket.until_hung_up();
    };
    stage.variant("greeting", || {
        let socket = Socket::connect(&stage.name);
        // The other side's limit passes before the eighth byte: the first ones take longer.
        for byte in &greeting(3)[..4] {
            socket.send(&[*byte]);
            thread::park_timeout(4 * PAUSE);
        }
        drip(&socket, &greeting(3)[4..]);
    });
    stage.variant("HELLO", || {
        let socket = Socket::greeted(&stage.name);
        drip(&socket, &hello(HALF));
    });
    stage.variant("OFFER", || {
        let socket = Socket::greeted(&stage.name);
        let nonce = nonce(HALF, &exchange_hellos(&socket, HALF));
        let offer = good_offer(nonce);
        socket.send_with(&offer[..1], &[good_file(nonce).as_fd()]);
        drip(&socket, &offer[1..]);
    });
}

pub(crate) fn descriptor_bomb(stage: &Stage) {
    let bomb = |variant: &str, act: &dyn Fn(&Socket, &[OwnedFd])| {
        stage.variant(variant, || {
            let files: Vec<_> = (0..MOST_DESCRIPTORS).map(|_| good_file([0; 16])).collect();
            let socket = Socket::connect(&stage.name);
            act(&socket, &files);
            drop(files);
            socket.until_hung_up();
        });
    };
    for count in [2, 3, 16, MOST_DESCRIPTORS] {
        bomb(&format!("OFFER with {count}"), &|socket, files| {
            socket.send(&greeting(3));
            assert!(socket.fill(&mut [0; 8]), "a greeting");
            let nonce = nonce(HALF, &exchange_hellos(socket, HALF));
            let files: Vec<_> = files[..count].iter().map(AsFd::as_fd).collect();
            socket.send_with(&good_offer(nonce), &files);
        });
    }
    bomb("greeting with descriptors", &|socket, files| {
        let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        socket.send_with(&greeting(3), &files);
        socket.send(&[0xA5; 64]);
    });
    bomb("HELLO with one", &|socket, files| {
        socket.send(&greeting(3));
        socket.send_with(&hello(HALF), &[files[0].as_fd()]);
    });
    bomb("one on each byte of OFFER", &|socket, files| {
        socket.send(&greeting(3));
        assert!(socket.fill(&mut [0; 8]), "a greeting");
        let nonce = nonce(HALF, &exchange_hellos(socket, HALF));
        for (byte, file) in good_offer(nonce).iter().zip(files) {
            socket.send_with(&[*byte], &[file.as_fd()]);
        }
    });
    bomb("READY with many", &|socket, files| {
        let nonce = greet_and_offer(socket);
        assert_ne!(nonce, [0; 16]);
        let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        socket.send_with(&message(READY, &[]), &files);
    });
}

/// More connections than the other side takes, all open at once.
pub(crate) fn flood(stage: &Stage) {
    stage.variant("silent", || {
        let sockets: Vec<_> = (0..200).map(|_| Socket::connect(&stage.name)).collect();
        sockets.iter().for_each(Socket::until_hung_up);
    });
    stage.variant("open", || {
        let mut links = Vec::new();
        let mut refused = 0;
        for _ in 0..60 {
            match honest(&stage.name) {
                Some(link) => links.push(link),
                None => refused += 1,
            }
        }
        stage.fact(format_args!("{} served", links.len()));
        stage.fact(format_args!("{refused} refused"));
        stage.until_told(|| {
            thread::park_timeout(Duration::from_millis(1));
            true
        });
    });
    stage.variant("come and go", || {
        for _ in 0..500 {
            drop(Socket::connect(&stage.name));
        }
    });
}

/// A link that says hello; `None` if the other side is full.
fn honest(name: &str) -> Option<Link> {
    let socket = Socket::connect(name);
    socket.send(&greeting(3));
    if !socket.fill(&mut [0; 8]) {
        return None;
    }
    let mut link = Link::over(socket);
    link.try_hello("one of many", AnyCodec::JSON).then_some(link)
}

/// Reads the other side's memory although its own was refused: it may, but gets nothing by it.
pub(crate) fn leaves_with_their_memory(stage: &Stage) {
    stage.variant("keeps descriptor and mapping", || {
        let socket = Socket::greeted(&stage.name);
        exchange_hellos(&socket, HALF);
        let theirs = their_offer(&socket);
        let len = usize::try_from(theirs.len).expect("64 bits");
        let mapping = crate::mapping::Mapping::of_theirs(theirs.file.as_fd(), len).expect("sealed");
        drop(socket);
        assert_eq!(&mapping.read(0, 8), b"TRAMSHM1");
        stage.until_told(|| {
            thread::park_timeout(Duration::from_millis(1));
            true
        });
        assert_eq!(&mapping.read(0, 8), b"TRAMSHM1", "still mapped, and nobody minds");
    });
}
