//! What a page posts, taken apart. All of it is checked before any of it is done.
//!
//! The path says what it is, percent-encoded as one part:
//!
//! | path | body |
//! |---|---|
//! | `hello` | the invoke key, and in a second line why no faster hop was taken |
//! | `TOKEN/p` | nothing: a request to be answered when there is something |
//! | `TOKEN/s` | nothing: how many requests with calls have come, and how many responses have gone |
//! | `TOKEN/t` | calls as text: five lines each, as below |
//! | `TOKEN/b` | bodies one after the other, the calls as text, `u32` length of the text |
//! | `TOKEN/r/HEAD` | one body; `HEAD` is the first four lines of its call |
//!
//! A call is `callback \n error \n command \n headers \n arguments`. `headers` is empty or a JSON array
//! of pairs of strings; `arguments` is empty, JSON, or `#` and the length of a body. JSON that
//! JavaScript writes has no line ends. Numbers are little-endian.

use percent_encoding::percent_decode;
use tauri::http::HeaderValue;

use crate::call::{Arguments, BadCall, Call, Request};

/// Calls in one post. A choice: far more than a page gathers.
const MAX_CALLS: usize = 1 << 16;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Hello,
    Poll,
    State,
    Text,
    Bytes,
    Raw(String),
}

/// The path: which page, by its token, and what it asks for.
pub(super) fn read_path(path: &str) -> Result<(String, Asked), &'static str> {
    let path = percent_decode(path.trim_start_matches('/').as_bytes());
    let path = path.decode_utf8().map_err(|_| "a path that is not text")?;
    if path == "hello" {
        return Ok((String::new(), Asked::Hello));
    }
    let (token, rest) = path.split_once('/').ok_or("a path of an unknown kind")?;
    let asked = match rest.split_at_checked(1) {
        Some(("p", "")) => Asked::Poll,
        Some(("s", "")) => Asked::State,
        Some(("t", "")) => Asked::Text,
        Some(("b", "")) => Asked::Bytes,
        Some(("r", head)) => {
            let head = head.strip_prefix('/').ok_or("a path of an unknown kind")?;
            Asked::Raw(head.to_owned())
        }
        _ => return Err("a path of an unknown kind"),
    };
    Ok((token.to_owned(), asked))
}

/// The key and the reason of a hello.
pub(super) fn read_hello(body: &[u8]) -> (&[u8], String) {
    let mut lines = body.splitn(2, |byte| *byte == b'\n');
    let key = lines.next().unwrap_or_default();
    let why = String::from_utf8_lossy(lines.next().unwrap_or_default());
    // It goes into the log.
    (key, why.chars().filter(|c| !c.is_control()).take(160).collect())
}

/// A call, or what is wrong with it.
pub(super) type Read = Result<Request, BadCall>;

/// The calls of a post, in order.
pub(super) fn read_calls(
    asked: &Asked,
    body: Vec<u8>,
    origin: &HeaderValue,
) -> Result<Vec<Read>, &'static str> {
    match asked {
        Asked::Hello | Asked::Poll | Asked::State => Ok(Vec::new()),
        Asked::Text => read_lines(&body, &[], origin),
        Asked::Bytes => {
            let (rest, len) = body.split_last_chunk::<4>().ok_or("a post that is too short")?;
            let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| TOO_LONG)?;
            let at = rest.len().checked_sub(len).ok_or(TOO_LONG)?;
            let (bodies, text) = rest.split_at(at);
            read_lines(text, bodies, origin)
        }
        Asked::Raw(head) => {
            let mut lines = head.as_bytes().splitn(4, |byte| *byte == b'\n');
            let mut call = read_head(&mut lines)?;
            call.arguments = Arguments::Raw(&[]);
            Ok(vec![Request::read(&call, origin, |_| body)])
        }
    }
}

const TOO_LONG: &str = "a length beyond the post";

