//! The messages. Numbers are little-endian.
//!
//! Page to core, the kind is the last byte:
//!
//! | kind | fields |
//! |---|---|
//! | 1 HELLO | `u32` version, 8 bytes to be sent back, the invoke key |
//! | 2 INVOKE | `callback \n error \n command \n headers \n arguments`, as text |
//! | 3 INVOKE_RAW | the body, `callback \n error \n command \n headers`, `u32` length of the text |
//!
//! `headers` is empty or a JSON array of pairs of strings, `arguments` is empty or JSON. A body comes
//! first, for it is then where it may stay.
//!
//! Core to page, the kind is the first byte:
//!
//! | kind | fields |
//! |---|---|
//! | 1 WELCOME | the 8 bytes of HELLO |
//! | 2 OK | `u32` callback, `u32` error, JSON |
//! | 3 OK_RAW | `u32` callback, `u32` error, the body |
//! | 4 ERR | `u32` callback, `u32` error, JSON |
//! | 5 CHANNEL | `u32` callback, `u64` index, JSON |
//! | 6 CHANNEL_RAW | `u32` callback, `u64` index, the body |
//! | 7 EVENT | `u32` handler, `u32` id, `u16` length of the name, name, JSON |
//! | 8 LISTENED | `u32` callback, `u32` error, `u32` id, `u32` handler |
//! | 9 PART | `u32` length of a whole body, some of its bytes |
//!
//! A body longer than [`PART_LEN`] comes in parts, so that the page can take the first ones while the
//! core writes the others. They are in order, nothing else is between them, and the OK_RAW or
//! CHANNEL_RAW behind them has the rest.

/// Bytes of a body that go in one message to the page. A choice: the copies that the page makes of
/// it stay in a processor's cache.
pub const PART_LEN: usize = 128 << 10;

/// A message of the page.
#[derive(Debug, PartialEq, Eq)]
pub enum FromPage<'a> {
    /// The first one.
    Hello {
        /// What the page's side was built as.
        version: u32,
        /// To be sent back.
        probe: [u8; 8],
        /// The invoke key that Tauri gave to the page's script.
        key: &'a [u8],
    },
    /// A call.
    Invoke(Call<'a>),
}

/// A call of a command.
#[derive(Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// The page's function for the result.
    pub callback: u32,
    /// The page's function for the error.
    pub error: u32,
    /// `command` or `plugin:name|command`.
    pub command: &'a str,
    /// Empty, or a JSON array of pairs of strings.
    pub headers: &'a str,
    /// What is called with.
    pub arguments: Arguments<'a>,
}

/// What a command is called with.
#[derive(Debug, PartialEq, Eq)]
pub enum Arguments<'a> {
    /// JSON, or empty for none.
    Json(&'a [u8]),
    /// Bytes.
    Raw(&'a [u8]),
}

/// Kinds from the page.
pub mod from_page {
    /// [`FromPage::Hello`](super::FromPage::Hello).
    pub const HELLO: u8 = 1;
    /// A call with JSON.
    pub const INVOKE: u8 = 2;
    /// A call with bytes.
    pub const INVOKE_RAW: u8 = 3;
}

/// Kinds to the page.
pub mod to_page {
    /// The first one.
    pub const WELCOME: u8 = 1;
    /// A result.
    pub const OK: u8 = 2;
    /// A result of bytes.
    pub const OK_RAW: u8 = 3;
    /// An error.
    pub const ERR: u8 = 4;
    /// A channel's message.
    pub const CHANNEL: u8 = 5;
    /// A channel's message of bytes.
    pub const CHANNEL_RAW: u8 = 6;
    /// An event.
    pub const EVENT: u8 = 7;
    /// The answer to a listen that the ring serves.
    pub const LISTENED: u8 = 8;
    /// Some of a body that is too long for one message.
    pub const PART: u8 = 9;
}

/// Reads a message of the page. The bytes must be private: they are read more than once.
///
/// # Errors
///
/// What is wrong with it, in words for the log.
pub fn parse_from_page(frame: &[u8]) -> Result<FromPage<'_>, &'static str> {
    let (&kind, rest) = frame.split_last().ok_or("an empty message")?;
    match kind {
        from_page::HELLO => {
            let (version, rest) = take_u32(rest).ok_or("a hello that is too short")?;
            let (probe, key) = rest.split_first_chunk::<8>().ok_or("a hello that is too short")?;
            Ok(FromPage::Hello { version, probe: *probe, key })
        }
        from_page::INVOKE => {
            let mut fields = rest.splitn(5, |byte| *byte == b'\n');
            let mut call = call_head(&mut fields)?;
            call.arguments = Arguments::Json(fields.next().ok_or("a call without arguments")?);
            Ok(FromPage::Invoke(call))
        }
        from_page::INVOKE_RAW => {
            const SHORT: &str = "a call that is too short";
            let (rest, len) = rest.split_last_chunk::<4>().ok_or(SHORT)?;
            let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| SHORT)?;
            let body_len = rest.len().checked_sub(len).ok_or(SHORT)?;
            let (body, head) = rest.split_at(body_len);
            let mut fields = head.splitn(4, |byte| *byte == b'\n');
            let mut call = call_head(&mut fields)?;
            call.arguments = Arguments::Raw(body);
            Ok(FromPage::Invoke(call))
        }
        _ => Err("a message of an unknown kind"),
    }
}

