//! What a message says beside its name and its body: `docs/WIRE-FORMAT.md` section 3.1.
//!
//! A run of fields: tag (1 byte), length (2 bytes), content. Most messages have none.

use crate::error::{ConfigError, PeerFault};
use crate::events::{EventTarget, TargetRef};
use crate::limits::MAX_TARGETS;

/// Longest extension in bytes.
pub const MAX_EXTENSION_LEN: usize = u16::MAX as usize;

/// Channels that one call may bring. A choice: more than a command has parameters.
pub const MAX_CALL_CHANNELS: usize = 16;

const TAG_LEN: usize = 3;
const DEADLINE: u8 = 1;
const HEADER: u8 = 2;
const ATTACHMENT: u8 = 3;
const CHANNEL: u8 = 4;
/// Tags from here on must be understood; others that are not known are skipped.
const FIRST_CRITICAL: u8 = 128;
/// Whoever did not understand it would tell those it is not for.
const TARGET: u8 = FIRST_CRITICAL;

/// A message's extension: fields that have been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extension<'a>(&'a [u8]);

/// One field of an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field<'a> {
    /// How long the caller waits for the answer, counted from when it sent the message.
    Deadline {
        /// Milliseconds.
        left_ms: u32,
    },
    /// A name and a value for people and programs on the way: nothing here looks at them.
    Header {
        /// At least one byte.
        name: &'a str,
        /// May be empty.
        value: &'a str,
    },
    /// Bytes behind the body, in the order of their fields.
    Attachment {
        /// The argument they are.
        name: &'a str,
        /// How many bytes.
        len: u64,
    },
    /// A channel that the arguments name.
    Channel {
        /// Its number, chosen by the caller and never used again on this connection.
        id: u32,
        /// What may be sent to the caller at first, in bytes; 0: the caller is who sends.
        credit: u64,
    },
    /// Of an event: it is for whoever listens as this. Of a subscription: as what.
    Target(TargetRef<'a>),
}

impl<'a> Extension<'a> {
    /// No fields.
    pub const NONE: Self = Self(&[]);

    /// Checks every field.
    ///
    /// # Errors
    ///
    /// [`PeerFault`] names the field and what was found in it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PeerFault> {
        let mut rest = bytes;
        let (mut deadlines, mut channels, mut targets) = (0, 0, 0);
        while !rest.is_empty() {
            let (tag, content, after) = split(rest)?;
            match read(tag, content)? {
                Some(Field::Deadline { .. }) => deadlines += 1,
                Some(Field::Channel { .. }) => channels += 1,
                Some(Field::Target(_)) => targets += 1,
                _ => {}
            }
            if deadlines > 1 {
                return Err(PeerFault::new("extension", "a second deadline"));
            }
            if channels > MAX_CALL_CHANNELS {
                let what = format_args!("more than {MAX_CALL_CHANNELS} channels");
                return Err(PeerFault::new("extension", what));
            }
            if targets > MAX_TARGETS {
                let what = format_args!("more than {MAX_TARGETS} targets");
                return Err(PeerFault::new("extension", what));
            }
            rest = after;
        }
        Ok(Self(bytes))
    }

    /// The fields in their order.
    pub fn fields(self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                // Cannot fail: all of it was checked.
                let (tag, content, after) = split(rest).ok()?;
                rest = after;
                if let Ok(Some(field)) = read(tag, content) {
                    return Some(field);
                }
            }
            None
        })
    }

    /// Whom an event is for, or as what somebody subscribes.
    pub fn targets(self) -> impl Iterator<Item = TargetRef<'a>> {
        self.fields().filter_map(|field| match field {
            Field::Target(target) => Some(target),
            _ => None,
        })
    }

    /// As what somebody subscribes, if it is said.
    ///
    /// # Errors
    ///
    /// [`PeerFault`]: there are two.
    pub fn only_target(self) -> Result<Option<EventTarget>, PeerFault> {
        let mut targets = self.targets();
        let only = targets.next().map(TargetRef::to_target);
        match targets.next() {
            None => Ok(only),
            Some(_) => Err(PeerFault::new("extension", "a subscription with two targets")),
        }
    }

    /// The fields as they are on the wire.
    #[inline]
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The channels in their order: number and credit.
    pub fn channels(self) -> impl Iterator<Item = (u32, u64)> + use<'a> {
        self.fields().filter_map(|field| match field {
            Field::Channel { id, credit } => Some((id, credit)),
            _ => None,
        })
    }

    /// Bytes of all attachments together.
    #[must_use]
    pub fn attachments_len(self) -> u64 {
        self.fields().fold(0, |sum: u64, field| match field {
            Field::Attachment { len, .. } => sum.saturating_add(len),
            _ => sum,
        })
    }
}

