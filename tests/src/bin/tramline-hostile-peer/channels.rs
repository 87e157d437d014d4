//! Attacks by channels: credit nobody gave, numbers in use, too many of them, readers that never
//! read.

use serde_json::{Value, json};
use tramline_core::channel::MAX_CREDIT;
use tramline_core::envelope::{BodyKind, Envelope, Head, Kind};

use crate::link::{Link, frame};
use crate::stage::Stage;

/// A body that the smallest limits take.
const LARGE: usize = 60_000;
/// A credit that is enough for anything honest.
const PLENTY: u64 = 1 << 20;

fn say(link: &mut Link, kind: Kind, id: u64, body: &[u8]) -> bool {
    let body_kind = if body.is_empty() { BodyKind::Empty } else { BodyKind::Raw };
    link.message(&frame(&Head::new(kind, body_kind, id, ""), body))
}

fn grant(link: &mut Link, id: u64, bytes: u64) -> bool {
    say(link, Kind::ChannelCredit, id, &bytes.to_le_bytes())
}

/// Calls a command with these channels, number and credit of each.
fn call(link: &mut Link, id: u64, command: &str, args: &Value, channels: &[(u32, u64)]) -> bool {
    let mut fields = Vec::new();
    for (channel, credit) in channels {
        // By hand: more than is allowed, too.
        fields.extend([4, 12, 0]);
        fields.extend(channel.to_le_bytes());
        fields.extend(credit.to_le_bytes());
    }
    let head = Head::new(Kind::Request, BodyKind::Structured, id, command);
    let mut bytes = head.to_bytes();
    let ext_len = u16::try_from(fields.len()).expect("short");
    bytes[4..6].copy_from_slice(&ext_len.to_le_bytes());
    link.message(&[&bytes, command.as_bytes(), &fields, args.to_string().as_bytes()].concat())
}

/// The next message of this kind; `None` if the other side hangs up.
fn next(link: &mut Link, kind: Kind) -> Option<(u64, String, Vec<u8>)> {
    loop {
        let message = link.receive()?;
        let Envelope { head, body, .. } = Envelope::parse(&message).expect("an honest message");
        if head.kind == kind {
            return Some((head.id, head.name.to_owned(), body.to_vec()));
        }
    }
}

/// Opens a link on which a command reads channel 1.
fn read_by_them(stage: &Stage, label: &str) -> Link {
    let mut link = Link::open(&stage.name, label);
    let args = json!({ "gate": "held", "numbers": "__CHANNEL__:1" });
    // It holds the reader and never reads.
    call(&mut link, 100, "count_up_late", &args, &[(1, 0)]);
    assert!(next(&mut link, Kind::ChannelCredit).is_some(), "they have taken it");
    link
}

/// Opens a link on which a command holds channel 1 to send on it, and sends nothing.
fn sent_by_them(stage: &Stage, label: &str) -> Link {
    let mut link = Link::open(&stage.name, label);
    let args = json!({ "gate": label, "to": "__CHANNEL__:1" });
    call(&mut link, 100, "tell_cancelled", &args, &[(1, PLENTY)]);
    assert!(link.add());
    link
}

/// A link with a call that holds, and that brought these channels, which it does not take.
fn not_taken(stage: &Stage, label: &str, channels: &[(u32, u64)]) -> Link {
    let mut link = Link::open(&stage.name, label);
    call(&mut link, 100, "hold", &json!({ "gate": "held" }), channels);
    link
}

/// What breaks a rule, each ends its link.
pub(crate) fn channel_rules(stage: &Stage) {
    let attack = |variant: &str, open: &dyn Fn(&str) -> Link, act: &dyn Fn(&mut Link)| {
        stage.variant(variant, || {
            let mut link = open(variant);
            act(&mut link);
            link.until_hung_up();
        });
    };
    let reads = |label: &str| read_by_them(stage, label);
    let sends = |label: &str| sent_by_them(stage, label);
    let plain = |label: &str| Link::open(&stage.name, label);
    let hold = |link: &mut Link, id, channels: &[(u32, u64)]| {
        call(link, id, "hold", &json!({ "gate": "held" }), channels);
    };
    attack("credit: more than was granted", &reads, &|link| {
        while say(link, Kind::Channel, 1, &[7; LARGE]) {}
    });
    attack("credit: small messages without end", &reads, &|link| {
        while say(link, Kind::Channel, 1, &[]) {}
    });
    attack("credit: a message before any", &|label| not_taken(stage, label, &[(1, 0)]), &|link| {
        say(link, Kind::Channel, 1, &[7]);
    });
    attack("credit: wraps", &sends, &|link| {
        grant(link, 1, u64::MAX);
    });
    attack("credit: in parts", &sends, &|link| while grant(link, 1, MAX_CREDIT / 2) {});
    attack("credit: seven bytes", &sends, &|link| {
        say(link, Kind::ChannelCredit, 1, &[1; 7]);
    });
    attack("credit: no bytes", &sends, &|link| {
        say(link, Kind::ChannelCredit, 1, &[]);
    });
    attack("credit: too much at once", &plain, &|link| hold(link, 1, &[(1, u64::MAX)]));
    attack("direction: a message", &sends, &|link| {
        say(link, Kind::Channel, 1, &[7]);
    });
    attack("direction: a credit", &reads, &|link| {
        grant(link, 1, 1);
    });
    attack("number: twice in a call", &plain, &|link| hold(link, 1, &[(1, 1), (1, 1)]));
    attack("number: in use", &reads, &|link| hold(link, 1, &[(1, 1)]));
    attack("extension: seventeen", &plain, &|link| {
        hold(link, 1, &(0..17).map(|id| (id, 1)).collect::<Vec<_>>());
    });
}