fn call_head<'a>(fields: &mut impl Iterator<Item = &'a [u8]>) -> Result<Call<'a>, &'static str> {
    let mut text = || {
        let field = fields.next().ok_or("a call with too few fields")?;
        std::str::from_utf8(field).map_err(|_| "a call that is not text")
    };
    let number = |field: &str| field.parse::<u32>().map_err(|_| "a call with a bad callback");
    Ok(Call {
        callback: number(text()?)?,
        error: number(text()?)?,
        command: text()?,
        headers: text()?,
        arguments: Arguments::Raw(&[]),
    })
}

fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*word), rest))
}

/// What stands before the body of a message to the page.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    bytes: [u8; Self::MAX_LEN],
    len: usize,
}

impl Head {
    /// The longest is LISTENED.
    pub(crate) const MAX_LEN: usize = 1 + 4 * 4;

    fn new(kind: u8) -> Self {
        let mut bytes = [0; Self::MAX_LEN];
        bytes[0] = kind;
        Self { bytes, len: 1 }
    }

    fn with<const N: usize>(mut self, field: [u8; N]) -> Self {
        self.bytes[self.len..self.len + N].copy_from_slice(&field);
        self.len += N;
        self
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// WELCOME; the probe is the body.
    #[must_use]
    pub fn welcome() -> Self {
        Self::new(to_page::WELCOME)
    }

    /// OK, OK_RAW or ERR.
    #[must_use]
    pub fn answer(kind: u8, callback: u32, error: u32) -> Self {
        Self::new(kind).with(callback.to_le_bytes()).with(error.to_le_bytes())
    }

    /// CHANNEL or CHANNEL_RAW.
    #[must_use]
    pub fn channel(kind: u8, callback: u32, index: usize) -> Self {
        Self::new(kind).with(callback.to_le_bytes()).with((index as u64).to_le_bytes())
    }

    /// PART of a body of `len` bytes in all. None if that is more than a message may have.
    pub(crate) fn part(len: usize) -> Option<Self> {
        Some(Self::new(to_page::PART).with(u32::try_from(len).ok()?.to_le_bytes()))
    }

    /// EVENT, with a name of `name_len` bytes, which begins the body. None if that is too long.
    #[must_use]
    pub fn event(handler: u32, id: u32, name_len: usize) -> Option<Self> {
        let name_len = u16::try_from(name_len).ok()?;
        let head = Self::new(to_page::EVENT).with(handler.to_le_bytes()).with(id.to_le_bytes());
        Some(head.with(name_len.to_le_bytes()))
    }

    /// LISTENED, without a body.
    #[must_use]
    pub fn listened(callback: u32, error: u32, id: u32, handler: u32) -> Self {
        Self::answer(to_page::LISTENED, callback, error)
            .with(id.to_le_bytes())
            .with(handler.to_le_bytes())
    }
}

/// What a message of the core is to the page: values of a JSON array, and perhaps bytes beside it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Item<'a> {
    /// Bytes that go beside the text: where they are found is for the caller to append.
    pub raw: Option<&'a [u8]>,
    /// The call that it answers: the functions for the result and for the error.
    pub answers: Option<(u32, u32)>,
}