/// The first field of what is left: tag, content, and what follows.
fn split(rest: &[u8]) -> Result<(u8, &[u8], &[u8]), PeerFault> {
    if let [tag, a, b, rest @ ..] = rest {
        let len = usize::from(u16::from_le_bytes([*a, *b]));
        if let Some((content, after)) = rest.split_at_checked(len) {
            return Ok((*tag, content, after));
        }
    }
    Err(PeerFault::new("extension", format_args!("a field is cut off, {} bytes left", rest.len())))
}

/// `None` for a field that need not be understood.
fn read(tag: u8, content: &[u8]) -> Result<Option<Field<'_>>, PeerFault> {
    let wrong = |what: &str| Err(PeerFault::new("extension", what));
    let text = |bytes| {
        str::from_utf8(bytes)
            .map_err(|e| PeerFault::new("extension", format_args!("not UTF-8: {e}")))
    };
    Ok(Some(match tag {
        DEADLINE => match content.try_into() {
            Ok(bytes) => Field::Deadline { left_ms: u32::from_le_bytes(bytes) },
            Err(_) => return wrong("a deadline has 4 bytes"),
        },
        HEADER => match content.split_first() {
            Some((name_len, rest)) if (1..=rest.len()).contains(&usize::from(*name_len)) => {
                let (name, value) = rest.split_at(usize::from(*name_len));
                Field::Header { name: text(name)?, value: text(value)? }
            }
            _ => return wrong("a header's name is empty or cut off"),
        },
        ATTACHMENT => match content.split_first_chunk() {
            Some((len, name)) => {
                Field::Attachment { name: text(name)?, len: u64::from_le_bytes(*len) }
            }
            None => return wrong("an attachment's length is cut off"),
        },
        CHANNEL => match (content.first_chunk(), content.last_chunk()) {
            (Some(id), Some(credit)) if content.len() == 12 => {
                Field::Channel { id: u32::from_le_bytes(*id), credit: u64::from_le_bytes(*credit) }
            }
            _ => return wrong("a channel has 12 bytes"),
        },
        TARGET => Field::Target(TargetRef::parse(content)?),
        _ if tag >= FIRST_CRITICAL => {
            return Err(PeerFault::new("extension", format_args!("field {tag} is not known here")));
        }
        _ => return Ok(None),
    }))
}

/// The extension of a call with nothing but a deadline: needs no memory of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadlineOnly([u8; TAG_LEN + 4]);

impl DeadlineOnly {
    /// A deadline.
    #[must_use]
    pub fn new(left_ms: u32) -> Self {
        let mut bytes = [DEADLINE, 4, 0, 0, 0, 0, 0];
        bytes[TAG_LEN..].copy_from_slice(&left_ms.to_le_bytes());
        Self(bytes)
    }

    /// The extension.
    #[must_use]
    pub fn as_extension(&self) -> Extension<'_> {
        Extension(&self.0)
    }
}

/// An extension being written.
///
/// # Examples
///
/// ```
/// use tramline_core::envelope::{ExtensionBuf, Field};
///
/// let mut written = ExtensionBuf::default();
/// written.header("user", "Jörg")?;
/// let fields: Vec<_> = written.as_extension().fields().collect();
/// assert_eq!(fields, [Field::Header { name: "user", value: "Jörg" }]);
/// # Ok::<(), tramline_core::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtensionBuf(Vec<u8>);

