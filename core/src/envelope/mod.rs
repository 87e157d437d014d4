//! The envelope: 16 bytes of header, a name, perhaps an extension, a body. `docs/WIRE-FORMAT.md` section 3.
//!
//! All integers are little-endian. The length of the body is the length of the frame less what
//! stands before it, so no length is stated twice.

mod extension;

pub use self::extension::{
    DeadlineOnly, Extension, ExtensionBuf, Field, MAX_CALL_CHANNELS, MAX_EXTENSION_LEN,
};
use crate::error::PeerFault;
use crate::limits::MAX_NAME_LEN;

/// Bytes before the name.
pub const HEADER_LEN: usize = 16;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// First message of either side: version, codec, limits. Body always JSON.
    Hello = 1,
    /// Last message: the name is a code, the body a text in JSON.
    Goodbye = 2,
    /// A call. Answered by exactly one `Response` or `Error` with the same id.
    Request = 3,
    /// The result of a call or the acknowledgement of a `Subscribe`.
    Response = 4,
    /// A call that failed: the name is a code, the body its error value.
    Error = 5,
    /// An event: the name is the event's name.
    Event = 6,
    /// "Send me events of this name from now on." Answered like a request.
    Subscribe = 7,
    /// The reverse. Not answered.
    Unsubscribe = 8,
    /// The caller no longer waits for the call with this id. Not answered.
    Cancel = 9,
    /// One message of the channel with this id.
    Channel = 10,
    /// The channel with this id has ended; a name is the code of the error that ended it.
    ChannelEnd = 11,
    /// The other side may send so many bytes more on the channel with this id.
    ChannelCredit = 12,
}

impl Kind {
    /// The kind with this number.
    #[must_use]
    pub const fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Hello,
            2 => Self::Goodbye,
            3 => Self::Request,
            4 => Self::Response,
            5 => Self::Error,
            6 => Self::Event,
            7 => Self::Subscribe,
            8 => Self::Unsubscribe,
            9 => Self::Cancel,
            10 => Self::Channel,
            11 => Self::ChannelEnd,
            12 => Self::ChannelCredit,
            _ => return None,
        })
    }
}

/// How the body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum BodyKind {
    /// There is no body. Reads as no arguments, or `null`.
    #[default]
    Empty = 0,
    /// A value in the connection's codec.
    Structured = 1,
    /// Bytes, as they are.
    Raw = 2,
}

impl BodyKind {
    const fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Empty,
            1 => Self::Structured,
            2 => Self::Raw,
            _ => return None,
        })
    }
}

/// What stands before the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// What the message is.
    pub kind: Kind,
    /// How the body is to be read.
    pub body: BodyKind,
    /// Pairs a request with its answer, or names a channel. 0 where neither applies.
    pub id: u64,
    /// Command, event or code.
    pub name: &'a str,
    /// What else there is to say.
    pub extension: Extension<'a>,
}

impl<'a> Head<'a> {
    /// A head without an extension.
    #[inline]
    #[must_use]
    pub const fn new(kind: Kind, body: BodyKind, id: u64, name: &'a str) -> Self {
        Self { kind, body, id, name, extension: Extension::NONE }
    }

    /// The same head with this extension.
    #[inline]
    #[must_use]
    pub const fn extended(self, extension: Extension<'a>) -> Self {
        Self { extension, ..self }
    }

