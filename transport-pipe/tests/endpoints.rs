//! Names, and descriptors from a parent.

mod kit;

use std::thread;
use std::time::{Duration, Instant};

use kit::{connected, name, open, recv};
use tramline_core::{ConfigError, ConnectError, Halves, Limits, LinkError};
use tramline_transport_pipe::{Listener, PipeTransport, Stream, mem};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[test]
fn names_within_the_process_are_exclusive_and_free_after_drop() {
    let limits = Limits::default();
    assert!(matches!(mem::connect("names", &limits), Err(ConnectError::NotFound { .. })));
    let first = mem::MemListener::bind("names", &limits).expect("free");
    let second = mem::MemListener::bind("names", &limits);
    assert!(matches!(second, Err(ConnectError::InUse { .. })));
    thread::scope(|scope| {
        let accept = scope.spawn(|| first.accept().is_none());
        first.stop();
        assert!(accept.join().expect("no panic"));
    });
    assert!(matches!(mem::connect("names", &limits), Err(ConnectError::NotFound { .. })));
    drop(first);
    mem::MemListener::bind("names", &limits).expect("free again");
}

#[test]
fn limits_out_of_range_are_refused() {
    let mut limits = Limits::default();
    limits.max_message_len = 0;
    let refused = mem::MemListener::bind("limits", &limits);
    assert!(matches!(refused, Err(ConnectError::Config(ConfigError::Limit { .. }))));
}

#[test]
fn second_listener_on_a_name_is_refused() {
    let name = name("second");
    let _first = Listener::bind(&name).expect("free");
    let second = Listener::bind(&name);
    assert!(
        matches!(&second, Err(ConnectError::InUse { endpoint }) if **endpoint == name),
        "{second:?}"
    );
}

#[test]
fn name_is_free_after_the_listener_is_dropped() {
    let name = name("free");
    drop(Listener::bind(&name).expect("free"));
    Listener::bind(&name).expect("free again");
}

#[test]
fn connecting_to_nobody_is_not_found() {
    let name = name("nobody");
    let refused = Stream::connect(&name);
    assert!(
        matches!(&refused, Err(ConnectError::NotFound { endpoint }) if **endpoint == name),
        "{refused:?}"
    );
}

#[test]
fn stop_ends_accept() {
    let listener = Listener::bind(&name("stop")).expect("free");
    thread::scope(|scope| {
        let accepting: Vec<_> = (0..3).map(|_| scope.spawn(|| listener.accept())).collect();
        listener.stop();
        listener.stop();
        for accept in accepting {
            assert!(matches!(accept.join().expect("no panic"), Ok(None)));
        }
    });
    assert!(matches!(listener.accept(), Ok(None)));
}

#[test]
fn names_with_a_slash_are_refused() {
    let refused = Stream::connect("../x");
    assert!(matches!(refused, Err(ConnectError::Config(ConfigError::Endpoint { .. }))));
    let refused = Listener::bind("a/b");
    assert!(matches!(refused, Err(ConnectError::Config(ConfigError::Endpoint { .. }))));
}

#[test]
fn reading_ends_at_the_deadline_or_with_the_peer() {
    let (stream, peer) = connected();
    let late = stream.read_exact(&mut [0; 4], Instant::now());
    assert!(matches!(late, Err(ConnectError::TimedOut { timeout_ms: 0 })), "{late:?}");
    drop(peer);
    let end = stream.read_exact(&mut [0; 4], soon());
    assert!(matches!(end, Err(ConnectError::Link(LinkError::PeerDied))), "{end:?}");
    let end = stream.write_all(&[0; 4], soon());
    assert!(matches!(end, Err(ConnectError::Link(LinkError::PeerDied))), "{end:?}");
}

#[test]
fn writing_to_a_peer_that_does_not_read_ends_at_the_deadline() {
    let (stream, _peer) = connected();
    let late = stream.write_all(&vec![0; 16 << 20], Instant::now());
    assert!(matches!(late, Err(ConnectError::TimedOut { .. })), "{late:?}");
}

#[test]
fn both_ends_know_the_process_at_the_other() {
    let (client, server) = connected();
    assert_eq!(client.peer().pid, Some(std::process::id()));
    assert_eq!(server.peer(), client.peer());
}

#[test]
fn connections_queue_until_they_are_accepted() {
    let name = name("queue");
    let listener = Listener::bind(&name).expect("free");
    thread::scope(|scope| {
        for i in 0..8_u8 {
            let name = &name;
            scope.spawn(move || {
                let stream = Stream::connect(name).expect("served");
                stream.write_all(&[i], soon()).expect("room");
                let mut echo = [0];
                stream.read_exact(&mut echo, soon()).expect("answered");
                assert_eq!(echo, [i]);
            });
        }
        for _ in 0..8 {
            let stream = listener.accept().expect("accept").expect("running");
            let mut byte = [0];
            stream.read_exact(&mut byte, soon()).expect("sent");
            stream.write_all(&byte, soon()).expect("room");
        }
    });
}

fn raw_peer() -> (Stream, Halves) {
    let (peer, stream) = connected();
    let link = PipeTransport::new(stream, &Limits::default()).expect("limits");
    (peer, open(link))
}

#[test]
fn garbage_on_the_socket_is_one_typed_error() {
    let (peer, mut halves) = raw_peer();
    peer.write_all(&[0xff; 100], soon()).expect("room");
    for _ in 0..2 {
        let error = recv(&mut *halves.receiver, &*halves.signal).expect_err("garbage");
        assert!(matches!(&error, LinkError::Fault(f) if f.at == "frame length"), "{error:?}");
    }
}