impl ExtensionBuf {
    /// Adds a deadline. There may be one.
    ///
    /// # Errors
    ///
    /// The extension would be longer than [`MAX_EXTENSION_LEN`].
    pub fn deadline(&mut self, left_ms: u32) -> Result<(), ConfigError> {
        self.add(DEADLINE, &[&left_ms.to_le_bytes()])
    }

    /// Adds a header: UTF-8, the name with 1 to 255 bytes.
    ///
    /// # Errors
    ///
    /// Another length of name, or the extension would be longer than [`MAX_EXTENSION_LEN`].
    pub fn header(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        match u8::try_from(name.len()) {
            Ok(name_len @ 1..) => {
                self.add(HEADER, &[&[name_len], name.as_bytes(), value.as_bytes()])
            }
            _ => Err(limit("length of a header's name in bytes", name.len(), 1, 255)),
        }
    }

    /// Adds an attachment of `len` bytes.
    ///
    /// # Errors
    ///
    /// The extension would be longer than [`MAX_EXTENSION_LEN`].
    pub fn attachment(&mut self, name: &str, len: usize) -> Result<(), ConfigError> {
        self.add(ATTACHMENT, &[&(len as u64).to_le_bytes(), name.as_bytes()])
    }

    /// Adds a channel, see [`Field::Channel`].
    ///
    /// # Errors
    ///
    /// More than [`MAX_CALL_CHANNELS`], or the extension would be longer than
    /// [`MAX_EXTENSION_LEN`].
    pub fn channel(&mut self, id: u32, credit: u64) -> Result<(), ConfigError> {
        let count = self.as_extension().channels().count() + 1;
        if count > MAX_CALL_CHANNELS {
            return Err(limit("channels of one call", count, 0, MAX_CALL_CHANNELS));
        }
        self.add(CHANNEL, &[&id.to_le_bytes(), &credit.to_le_bytes()])
    }

    fn add(&mut self, tag: u8, parts: &[&[u8]]) -> Result<(), ConfigError> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let all = self.0.len() + TAG_LEN + len;
        let (Ok(len), true) = (u16::try_from(len), all <= MAX_EXTENSION_LEN) else {
            let what = "length of headers and attachment names in bytes";
            return Err(limit(what, all, 0, MAX_EXTENSION_LEN));
        };
        self.0.push(tag);
        self.0.extend_from_slice(&len.to_le_bytes());
        parts.iter().for_each(|part| self.0.extend_from_slice(part));
        Ok(())
    }

    /// Adds a target.
    ///
    /// # Errors
    ///
    /// The label is too long, or the extension would be.
    pub fn target(&mut self, target: &EventTarget) -> Result<(), ConfigError> {
        target.check()?;
        let (kind, label) = target.parts();
        self.add(TARGET, &[&[kind], label.as_bytes()])
    }

    /// What has been written.
    #[must_use]
    pub fn as_extension(&self) -> Extension<'_> {
        Extension(&self.0)
    }
}