/// What means nothing, and harms nobody.
pub(crate) fn channel_nonsense(stage: &Stage) {
    stage.variant("no such channel", || {
        let mut link = sent_by_them(stage, "no such channel");
        for id in [0, 2, u64::from(u32::MAX), 1 << 32, (1 << 32) + 1, u64::MAX] {
            for _ in 0..500 {
                say(&mut link, Kind::Channel, id, &[7; 100]);
                say(&mut link, Kind::ChannelEnd, id, &[]);
                grant(&mut link, id, u64::MAX);
            }
        }
        assert!(link.add(), "ignored, and the link works on");
    });
    stage.variant("behind the end", || {
        let mut link = read_by_them(stage, "behind the end");
        for _ in 0..500 {
            say(&mut link, Kind::ChannelEnd, 1, &[]);
            say(&mut link, Kind::Channel, 1, &[7; 1000]);
        }
        assert!(link.add(), "ignored, and the link works on");
    });
    stage.variant("a channel of another call", || {
        let mut link = sent_by_them(stage, "a channel of another call");
        for text in ["__CHANNEL__:1", "__CHANNEL__:2", "__CHANNEL__:", "__CHANNEL__:-1", "", "1"] {
            let args = json!({ "gate": "never", "to": text });
            let answer = link.call("tell_cancelled", args.to_string().as_bytes());
            stage.fact(answer.expect("an answer").name);
        }
        assert!(link.add());
    });
    stage.variant("the same number again", || {
        let mut link = Link::open(&stage.name, "the same number again");
        for id in 1..200 {
            let args = json!({ "count": 1, "ballast": 10, "numbers": "__CHANNEL__:7" });
            call(&mut link, id, "count_to", &args, &[(7, PLENTY)]);
            assert!(next(&mut link, Kind::Channel).is_some());
            assert!(next(&mut link, Kind::ChannelEnd).is_some());
        }
        assert!(next(&mut link, Kind::Response).is_some());
    });
}

/// More channels than anybody needs.
pub(crate) fn channel_flood(stage: &Stage) {
    let sixteen = |first: u32| (first..first + 16).map(|id| (id, PLENTY)).collect::<Vec<_>>();
    stage.variant("refused calls", || {
        let mut link = Link::open(&stage.name, "refused calls");
        let mut ended = 0;
        for round in 0..300 {
            call(&mut link, 500, "forbidden", &json!({}), &sixteen(round * 16));
            for _ in 0..16 {
                ended += usize::from(next(&mut link, Kind::ChannelEnd).is_some());
            }
        }
        stage.fact(format_args!("{ended} ended"));
        assert!(link.add());
    });
    stage.variant("refused calls, unread", || {
        let mut link = Link::open(&stage.name, "refused calls, unread");
        let mut round = 0;
        while call(&mut link, 500, "forbidden", &json!({}), &sixteen(round * 16)) {
            round += 1;
        }
    });
    stage.variant("held calls", || {
        let mut link = not_taken(stage, "held calls", &sixteen(0));
        for round in 1..10 {
            let args = json!({ "gate": "held" });
            call(&mut link, 100 + u64::from(round), "hold", &args, &sixteen(round * 16));
        }
        // 160 were brought, and 128 may be.
        for _ in 0..32 {
            let (_, code, _) = next(&mut link, Kind::ChannelEnd).expect("the link lives");
            assert_eq!(code, "too-many-channels");
        }
        stage.fact("32 refused");
        assert!(link.add());
    });
}

/// Channels on which nothing happens any more.
pub(crate) fn channel_stall(stage: &Stage) {
    stage.variant("grants and never reads the link", || {
        let mut link = Link::open(&stage.name, "grants and never reads the link");
        let args = json!({ "count": 1 << 30, "ballast": 10, "numbers": "__CHANNEL__:1" });
        call(&mut link, 1, "count_to", &args, &[(1, MAX_CREDIT)]);
        link.until_hung_up();
    });
    stage.variant("grants nothing", || {
        let mut link = Link::open(&stage.name, "grants nothing");
        for id in 1..8 {
            let text = format!("__CHANNEL__:{id}");
            let args = json!({ "count": 1 << 30, "ballast": 10, "numbers": text });
            call(&mut link, id.into(), "count_to", &args, &[(id, 1)]);
            assert!(next(&mut link, Kind::Channel).is_some());
        }
        assert!(link.add());
    });
    stage.variant("a full window that nobody reads", || {
        let mut link = Link::open(&stage.name, "a full window that nobody reads");
        for id in 1..8_u32 {
            let args = json!({ "gate": "held", "numbers": format!("__CHANNEL__:{id}") });
            call(&mut link, id.into(), "count_up_late", &args, &[(id, 0)]);
            let (_, _, credit) = next(&mut link, Kind::ChannelCredit).expect("the link lives");
            let credit = u64::from_le_bytes(credit.try_into().expect("eight bytes"));
            let mut left = i64::try_from(credit).expect("a window");
            while left > 0 {
                say(&mut link, Kind::Channel, id.into(), &[7; LARGE]);
                left -= i64::try_from(LARGE).expect("small") + 128;
            }
        }
        assert!(link.add());
    });
}