#[test]
fn peer_that_closes_mid_frame_is_peer_died() {
    for cut in [2, 4, 9, 100_000] {
        let (peer, mut halves) = raw_peer();
        let mut bytes = vec![3, 0, 0, 0, b'a', b'b', b'c'];
        bytes.extend(200_000_u32.to_le_bytes());
        bytes.resize(7 + cut, 1);
        peer.write_all(&bytes[..7 + cut], soon()).expect("room");
        drop(peer);
        let mut next = || recv(&mut *halves.receiver, &*halves.signal);
        assert_eq!(next(), Ok(b"abc".to_vec()));
        assert_eq!(next(), Err(LinkError::PeerDied));
    }
}

/// What Windows does its own way.
#[cfg(windows)]
mod windows {
    use super::*;

    #[test]
    fn bytes_written_before_the_stream_was_dropped_arrive_later() {
        let (stream, peer) = connected();
        stream.write_all(&[7; 50_000], soon()).expect("room");
        drop(stream);
        thread::sleep(Duration::from_millis(100));
        let mut found = vec![0; 50_000];
        peer.read_exact(&mut found, soon()).expect("sent");
        assert!(found == [7; 50_000]);
        let end = peer.read_exact(&mut [0], soon());
        assert!(matches!(end, Err(ConnectError::Link(LinkError::PeerDied))), "{end:?}");
    }

    #[test]
    fn name_is_free_once_the_listener_and_its_connections_have_ended() {
        let name = name("taken");
        let listener = Listener::bind(&name).expect("free");
        let _client = Stream::connect(&name).expect("served");
        let server = listener.accept().expect("accept").expect("running");
        drop(listener);
        drop(server);
        let deadline = soon();
        while Listener::bind(&name).is_err() {
            assert!(Instant::now() < deadline, "the name is never free");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[cfg(unix)]
mod unix {
    use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};
    use tramline_core::{ConfigError, Limits, LinkError, Transport};
    use tramline_transport_pipe::{PipeTransport, Stream};

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn reading_takes_exactly_what_was_asked_for() {
        let (stream, fd) = Stream::pair().expect("pair");
        let peer = Stream::from_fd(fd).expect("same user");
        peer.write_all(b"hello, rest", soon()).expect("room");
        let mut start = [0; 5];
        stream.read_exact(&mut start, soon()).expect("sent");
        assert_eq!(&start, b"hello");
        let mut rest = [0; 6];
        UnixStream::from(stream.into_fd()).peek_all(&mut rest);
        assert_eq!(&rest, b", rest");
    }

    trait PeekAll {
        fn peek_all(self, rest: &mut [u8]);
    }

    impl PeekAll for UnixStream {
        fn peek_all(mut self, rest: &mut [u8]) {
            std::io::Read::read_exact(&mut self, rest).expect("the rest is still there");
        }
    }

    #[test]
    fn peer_that_only_stops_sending_is_peer_died_in_both_directions() {
        let (stream, fd) = Stream::pair().expect("pair");
        let peer = UnixStream::from(fd);
        let link = PipeTransport::new(stream, &Limits::default()).expect("limits");
        let mut halves = Box::new(link).into_halves();
        peer.shutdown(std::net::Shutdown::Write).expect("connected");
        assert_eq!(halves.receiver.poll().map(|_| ()), Err(LinkError::PeerDied));
        assert!(halves.sender.claim(1).is_err());
    }

    fn why(found: Result<Stream, ConfigError>) -> &'static str {
        match found {
            Err(ConfigError::NoParent { why }) => why,
            other => panic!("{other:?}"),
        }
    }

    /// As a parent leaves it: open across `exec`.
    fn left_open(fd: OwnedFd) -> OwnedFd {
        fcntl_setfd(&fd, FdFlags::empty()).expect("open");
        fd
    }

    #[test]
    fn inherited_refuses_what_is_no_socket() {
        assert_eq!(why(Stream::inherited(-1)), "descriptors 0 to 2 are the standard streams");
        assert_eq!(why(Stream::inherited(2)), "descriptors 0 to 2 are the standard streams");
        assert_eq!(why(Stream::inherited(1_000_000)), "the descriptor is not open");
        let null = left_open(std::fs::File::open("/dev/null").expect("exists").into());
        assert_eq!(why(Stream::inherited(null.as_raw_fd())), "the descriptor is not a socket");
        let udp = left_open(std::net::UdpSocket::bind("127.0.0.1:0").expect("free port").into());
        let found = why(Stream::inherited(udp.as_raw_fd()));
        assert_eq!(found, "the descriptor is not a stream socket");
        let tcp = left_open(std::net::TcpListener::bind("127.0.0.1:0").expect("free port").into());
        assert_eq!(why(Stream::inherited(tcp.as_raw_fd())), "the descriptor is not connected");
        let (ours, _theirs) = UnixStream::pair().expect("pair");
        let found = why(Stream::inherited(ours.as_raw_fd()));
        assert_eq!(found, "the descriptor is closed on exec, so no parent left it");
    }

    #[test]
    fn inherited_adopts_a_socket_once_and_keeps_it_from_children() {
        let (stream, fd) = Stream::pair().expect("pair");
        // High, so that no other test of this process gets the number afterwards.
        let fd = fcntl_dupfd_cloexec(&fd, 500).expect("a free number");
        let number = left_open(fd).into_raw_fd();
        let child = Stream::inherited(number).expect("left by a parent");
        child.write_all(b"hi", soon()).expect("room");
        let mut found = [0; 2];
        stream.read_exact(&mut found, soon()).expect("sent");
        assert_eq!(&found, b"hi");
        let fd = child.into_fd();
        assert!(fcntl_getfd(&fd).expect("open").contains(FdFlags::CLOEXEC));
        let number = left_open(fd).into_raw_fd();
        assert_eq!(why(Stream::inherited(number)), "the descriptor was taken before");
    }
}