/// Appends a message of the core to `text` as values of a JSON array, separated by commas: the kind,
/// then
///
/// | kind | values |
/// |---|---|
/// | WELCOME | |
/// | OK | callback, JSON |
/// | OK_RAW | callback |
/// | ERR | error, JSON |
/// | CHANNEL | callback, index, JSON |
/// | CHANNEL_RAW | callback, index |
/// | EVENT | handler, id, name, JSON |
/// | LISTENED | callback, id, handler |
///
/// # Errors
///
/// What is wrong with it. `text` may then hold a part.
pub fn append_item<'a>(frame: &'a [u8], text: &mut Vec<u8>) -> Result<Item<'a>, &'static str> {
    const SHORT: &str = "a message of the core that is too short";
    let (&kind, rest) = frame.split_first().ok_or(SHORT)?;
    let mut digits = itoa::Buffer::new();
    text.extend_from_slice(digits.format(kind).as_bytes());
    let mut number = |text: &mut Vec<u8>, value: u64| {
        text.push(b',');
        text.extend_from_slice(digits.format(value).as_bytes());
    };
    let json = |text: &mut Vec<u8>, json: &[u8]| {
        text.push(b',');
        text.extend_from_slice(json);
    };
    let two = |rest: &'a [u8]| {
        let (first, rest) = take_u32(rest).ok_or(SHORT)?;
        let (second, rest) = take_u32(rest).ok_or(SHORT)?;
        Ok::<_, &'static str>((first, second, rest))
    };
    let mut item = Item::default();
    match kind {
        to_page::WELCOME => {}
        to_page::OK | to_page::ERR => {
            let (callback, error, body) = two(rest)?;
            number(text, if kind == to_page::OK { callback } else { error }.into());
            json(text, body);
            item.answers = Some((callback, error));
        }
        to_page::OK_RAW => {
            let (callback, error, body) = two(rest)?;
            number(text, callback.into());
            item = Item { raw: Some(body), answers: Some((callback, error)) };
        }
        to_page::CHANNEL | to_page::CHANNEL_RAW => {
            let (callback, rest) = take_u32(rest).ok_or(SHORT)?;
            let (index, body) = rest.split_first_chunk::<8>().ok_or(SHORT)?;
            number(text, callback.into());
            number(text, u64::from_le_bytes(*index));
            if kind == to_page::CHANNEL {
                json(text, body);
            } else {
                item.raw = Some(body);
            }
        }
        to_page::EVENT => {
            let (handler, id, rest) = two(rest)?;
            let (len, rest) = rest.split_first_chunk::<2>().ok_or(SHORT)?;
            let len = usize::from(u16::from_le_bytes(*len));
            let (name, body) = rest.split_at_checked(len).ok_or(SHORT)?;
            number(text, handler.into());
            number(text, id.into());
            // Tauri takes no event name with a character that JSON would have to escape.
            text.extend_from_slice(b",\"");
            text.extend_from_slice(name);
            text.push(b'"');
            json(text, body);
        }
        to_page::LISTENED => {
            let (callback, error, rest) = two(rest)?;
            let (id, handler, _) = two(rest)?;
            number(text, callback.into());
            number(text, id.into());
            number(text, handler.into());
            item.answers = Some((callback, error));
        }
        _ => return Err("a message of an unknown kind"),
    }
    Ok(item)
}

/// Reads a PART: the length of the whole body, and these bytes of it. None if it is none.
#[must_use]
pub fn part_of(frame: &[u8]) -> Option<(usize, &[u8])> {
    let (len, bytes) = take_u32(frame.strip_prefix(&[to_page::PART])?)?;
    Some((usize::try_from(len).ok()?, bytes))
}