fn limit(what: &'static str, found: usize, min: u64, max: usize) -> ConfigError {
    ConfigError::Limit { what, found: found as u64, min, max: max as u64 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_come_back_in_their_order() {
        let mut written = ExtensionBuf::default();
        written.deadline(1500).expect("room");
        written.header("größe", "").expect("room");
        written.attachment("image", 1 << 40).expect("room");
        written.channel(7, 1 << 18).expect("room");
        let read = Extension::parse(&written.0).expect("our own");
        assert_eq!(
            read.fields().collect::<Vec<_>>(),
            [
                Field::Deadline { left_ms: 1500 },
                Field::Header { name: "größe", value: "" },
                Field::Attachment { name: "image", len: 1 << 40 },
                Field::Channel { id: 7, credit: 1 << 18 },
            ]
        );
        assert_eq!(read.channels().collect::<Vec<_>>(), [(7, 1 << 18)]);
        assert_eq!(read.attachments_len(), 1 << 40);
        let bytes = DeadlineOnly::new(7);
        let alone = Extension::parse(bytes.as_extension().bytes()).expect("our own");
        assert_eq!(alone.fields().collect::<Vec<_>>(), [Field::Deadline { left_ms: 7 }]);
    }

    #[test]
    fn what_breaks_a_rule_is_refused_and_what_is_new_is_skipped() {
        let channels = [4, 12, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].repeat(17);
        assert!(Extension::parse(&channels[15..]).is_ok(), "16 may be");
        let refused: [&[u8]; 20] = [
            &[1],
            &[1, 4, 0],
            &[1, 4, 0, 1, 2, 3],
            &[1, 3, 0, 1, 2, 3],
            &[1, 4, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0],
            &[2, 0, 0],
            &[2, 2, 0, 0, b'x'],
            &[2, 2, 0, 2, b'x'],
            &[2, 2, 0, 1, 0xff],
            &[3, 7, 0, 0, 0, 0, 0, 0, 0, 0],
            &[4, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[4, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &channels,
            &[128, 0, 0],
            &[128, 1, 0, 7],
            &[128, 1, 0, 255],
            &[128, 2, 0, 0, b'a'],
            &[128, 2, 0, 2, b'a'],
            &[128, 2, 0, 1, 0xff],
            &[129, 0, 0],
        ];
        for bytes in refused {
            assert_eq!(Extension::parse(bytes).expect_err("refused").at, "extension", "{bytes:?}");
        }
        let skipped = Extension::parse(&[127, 1, 0, 9, 2, 2, 0, 1, b'a']).expect("to be skipped");
        let fields: Vec<_> = skipped.fields().collect();
        assert_eq!(fields, [Field::Header { name: "a", value: "" }]);
    }

    #[test]
    fn every_target_survives_the_wire_and_their_number_and_length_are_bounded() {
        let mut targets = vec![EventTarget::Any, EventTarget::App];
        for label in ["", "größe", &"x".repeat(255)] {
            targets.extend([
                EventTarget::any_label(label),
                EventTarget::peer(label),
                EventTarget::window(label),
                EventTarget::webview(label),
                EventTarget::webview_window(label),
            ]);
        }
        let mut written = ExtensionBuf::default();
        targets.iter().for_each(|target| written.target(target).expect("room"));
        let read = Extension::parse(&written.0).expect("our own");
        assert_eq!(read.targets().map(TargetRef::to_target).collect::<Vec<_>>(), targets);
        for (found, target) in read.targets().zip(&targets) {
            assert_eq!(
                targets.iter().filter(|other| found.is(other)).collect::<Vec<_>>(),
                [target]
            );
        }
        assert_eq!(read.only_target().expect_err("more than one").at, "extension");
        assert!(written.target(&EventTarget::peer("x".repeat(256))).is_err());

        let one = [128, 2, 0, 4, b'a'];
        let only = Extension::parse(&one).expect("a window").only_target();
        assert_eq!(only, Ok(Some(EventTarget::window("a"))));
        assert!(Extension::parse(&one.repeat(MAX_TARGETS)).is_ok());
        let refused = Extension::parse(&one.repeat(MAX_TARGETS + 1)).expect_err("too many");
        assert_eq!(refused.what.as_ref(), "more than 64 targets");
        let long = [&[128, 1, 1, 3][..], &[b'x'; 256]].concat();
        assert_eq!(Extension::parse(&long).expect_err("a long label").at, "extension");
    }

    #[test]
    fn too_much_is_refused_before_it_is_sent() {
        let mut written = ExtensionBuf::default();
        assert!(written.header("", "x").is_err());
        assert!(written.header(&"x".repeat(256), "").is_err());
        assert!(written.header("a", &"x".repeat(65_532)).is_err());
        assert!(written.as_extension().is_empty());
        written.header("a", &"x".repeat(65_530)).expect("just fits");
        assert!(written.header("b", "").is_err());
        assert_eq!(written.as_extension().bytes().len(), MAX_EXTENSION_LEN);
        let mut written = ExtensionBuf::default();
        assert!((0..20).filter(|id| written.channel(*id, 0).is_ok()).eq(0..16));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            if let Ok(read) = Extension::parse(&bytes) {
                let _ = (read.fields().count(), read.attachments_len());
            }
        }
    }
}