    /// Bytes before the body.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        HEADER_LEN + self.name.len() + self.extension.bytes().len()
    }

    /// Never true; a head has at least [`HEADER_LEN`] bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Reads what stands behind the name of a message that has an extension.
    #[cold]
    fn parse_extension(self, ext_len: usize, rest: &'a [u8]) -> Result<Envelope<'a>, PeerFault> {
        let Some((extension, rest)) = rest.split_at_checked(ext_len) else {
            let what = format_args!("{ext_len} bytes, the frame has {} left", rest.len());
            return Err(PeerFault::new("ext_len", what));
        };
        let head = self.extended(Extension::parse(extension)?);
        let attached = head.extension.attachments_len();
        let body_len = usize::try_from(attached).ok().and_then(|len| rest.len().checked_sub(len));
        let Some(body_len) = body_len else {
            let what = format_args!("{attached} bytes, the frame has {} left", rest.len());
            return Err(PeerFault::new("attachments", what));
        };
        let (body, attachments) = rest.split_at(body_len);
        if head.body != BodyKind::Structured && attached != 0 {
            return Err(PeerFault::new("attachments", format_args!("to a body {:?}", head.body)));
        }
        if head.body == BodyKind::Empty && !body.is_empty() {
            let what = format_args!("says empty, {} bytes follow", body.len());
            return Err(PeerFault::new("body kind", what));
        }
        Ok(Envelope { head, body, attachments })
    }

    /// The fixed part of the head. The name follows it, then the extension.
    ///
    /// # Panics
    ///
    /// If the name is longer than [`MAX_NAME_LEN`], or the extension than [`MAX_EXTENSION_LEN`]:
    /// whoever takes them from a user checks that.
    #[inline]
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let [fixed, id] = self.to_words();
        bytes[..8].copy_from_slice(&fixed);
        bytes[8..].copy_from_slice(&id);
        bytes
    }

    /// The two halves of the header. Written one by one they are not waited for, as a copy of both
    /// waits for the two words that it is made of.
    ///
    /// # Panics
    ///
    /// As [`to_bytes`](Self::to_bytes).
    #[inline]
    #[must_use]
    pub fn to_words(&self) -> [[u8; 8]; 2] {
        let name_len = u8::try_from(self.name.len()).expect("names are checked when they come in");
        let ext_len = self.extension.bytes().len();
        let ext_len = u16::try_from(ext_len).expect("extensions are checked when they are made");
        // 3 flags and 6..8 reserved: zero in this version.
        let fixed = u64::from(self.kind as u8)
            | u64::from(self.body as u8) << 8
            | u64::from(name_len) << 16
            | u64::from(ext_len) << 32;
        [fixed.to_le_bytes(), self.id.to_le_bytes()]
    }
}

/// The kind of body of a frame that is the result of the call `id` and says nothing else, as most
/// answers do: found with two looks at it. `None` for any other frame, also a good one.
#[inline]
#[must_use]
pub fn plain_result(frame: &[u8], id: u64) -> Option<BodyKind> {
    let (fixed, rest) = frame.split_first_chunk()?;
    let (its_id, body) = rest.split_first_chunk()?;
    if u64::from_le_bytes(*its_id) != id {
        return None;
    }
    const RESPONSE: u64 = Kind::Response as u64;
    match u64::from_le_bytes(*fixed).checked_sub(RESPONSE)? {
        0x000 if body.is_empty() => Some(BodyKind::Empty),
        0x100 => Some(BodyKind::Structured),
        0x200 => Some(BodyKind::Raw),
        _ => None,
    }
}

