//! Attacks by events: as whom they are listened to, at whom they are aimed, and how many there are.

use tramline_core::envelope::{BodyKind, ExtensionBuf, Head, Kind};
use tramline_core::events::EventTarget;

use crate::link::Link;
use crate::stage::Stage;

/// A message without a body, with these bytes as its extension.
fn extended(kind: Kind, id: u64, name: &str, extension: &[u8]) -> Vec<u8> {
    let mut message = Head::new(kind, BodyKind::Empty, id, name).to_bytes().to_vec();
    let len = u16::try_from(extension.len()).expect("an extension has at most 64 KiB");
    message[4..6].copy_from_slice(&len.to_le_bytes());
    [&message, name.as_bytes(), extension].concat()
}

fn extension_of(target: &EventTarget) -> Vec<u8> {
    let mut extension = ExtensionBuf::default();
    extension.target(target).expect("a short label");
    extension.as_extension().bytes().to_vec()
}

pub(crate) fn bad_targets(stage: &Stage) {
    let field = |content: &[u8]| {
        let len = u16::try_from(content.len()).expect("short");
        [&[128][..], &len.to_le_bytes(), content].concat()
    };
    let window = |label: &[u8]| field(&[&[4], label].concat());
    let bad = [
        ("without a kind", field(&[])),
        ("of kind 7", field(&[7, b'a'])),
        ("of kind 255", field(&[255])),
        ("everybody with a label", field(&[0, b'a'])),
        ("the application with a label", field(&[2, b'a'])),
        ("label that is not UTF-8", window(b"\xff\xfe")),
        ("label too long", window(&[b'x'; 256])),
        ("label of 60 KiB", window(&[b'x'; 60_000])),
        ("cut off", vec![128, 9, 0, 4, b'a']),
        ("too many", window(b"a").repeat(65)),
        ("far too many", window(b"").repeat(16_000)),
    ];
    for (variant, extension) in &bad {
        for kind in [Kind::Subscribe, Kind::Unsubscribe, Kind::Event, Kind::Request] {
            let variant = format!("{kind:?}: {variant}");
            stage.variant(&variant, || {
                let mut link = Link::open(&stage.name, &variant);
                assert!(link.add());
                link.message(&extended(kind, 77, "down", extension));
                link.until_hung_up();
            });
        }
    }
    for kind in [Kind::Subscribe, Kind::Unsubscribe] {
        let variant = format!("{kind:?}: two at once");
        stage.variant(&variant, || {
            let mut link = Link::open(&stage.name, &variant);
            assert!(link.add());
            link.message(&extended(kind, 77, "down", &window(b"a").repeat(2)));
            link.until_hung_up();
        });
    }
}

/// Subscribes ten thousand times, each as somebody else: how many were taken.
fn subscribe(link: &mut Link, name: impl Fn(u64) -> String) -> usize {
    /// As many as the smallest ring holds.
    const AT_ONCE: u64 = 50;
    let mut taken = 0;
    for first in (0..10_000).step_by(50) {
        for number in first..first + AT_ONCE {
            let extension = extension_of(&EventTarget::window(format!("{number:0>255}")));
            let name = name(number);
            link.message(&extended(Kind::Subscribe, number + 1, &name, &extension));
        }
        let answers = (0..AT_ONCE).map(|_| link.answer().expect("an answer to each"));
        taken += answers.filter(|answer| answer.kind == Kind::Response).count();
    }
    taken
}

pub(crate) fn many_targets(stage: &Stage) {
    stage.variant("of one event", || {
        let mut link = Link::open(&stage.name, "of one event");
        stage.fact(format_args!("{} taken", subscribe(&mut link, |_| "down".into())));
        assert!(link.add());
    });
    stage.variant("of many events", || {
        let mut link = Link::open(&stage.name, "of many events");
        let taken = subscribe(&mut link, |number| format!("{:0>250}", number / 60));
        stage.fact(format_args!("{taken} taken"));
        assert!(link.add());
    });
}

/// Events with as many of the longest targets as there may be. The listeners of `echo` answer each
/// one that is for them.
pub(crate) fn aimed(stage: &Stage) {
    let mut elsewhere = ExtensionBuf::default();
    for number in 0..63 {
        let target = EventTarget::any_label(format!("{number:0>255}"));
        elsewhere.target(&target).expect("room");
    }
    let mut here = elsewhere.clone();
    here.target(&EventTarget::App).expect("room");
    for (variant, extension) in [("at others", &elsewhere), ("at others and the server", &here)] {
        stage.variant(variant, || {
            let mut link = Link::open(&stage.name, variant);
            let subscribe = extended(Kind::Subscribe, 1, "down", b"");
            link.message(&subscribe);
            assert!(link.answer().is_some());
            let head = Head::new(Kind::Event, BodyKind::Structured, 0, "echo");
            let head = head.extended(extension.as_extension());
            let extension = head.extension.bytes();
            let event = [&head.to_bytes()[..], b"echo", extension, b"1"].concat();
            for _ in 0..1000 {
                link.message(&event);
            }
            // Behind all events: their answers stand before this one.
            link.request("add", BodyKind::Structured, br#"{"a":1,"b":1}"#);
            let mut heard = 0;
            while let Some(message) = link.receive() {
                if message[0] == Kind::Response as u8 {
                    break;
                }
                heard += usize::from(message[0] == Kind::Event as u8);
            }
            stage.fact(format_args!("{heard} heard"));
        });
    }
}

pub(crate) fn overrun(stage: &Stage) {
    stage.variant("more events than are taken", || {
        let mut link = Link::open(&stage.name, "more events than are taken");
        assert!(link.add());
        let event = extended(Kind::Event, 0, "overrun", b"");
        while link.message(&event) {}
    });
}