fn read_lines(
    text: &[u8],
    mut bodies: &[u8],
    origin: &HeaderValue,
) -> Result<Vec<Read>, &'static str> {
    let mut lines = text.split(|byte| *byte == b'\n').peekable();
    let mut calls = Vec::new();
    while lines.peek().is_some() {
        if calls.len() == MAX_CALLS {
            return Err("a post with too many calls");
        }
        let mut call = read_head(&mut lines)?;
        let arguments = lines.next().ok_or(TOO_FEW)?;
        call.arguments = match arguments.strip_prefix(b"#") {
            None => Arguments::Json(arguments),
            Some(len) => {
                let len = number(len).ok().and_then(|len| usize::try_from(len).ok());
                let (body, rest) =
                    len.and_then(|len| bodies.split_at_checked(len)).ok_or(TOO_LONG)?;
                bodies = rest;
                Arguments::Raw(body)
            }
        };
        calls.push(Request::read(&call, origin, <[u8]>::to_vec));
    }
    if bodies.is_empty() { Ok(calls) } else { Err("a body without a call") }
}

const TOO_FEW: &str = "a call with too few lines";

fn read_head<'a>(lines: &mut impl Iterator<Item = &'a [u8]>) -> Result<Call<'a>, &'static str> {
    let mut line = || lines.next().ok_or(TOO_FEW);
    let text = |line| std::str::from_utf8(line).map_err(|_| "a call that is not text");
    Ok(Call {
        callback: number(line()?)?,
        error: number(line()?)?,
        command: text(line()?)?,
        headers: text(line()?)?,
        arguments: Arguments::Json(&[]),
    })
}