/// The functions for the result and for the error of a call, from the start of its text.
#[must_use]
pub fn functions_of(text: &[u8]) -> Option<(u32, u32)> {
    let mut fields = text.splitn(3, |byte| *byte == b'\n');
    let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse::<u32>().ok();
    Some((number()?, number()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn item(head: Head, body: &[u8]) -> (String, Item<'static>) {
        let frame = [head.as_bytes(), body].concat().leak();
        let mut text = Vec::new();
        let item = append_item(frame, &mut text).unwrap();
        (String::from_utf8(text).unwrap(), item)
    }

    #[test]
    fn a_call_is_read_field_by_field() {
        let frame = b"12\n34\nplugin:a|b\n[[\"x\",\"y\"]]\n{\"a\":\n1}\x02";
        let Ok(FromPage::Invoke(call)) = parse_from_page(frame) else { panic!("no call") };
        assert_eq!((call.callback, call.error, call.command), (12, 34, "plugin:a|b"));
        assert_eq!(call.headers, "[[\"x\",\"y\"]]");
        assert_eq!(call.arguments, Arguments::Json(b"{\"a\":\n1}"));
    }

    #[test]
    fn a_call_with_bytes_is_read_field_by_field() {
        let frame = [&b"\n\xff"[..], b"1\n2\nraw_p\n", b"\x0a\0\0\0\x03"].concat();
        let Ok(FromPage::Invoke(call)) = parse_from_page(&frame) else { panic!("no call") };
        assert_eq!((call.callback, call.error, call.command), (1, 2, "raw_p"));
        assert_eq!(call.arguments, Arguments::Raw(b"\n\xff"));
    }

    #[test]
    fn what_a_page_may_not_send_is_refused_whatever_its_bytes() {
        let bad: [&[u8]; 12] = [
            b"",
            b"\x00",
            b"\x01",
            b"\x01\0\0\0short\x01",
            b"\x02",
            b"1\n2\nc\n\x02",
            b"-1\n2\nc\n\n\x02",
            b"4294967296\n2\nc\n\n\x02",
            b"1\n2\n\xff\n\n\x02",
            b"1\n2\nc\n\xff\xff\xff\xff\x03",
            b"\x02\0\0\0\x03",
            b"1\n2\nc\n\n\xff",
        ];
        for frame in bad {
            assert!(parse_from_page(frame).is_err(), "{frame:?}");
        }
    }

    #[test]
    fn no_bytes_make_either_end_panic() {
        // A simple generator: the same bytes each time.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..200_000 {
            let len = usize::try_from(next() % 40).unwrap();
            let mut frame: Vec<u8> = (0..len).map(|_| next().to_le_bytes()[0]).collect();
            // Mostly digits and ends of lines, to get further.
            if next() % 2 == 0 {
                frame
                    .iter_mut()
                    .for_each(|byte| *byte = b"0123456789\n\n\n"[usize::from(*byte) % 13]);
            }
            // The kind stands at the one end or the other.
            let kind = next().to_le_bytes()[0] % 10;
            for end in [0, len.saturating_sub(1)] {
                if let Some(byte) = frame.get_mut(end) {
                    *byte = kind;
                }
            }
            let _ = parse_from_page(&frame);
            let _ = append_item(&frame, &mut Vec::new());
            let _ = part_of(&frame);
            let _ = functions_of(&frame);
        }
    }

    #[test]
    fn messages_of_the_core_become_values_of_an_array() {
        assert_eq!(item(Head::welcome(), &[0; 8]).0, "1");
        let (text, found) = item(Head::answer(to_page::OK, 7, 8), b"{\"a\":1}");
        assert_eq!((text.as_str(), found.answers), ("2,7,{\"a\":1}", Some((7, 8))));
        let (text, found) = item(Head::answer(to_page::ERR, 7, 8), b"null");
        assert_eq!((text.as_str(), found.answers), ("4,8,null", Some((7, 8))));
        let (text, found) = item(Head::answer(to_page::OK_RAW, 7, 8), b"abc");
        assert_eq!((text.as_str(), found.raw), ("3,7", Some(&b"abc"[..])));
        let (text, found) = item(Head::channel(to_page::CHANNEL, 7, 1 << 33), b"true");
        assert_eq!((text.as_str(), found.answers), ("5,7,8589934592,true", None));
        let (text, found) = item(Head::channel(to_page::CHANNEL_RAW, 7, 1), b"ab");
        assert_eq!((text.as_str(), found.raw), ("6,7,1", Some(&b"ab"[..])));
        let (text, _) = item(Head::event(1, 2, 4).unwrap(), b"name[1]");
        assert_eq!(text, "7,1,2,\"name\",[1]");
        let (text, found) = item(Head::listened(1, 2, 3, 4), b"");
        assert_eq!((text.as_str(), found.answers), ("8,1,3,4", Some((1, 2))));
    }

    #[test]
    fn a_part_says_how_long_the_whole_is() {
        let frame = [Head::part(1 << 28).unwrap().as_bytes(), b"some"].concat();
        assert_eq!(part_of(&frame), Some((1 << 28, &b"some"[..])));
        assert_eq!(part_of(b"\x09\0\0\0"), None);
        assert_eq!(part_of(b"\x03\0\0\0\0"), None);
        assert!(Head::part(1 << 32).is_none());
    }

    #[test]
    fn a_name_that_is_too_long_makes_no_event() {
        assert!(Head::event(1, 2, 65_536).is_none());
    }

    #[test]
    fn the_functions_of_a_call_are_found_in_its_text() {
        assert_eq!(functions_of(b"1\n4294967295\nrest"), Some((1, u32::MAX)));
        assert_eq!(functions_of(b"1\nx\nrest"), None);
        assert_eq!(functions_of(b""), None);
    }
}
