//! A peer that keeps no rule: `tramline-hostile-peer <attack> <endpoint name> [variant]`.
//!
//! It speaks the protocol by hand, as far as an attack needs it, and then breaks it on purpose. The
//! suite `hostile_peer` starts it against real processes and looks at what becomes of them.
//! `--list` names the attacks.

#![deny(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "an attack that cannot be performed ends with a panic and its words"
)]

mod channels;
mod events;
mod handshakes;
mod link;
mod mapping;
mod meeting;
mod messages;
mod offers;
mod records;
mod servers;
mod stage;
mod traffic;
mod words;

use std::process::exit;

use crate::stage::Stage;

/// Name, what it does, and the code that does it.
type Attack = (&'static str, &'static str, fn(&Stage));

/// All attacks; those whose name begins with `server` are done to a client.
const ATTACKS: &[Attack] = &[
    (
        "unknown-kind-or-flag",
        "records of kinds and with flags that do not exist",
        records::unknown_kind_or_flag,
    ),
    (
        "length-beyond",
        "records longer than a frame, the ring, or what is left of it",
        records::length_beyond,
    ),
    (
        "out-of-sequence",
        "records replayed, skipped, or left over from the last lap",
        records::out_of_sequence,
    ),
    (
        "misplaced-padding",
        "padding that does not end where the ring ends",
        records::misplaced_padding,
    ),
    ("two-paddings", "padding behind padding", records::two_paddings),
    ("fragment-order", "fragments in every wrong order, and empty ones", records::fragment_order),
    ("over-budget", "a message without end, in large and in tiny fragments", records::over_budget),
    ("after-close", "records behind the one that says there will be none", records::after_close),
    ("flipping-payload", "a payload that changes while it is read", records::flipping_payload),
    ("killed-mid-record", "dies of SIGKILL with a record half written", records::killed_mid_record),
    ("scribbling", "random words over its whole segment, again and again", records::scribbling),
    ("head-back", "says that it has read less than it said before", words::head_back),
    ("head-beyond", "says that it has read what was never written", words::head_beyond),
    ("lying-state", "says that the link is over, or anything else", words::lying_state),
    (
        "park-toggler",
        "announces a sleep before each message, to be woken for each",
        words::park_toggler,
    ),
    ("bell-ringer", "wakes the other side without end, for nothing", words::bell_ringer),
    (
        "doorbell-storm",
        "bytes, urgent bytes and descriptors on the control socket",
        words::doorbell_storm,
    ),
    (
        "doorbell-flood",
        "more doorbells than were asked for, and what is none, where doorbells are expected",
        words::doorbell_flood,
    ),
    (
        "half-hang-up",
        "closes one direction of the socket, or writes on without it",
        words::half_hang_up,
    ),
    ("write-theirs", "tries to write the other side's memory by every route", words::write_theirs),
    ("shrink-ours", "tries to take away memory that the other side reads", words::shrink_ours),
    ("stated-pid", "says that it is another process", words::stated_pid),
    (
        "descriptor-matrix",
        "offers every kind of descriptor that is no good segment",
        offers::descriptor_matrix,
    ),
    ("lying-numbers", "offers with lengths and capacities that cannot be", offers::lying_numbers),
    ("header-fields", "segments with one byte of one header field wrong", offers::header_fields),
    ("sparse", "segments of 1 GiB and 1 TiB that take no memory of its own", offers::sparse),
    ("swapped", "the segment of another connection", offers::swapped),
    ("their-own", "the other side's own memory, offered back to it", offers::their_own),
    ("mirror", "sends back what comes", offers::mirror),
    (
        "refused-then-pipe",
        "goes on over the pipe after its segment was refused",
        offers::refused_then_pipe,
    ),
    ("out-of-order", "handshake messages where they do not belong", handshakes::out_of_order),
    ("garbage-greeting", "speaks another protocol", handshakes::garbage_greeting),
    ("silent", "stops in every step of the handshake, and stays", handshakes::silent),
    ("vanishing", "hangs up in every step of the handshake", handshakes::vanishing),
    ("slow", "a byte at a time, for longer than a handshake may take", handshakes::slow),
    (
        "descriptor-bomb",
        "up to 253 descriptors where one or none belongs",
        handshakes::descriptor_bomb,
    ),
    (
        "connection-flood",
        "more connections than are taken, silent, open, or gone at once",
        handshakes::flood,
    ),
    (
        "keeps-their-memory",
        "leaves and keeps the other side's memory mapped",
        handshakes::leaves_with_their_memory,
    ),
    ("bad-envelope", "good records with envelopes that break a rule", messages::bad_envelope),
    ("second-hello", "says hello again", messages::second_hello),
    ("bad-hello", "hellos that are too large, of another version, or none", messages::bad_hello),
    ("subscriptions", "subscribes to ten thousand names", messages::subscriptions),
    ("bad-targets", "targets of events that break a rule", events::bad_targets),
    ("many-targets", "subscribes to events as ten thousand targets", events::many_targets),
    ("aimed", "events aimed at as many as there may be", events::aimed),
    ("overrun", "more events than a listener takes", events::overrun),
    ("unasked", "answers, cancels and events that nobody asked for", messages::unasked),
    ("forbidden", "calls and subscribes to what it may not", messages::forbidden),
    (
        "body-bombs",
        "deep nesting, announced lengths of 2^32 and other bodies",
        messages::body_bombs,
    ),
    (
        "urgent-on-the-pipe",
        "urgent bytes between and inside the frames of a pipe",
        messages::urgent_on_the_pipe,
    ),
    (
        "channel-rules",
        "channel messages without credit, the wrong way, or under a number in use",
        channels::channel_rules,
    ),
    (
        "channel-nonsense",
        "messages of channels that are not there, or of other calls",
        channels::channel_nonsense,
    ),
    ("channel-flood", "more channels than there may be", channels::channel_flood),
    (
        "channel-stall",
        "channels that are never read, granted nothing, or granted everything",
        channels::channel_stall,
    ),
    ("never-reads", "calls and calls, and never reads an answer", traffic::never_reads),
    ("flood", "calls, events and large messages as fast as they go", traffic::flood),
    ("held-calls", "thousands of calls that do not end", traffic::held_calls),
    (
        "server-bad-records",
        "records that break a rule, where the answer belongs",
        servers::bad_records,
    ),
    ("server-head-lies", "says that it has read what it has not", servers::head_lies),
    ("server-silent", "stops in every step, and stays", servers::silent),
    ("server-vanishing", "hangs up in every step", servers::vanishing),
    (
        "server-bad-envelope",
        "envelopes that break a rule, where the answer belongs",
        servers::bad_envelope,
    ),
    (
        "server-bad-answers",
        "answers of another type, to another call, or none",
        servers::bad_answers,
    ),
    ("server-bad-hello", "greetings and hellos that break a rule", servers::bad_hello),
    ("server-their-own", "the client's own memory, offered back to it", servers::their_own),
    (
        "server-flood",
        "events, calls, answers, beginnings without end, but never the answer",
        servers::flood,
    ),
    ("server-scribbling", "random words over its whole segment", servers::scribbling),
];

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let (attack, name, only) = match args[..] {
        ["--list"] => {
            for (name, about, _) in ATTACKS {
                println!("{name:<22} {about}");
            }
            return;
        }
        [attack, name] => (attack, name, None),
        [attack, name, only] => (attack, name, Some(only)),
        _ => fail("tramline-hostile-peer --list | <attack> <endpoint name> [variant]"),
    };
    match ATTACKS.iter().find(|(known, ..)| *known == attack) {
        Some((_, _, run)) => run(&Stage::new(name, only)),
        None => fail(&format!("no such attack: {attack}")),
    }
}

fn fail(why: &str) -> ! {
    eprintln!("{why}");
    exit(2);
}