/// One received message, borrowed from its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// What stands before the body.
    pub head: Head<'a>,
    /// The body's bytes, without attachments.
    pub body: &'a [u8],
    /// The attachments that the extension names, one behind the other.
    pub attachments: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads a frame. Every field is checked; nothing is allocated.
    ///
    /// # Errors
    ///
    /// [`PeerFault`] names the field and what was found in it.
    ///
    /// # Examples
    ///
    /// ```
    /// use tramline_core::envelope::{BodyKind, Envelope, Head, Kind};
    ///
    /// let head = Head::new(Kind::Event, BodyKind::Raw, 0, "tick");
    /// let mut frame = head.to_bytes().to_vec();
    /// frame.extend_from_slice(b"tick\x01\x02");
    /// let read = Envelope::parse(&frame)?;
    /// assert_eq!(read.head, head);
    /// assert_eq!(read.body, [1, 2]);
    /// # Ok::<(), tramline_core::PeerFault>(())
    /// ```
    #[inline(always)]
    pub fn parse(frame: &'a [u8]) -> Result<Self, PeerFault> {
        match Self::parse_plain(frame) {
            Some(message) => Ok(message),
            None => Self::parse_any(frame),
        }
    }

    /// Reads a frame without an extension, as most are. `None` for any other, good or bad.
    #[inline(always)]
    fn parse_plain(frame: &'a [u8]) -> Option<Self> {
        let (header, rest) = frame.split_first_chunk::<HEADER_LEN>()?;
        let [kind, body_kind, name_len, zero @ .., a, b, c, d, e, f, g, h] = *header;
        if zero != [0; 5] {
            return None;
        }
        let (name, body) = rest.split_at_checked(name_len.into())?;
        let (kind, body_kind) = (Kind::from_u8(kind)?, BodyKind::from_u8(body_kind)?);
        let id = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let head = Head::new(kind, body_kind, id, std::str::from_utf8(name).ok()?);
        let is_one = body_kind != BodyKind::Empty || body.is_empty();
        is_one.then_some(Self { head, body, attachments: &[] })
    }

    /// Reads any frame, and says what is wrong with it.
    fn parse_any(frame: &'a [u8]) -> Result<Self, PeerFault> {
        let Some((header, rest)) = frame.split_first_chunk::<HEADER_LEN>() else {
            return Err(PeerFault::new(
                "envelope",
                format_args!("{} bytes, a header has {HEADER_LEN}", frame.len()),
            ));
        };
        let [kind, body, name_len, flags, ext_a, ext_b, res_a, res_b, id @ ..] = *header;
        let kind = Kind::from_u8(kind)
            .ok_or_else(|| PeerFault::new("kind", format_args!("{kind} is no message kind")))?;
        let body_kind = BodyKind::from_u8(body)
            .ok_or_else(|| PeerFault::new("body kind", format_args!("{body} is no body kind")))?;
        if flags != 0 || res_a != 0 || res_b != 0 {
            return Err(PeerFault::new(
                "envelope",
                format_args!(
                    "reserved bytes are {flags:02x} {res_a:02x} {res_b:02x}, this version sends zero"
                ),
            ));
        }
        let name_len = usize::from(name_len);
        if name_len > rest.len() {
            return Err(PeerFault::new(
                "name_len",
                format_args!("{name_len} bytes of name, the frame has {} left", rest.len()),
            ));
        }
        let (name, body) = rest.split_at(name_len);
        let name = std::str::from_utf8(name)
            .map_err(|e| PeerFault::new("name", format_args!("not UTF-8: {e}")))?;
        let head = Head::new(kind, body_kind, u64::from_le_bytes(id), name);
        let ext_len = usize::from(u16::from_le_bytes([ext_a, ext_b]));
        if ext_len != 0 {
            return head.parse_extension(ext_len, body);
        }
        if body_kind == BodyKind::Empty && !body.is_empty() {
            return Err(PeerFault::new(
                "body kind",
                format_args!("says empty, {} bytes follow", body.len()),
            ));
        }
        Ok(Self { head, body, attachments: &[] })
    }

    /// The same message with the body that was handed over beside it.
    ///
    /// # Errors
    ///
    /// [`PeerFault`] if the message has a body already, or says that it is no raw one.
    pub fn with_body(self, body: &'a [u8]) -> Result<Self, PeerFault> {
        if self.head.body != BodyKind::Raw || !self.body.is_empty() {
            let what = format_args!(
                "{:?} with {} bytes, and {} more were handed over",
                self.head.body,
                self.body.len(),
                body.len()
            );
            return Err(PeerFault::new("body kind", what));
        }
        Ok(Self { body, ..self })
    }

    /// Where the body begins in the frame.
    #[must_use]
    pub fn body_offset(&self) -> usize {
        self.head.len()
    }
}