fn number(line: &[u8]) -> Result<u32, &'static str> {
    let digits = std::str::from_utf8(line).ok().filter(|_| line.iter().all(u8::is_ascii_digit));
    digits.and_then(|digits| digits.parse().ok()).ok_or("a call with a bad number")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use tauri::ipc::InvokeBody;

    use super::*;

    const ORIGIN: HeaderValue = HeaderValue::from_static("tauri://localhost");

    fn read(asked: Asked, body: &[u8]) -> Result<Vec<Read>, &'static str> {
        read_calls(&asked, body.to_vec(), &ORIGIN)
    }

    fn framed(bodies: &[u8], text: &[u8]) -> Vec<u8> {
        let len = u32::try_from(text.len()).unwrap().to_le_bytes();
        [bodies, text, &len].concat()
    }

    #[test]
    fn a_path_names_a_page_and_what_it_asks_for() {
        let read = |path| read_path(path).unwrap();
        assert_eq!(read("/hello"), (String::new(), Asked::Hello));
        assert_eq!(read("/ab%2Fp"), ("ab".into(), Asked::Poll));
        assert_eq!(read("/ab%2Ft"), ("ab".into(), Asked::Text));
        assert_eq!(read("/ab%2Fb"), ("ab".into(), Asked::Bytes));
        assert_eq!(
            read("/ab%2Fr%2F1%0A2%0Ax%2Fy%0A"),
            ("ab".into(), Asked::Raw("1\n2\nx/y\n".into()))
        );
        for bad in ["", "/", "/ab", "/ab/", "/ab/x", "/ab/tt", "/ab/r", "/%ff/t", "/ab/é"] {
            assert!(read_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_calls_of_a_post_are_read_in_order() {
        let text = b"1\n2\nfirst\n\n{\"a\":1}\n3\n4\nplugin:a|b\n[[\"x\",\"y\"]]\n";
        let calls = read(Asked::Text, text).unwrap();
        let [Ok(first), Ok(second)] = &calls[..] else { panic!("not two calls") };
        assert_eq!((first.callback, first.error, first.command.as_str()), (1, 2, "first"));
        assert!(matches!(&first.body, InvokeBody::Json(value) if value["a"] == 1));
        assert_eq!(second.command, "plugin:a|b");
        assert_eq!(second.headers["x"], "y");
        assert!(matches!(&second.body, InvokeBody::Json(value) if value == &serde_json::json!({})));
        assert_eq!(second.headers["origin"], "tauri://localhost");
    }

    #[test]
    fn bodies_find_their_calls() {
        let post = framed(b"abcde", b"1\n2\nx\n\n#2\n3\n4\ny\n\ntrue\n5\n6\nz\n\n#3");
        let calls = read(Asked::Bytes, &post).unwrap();
        let bodies: Vec<_> = calls.iter().map(|call| &call.as_ref().ok().unwrap().body).collect();
        assert!(matches!(bodies[0], InvokeBody::Raw(bytes) if bytes == b"ab"));
        assert!(matches!(bodies[1], InvokeBody::Json(value) if value == true));
        assert!(matches!(bodies[2], InvokeBody::Raw(bytes) if bytes == b"cde"));
        let calls = read(Asked::Raw("1\n2\nx\n".into()), b"#\n\xff").unwrap();
        let [Ok(call)] = &calls[..] else { panic!("not one call") };
        assert!(matches!(&call.body, InvokeBody::Raw(bytes) if bytes == b"#\n\xff"));
    }

    #[test]
    fn arguments_that_are_no_json_cost_their_own_call_only() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        let text = format!("1\n2\na\n\nnonsense\n3\n4\nb\n\n{deep}\n5\n6\nc\n\n1");
        let calls = read(Asked::Text, text.as_bytes()).unwrap();
        let found: Vec<_> = calls.iter().map(Result::is_ok).collect();
        assert_eq!(found, [false, false, true]);
    }

    #[test]
    fn what_is_no_post_is_refused_as_a_whole() {
        let bad: [&[u8]; 9] = [
            b"",
            b"\n",
            b"1\n2\na\n",
            b"1\n2\na\n\n1\n",
            b"-1\n2\na\n\n1",
            b"+1\n2\na\n\n1",
            b"4294967296\n2\na\n\n1",
            b"1\n2\n\xff\n\n1",
            b"1\n2\na\n\n#0\n3",
        ];
        for text in bad {
            assert!(read(Asked::Text, text).is_err(), "{text:?}");
            assert!(read(Asked::Bytes, &framed(b"", text)).is_err(), "{text:?}");
        }
        assert!(read(Asked::Bytes, b"abc").is_err());
        assert!(read(Asked::Bytes, b"\xff\xff\xff\xff").is_err());
        assert!(read(Asked::Bytes, &framed(b"ab", b"1\n2\na\n\n#3")).is_err());
        assert!(read(Asked::Bytes, &framed(b"abc", b"1\n2\na\n\n#2")).is_err());
        assert!(read(Asked::Raw("1\n2".into()), b"").is_err());
        let many = "1\n2\na\n\n1\n".repeat(MAX_CALLS + 1);
        assert!(read(Asked::Text, many.trim_end().as_bytes()).is_err());
    }

    #[test]
    fn no_bytes_make_the_core_panic() {
        // A simple generator: the same bytes each time.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..100_000 {
            let len = usize::try_from(next() % 40).unwrap();
            let mut body: Vec<u8> = (0..len).map(|_| next().to_le_bytes()[0]).collect();
            if next() % 2 == 0 {
                body.iter_mut()
                    .for_each(|byte| *byte = b"0123#\n\n\n\n\0"[usize::from(*byte) % 10]);
            }
            let path = String::from_utf8_lossy(&body).into_owned();
            let _ = read_path(&path);
            let _ = read_hello(&body);
            for asked in [Asked::Text, Asked::Bytes, Asked::Raw(path)] {
                let _ = read(asked, &body);
            }
        }
    }

    #[test]
    fn a_reason_for_the_log_is_short_and_one_line() {
        let (key, why) = read_hello(b"key%#/\nno functions\n\x1b[31m");
        assert_eq!((key, why.as_str()), (&b"key%#/"[..], "no functions[31m"));
        assert_eq!(read_hello(&[b'a'; 9000]).1, "");
        assert_eq!(read_hello(&[&b"k\n"[..], &[b'a'; 9000]].concat()).1.len(), 160);
    }
}
