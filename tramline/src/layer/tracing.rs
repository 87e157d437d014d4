//! Spans around calls, and the header by which they know each other across processes.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

use tracing::dispatcher::get_default;
use tracing::field::{Empty, display};
use tracing::subscriber::NoSubscriber;
use tracing::{Span, info_span};

use super::{Layer, Outcome, Passage, Passed, Passing, Way};

/// The header's name: <https://www.w3.org/TR/trace-context/>.
const TRACEPARENT: &str = "traceparent";

/// A layer that opens a span around each call: `tramline.invoke` at the caller, `tramline.handle`
/// around the command. Both are of level `INFO`.
///
/// A call from within the span carries its trace as a W3C `traceparent` header, so that the spans of
/// one request in all processes bear the same `trace_id`. A command that calls on, on its own
/// thread or task, continues the trace of its caller. A `traceparent` header that is there already,
/// from another tracing library, is kept and continued. What a peer sends under that name and is no
/// trace is ignored.
///
/// | Field | |
/// |---|---|
/// | `command`, `peer` | the name; the peer's label |
/// | `trace_id`, `span_id` | in lower-case hexadecimal |
/// | `parent_id` | the span that this one belongs to, often of another process |
/// | `code` | the error's fixed code, `ok` if there is none |
///
/// Without a subscriber that wants the span nothing is sent, and nothing is made.
///
/// # Examples
///
/// ```
/// use tramline::layer::Tracing;
/// use tramline::{Client, Server};
///
/// let server = Server::new().layer(Tracing).start("mem:tracing-doc")?;
/// let client = Client::connect("mem:tracing-doc").layer(Tracing).wait()?;
/// # drop(client);
/// # server.stop();
/// # Ok::<(), tramline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Tracing;

impl Layer for Tracing {
    fn pass(&self, message: &mut Passing<'_>) -> Passed {
        // A span that was enabled by another thread's subscriber is made on this one, too.
        if get_default(|subscriber| subscriber.is::<NoSubscriber>()) {
            return Ok(None);
        }
        let (command, peer) = (message.name(), message.peer().label().unwrap_or_default());
        let span = match message.way() {
            Way::Invoke => info_span!(
                "tramline.invoke",
                command,
                peer,
                trace_id = Empty,
                span_id = Empty,
                parent_id = Empty,
                code = Empty
            ),
            Way::Handle => info_span!(
                "tramline.handle",
                command,
                peer,
                trace_id = Empty,
                span_id = Empty,
                parent_id = Empty,
                code = Empty
            ),
            _ => return Ok(None),
        };
        if span.is_disabled() {
            return Ok(None);
        }
        let calls = message.way() == Way::Invoke;
        let given = message.header(TRACEPARENT).and_then(Context::parse);
        let parent = given.or_else(|| CURRENT.get().filter(|_| calls));
        let context = parent.map_or_else(Context::new, Context::child);
        // One that another library has set is for the other side, too.
        if calls && message.header(TRACEPARENT).is_none() {
            message.add_header(TRACEPARENT, &context.to_string());
        }
        span.record("trace_id", display(format_args!("{:032x}", context.trace)));
        span.record("span_id", display(format_args!("{:016x}", context.span)));
        if let Some(parent) = parent {
            span.record("parent_id", display(format_args!("{:016x}", parent.span)));
        }
        Ok(Some(Box::new(Traced { span, context })))
    }
}

struct Traced {
    span: Span,
    context: Context,
}

impl Passage for Traced {
    fn within(&mut self, work: &mut dyn FnMut()) {
        let _current = Entered(CURRENT.replace(Some(self.context)));
        self.span.in_scope(work);
    }

    fn end(self: Box<Self>, outcome: &Outcome<'_>) {
        self.span.record("code", outcome.code.unwrap_or("ok"));
    }
}

thread_local! {
    /// Of the command that runs on this thread.
    static CURRENT: Cell<Option<Context>> = const { Cell::new(None) };
}

/// Puts back what was current, also behind a panic.
struct Entered(Option<Context>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// A span's place in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Context {
    /// Never 0, nor is the next.
    trace: u128,
    span: u64,
    flags: u8,
}

impl Context {
    /// The first span of a trace that is recorded.
    fn new() -> Self {
        let trace = (u128::from(random()) << 64) | u128::from(random());
        Self { trace, span: random(), flags: 1 }
    }

    fn child(self) -> Self {
        Self { span: random(), ..self }
    }

    /// `00-<trace>-<span>-<flags>`; later versions may go on behind a dash.
    fn parse(header: &str) -> Option<Self> {
        let hex = |at: std::ops::Range<usize>| {
            let digits = header.get(at)?;
            let good = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
            digits.bytes().all(good).then(|| u128::from_str_radix(digits, 16).ok())?
        };
        let dash = |at: usize| header.as_bytes().get(at) == Some(&b'-');
        let version = hex(0..2)?;
        let ends = header.len() == 55 || (version != 0 && dash(55));
        if version == 0xff || !ends || !(dash(2) && dash(35) && dash(52)) {
            return None;
        }
        let (trace, span) = (hex(3..35)?, u64::try_from(hex(36..52)?).ok()?);
        let flags = u8::try_from(hex(53..55)?).ok()?;
        (trace != 0 && span != 0).then_some(Self { trace, span, flags })
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

/// A number that no other span has; nobody's secret. The standard library's keys differ from thread
/// to thread and from call to call.
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_as_it_was_written() {
        let context = Context::new();
        assert_eq!(Context::parse(&context.to_string()), Some(context));
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let read = Context::parse(text).expect("the example of the specification");
        assert_eq!(read.to_string(), text);
        assert!(Context::parse(&format!("cc{}-what comes later", &text[2..])).is_some());
        let child = read.child();
        assert!(child.trace == read.trace && child.span != read.span);
    }

    #[test]
    fn what_is_no_trace_is_ignored() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let zeros = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        let no_span = "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01";
        let sign = "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let wide = "00-0af7651916cd43dd8448eb211c80319é-b7ad6b7169203331-01";
        let wrong = [
            "",
            "00",
            &good[..54],
            &good.to_uppercase(),
            &good.replacen("00", "ff", 1),
            &good.replace('-', "_"),
            &format!("{good}-"),
            &format!("cc{}x", &good[2..]),
            zeros,
            no_span,
            sign,
            wide,
        ];
        for header in wrong {
            assert_eq!(Context::parse(header), None, "{header}");
        }
    }
}