const _: () = assert!(MAX_NAME_LEN == u8::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(head: &Head<'_>, body: &[u8]) -> Vec<u8> {
        [&head.to_bytes(), head.name.as_bytes(), head.extension.bytes(), body].concat()
    }

    #[test]
    fn v1_invoke_frame_bytes_are_unchanged() {
        let head = Head::new(Kind::Request, BodyKind::Structured, 0x0102_0304, "add");
        assert_eq!(
            frame(&head, b"{}"),
            [3, 1, 3, 0, 0, 0, 0, 0, 4, 3, 2, 1, 0, 0, 0, 0, b'a', b'd', b'd', b'{', b'}']
        );
    }

    #[test]
    fn a_plain_result_is_one_that_parses_to_that_and_nothing_else() {
        let result = |body, bytes: &[u8]| frame(&Head::new(Kind::Response, body, 7, ""), bytes);
        for (body, bytes) in
            [(BodyKind::Empty, &b""[..]), (BodyKind::Structured, b"x"), (BodyKind::Raw, b"")]
        {
            assert_eq!(plain_result(&result(body, bytes), 7), Some(body));
            assert_eq!(plain_result(&result(body, bytes), 8), None);
        }
        assert_eq!(plain_result(&result(BodyKind::Empty, b"x"), 7), None);
        let good = result(BodyKind::Raw, b"");
        assert_eq!(plain_result(&good[..15], 7), None);
        // Another kind, body kind, name, flag, extension or reserved byte.
        for offset in 0..8 {
            let mut other = good.clone();
            other[offset] ^= 0x10;
            assert_eq!(plain_result(&other, 7), None, "{offset}");
        }
    }

    #[test]
    fn unknown_kinds_reserved_bytes_and_lengths_are_refused() {
        let head = Head::new(Kind::Event, BodyKind::Raw, 0, "tick");
        let good = frame(&head, b"");
        assert!(Envelope::parse(&good).is_ok());
        let refused_at = |offset: usize, value: u8| {
            let mut bad = good.clone();
            bad[offset] = value;
            Envelope::parse(&bad).expect_err("must be refused").at
        };
        assert_eq!(refused_at(0, 0), "kind");
        assert_eq!(refused_at(0, 13), "kind");
        assert_eq!(refused_at(1, 3), "body kind");
        assert_eq!(refused_at(2, 5), "name_len");
        for reserved in [3, 6, 7] {
            assert_eq!(refused_at(reserved, 1), "envelope");
        }
        assert_eq!(refused_at(16, 0xff), "name");
        assert_eq!(Envelope::parse(&good[..15]).expect_err("short").at, "envelope");
        // A body where none is announced.
        let mut bad = good.clone();
        bad[1] = 0;
        bad.push(1);
        assert_eq!(Envelope::parse(&bad).expect_err("body").at, "body kind");
    }

    #[test]
    fn only_an_empty_raw_body_can_be_handed_over() {
        for (body, bytes, good) in [
            (BodyKind::Raw, &b""[..], true),
            (BodyKind::Raw, b"x", false),
            (BodyKind::Structured, b"", false),
            (BodyKind::Empty, b"", false),
        ] {
            let wire = frame(&Head::new(Kind::Event, body, 0, "tick"), bytes);
            let read = Envelope::parse(&wire).expect("well formed").with_body(b"pages");
            assert_eq!(read.is_ok_and(|read| read.body == b"pages"), good, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn every_head_survives_the_wire(
            kind in 1u8..=12, body in 1u8..=2, id: u64, name in "\\PC{0,60}", bytes: Vec<u8>,
            headers in proptest::collection::vec("\\PC{0,20}", 0..4)
        ) {
            let (kind, body) = (Kind::from_u8(kind), BodyKind::from_u8(body));
            let (kind, body) = (kind.expect("in range"), body.expect("in range"));
            let mut extension = ExtensionBuf::default();
            for header in &headers {
                extension.header("name", header).expect("room");
            }
            let head = Head::new(kind, body, id, &name).extended(extension.as_extension());
            let wire = frame(&head, &bytes);
            let read = Envelope::parse(&wire).expect("our own frame");
            prop_assert_eq!(read.head, head);
            prop_assert_eq!(read.body, &bytes[..]);
            prop_assert_eq!(read.body_offset(), wire.len() - bytes.len());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Envelope::parse(&bytes);
        }
    }
}
