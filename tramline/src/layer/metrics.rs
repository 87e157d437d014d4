//! Counters and histograms of what passes.

use metrics::{counter, histogram};
use tramline_core::error::codes;

use super::{Layer, Outcome, Passed, Passing, Way};

/// A layer that counts what passes, for whatever recorder the program has installed with the crate
/// `metrics`.
///
/// | Name | Kind, unit | Labels |
/// |---|---|---|
/// | `tramline_calls_total` | counter | `side`, `command`, `code` |
/// | `tramline_call_duration_seconds` | histogram, seconds | `side`, `command` |
/// | `tramline_events_total` | counter | `way`: `emit` or `deliver` |
/// | `tramline_channel_messages_total` | counter | |
/// | `tramline_drops_total` | counter: events and channel messages that did not go | `way`, `code` |
/// | `tramline_received_bytes_total` | counter: bodies and attachments | `way`: `handle` or `deliver` |
///
/// `side` is `server` or `client`. Every label has a bounded set of values: `command` is a name that
/// the server has registered, and absent on a client, which may ask for anything; `code` is a code of
/// `docs/ERRORS.md`, `ok`, or `other` for one that a peer made up. Events have no name here, for a
/// peer chooses the names it emits. Put it outermost, and it counts what the layers behind it refuse.
///
/// Each message allocates for its labels.
///
/// # Examples
///
/// ```
/// use tramline::Server;
/// use tramline::layer::Metrics;
///
/// let server = Server::new().layer(Metrics);
/// # let _ = server;
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Metrics;

impl Layer for Metrics {
    fn pass(&self, message: &mut Passing<'_>) -> Passed {
        let received = |way| {
            let len = message.len().unwrap_or_default() as u64;
            counter!("tramline_received_bytes_total", "way" => way).increment(len);
        };
        Ok(Some(match message.way() {
            Way::Invoke => Box::new(|outcome: &Outcome<'_>| {
                let (side, code) = ("client", bounded(outcome.code));
                counter!("tramline_calls_total", "side" => side, "code" => code).increment(1);
                histogram!("tramline_call_duration_seconds", "side" => side).record(outcome.took);
            }) as _,
            Way::Handle => {
                received("handle");
                let name = message.name().to_owned();
                Box::new(move |outcome: &Outcome<'_>| {
                    let (side, code) = ("server", bounded(outcome.code));
                    histogram!(
                        "tramline_call_duration_seconds",
                        "side" => side, "command" => name.clone()
                    )
                    .record(outcome.took);
                    counter!(
                        "tramline_calls_total", "side" => side, "command" => name, "code" => code
                    )
                    .increment(1);
                }) as _
            }
            Way::Deliver => {
                received("deliver");
                Box::new(|outcome: &Outcome<'_>| event("deliver", outcome)) as _
            }
            Way::Emit => Box::new(|outcome: &Outcome<'_>| event("emit", outcome)) as _,
            Way::Send => Box::new(|outcome: &Outcome<'_>| {
                match outcome.code {
                    None => counter!("tramline_channel_messages_total").increment(1),
                    Some(_) => dropped("send", outcome),
                };
            }) as _,
        }))
    }
}

fn event(way: &'static str, outcome: &Outcome<'_>) {
    match outcome.code {
        None => counter!("tramline_events_total", "way" => way).increment(1),
        Some(_) => dropped(way, outcome),
    }
}

fn dropped(way: &'static str, outcome: &Outcome<'_>) {
    let code = bounded(outcome.code);
    counter!("tramline_drops_total", "way" => way, "code" => code).increment(1);
}

/// The code as one of a fixed set.
fn bounded(code: Option<&str>) -> &'static str {
    let Some(code) = code else { return "ok" };
    CODES.into_iter().find(|known| *known == code).unwrap_or("other")
}

/// Every code that a call, an event or a channel's message can end with.
const CODES: [&str; 26] = [
    codes::UNKNOWN_COMMAND,
    codes::DENIED,
    codes::OVER_QUOTA,
    codes::BAD_ARGUMENTS,
    codes::COMMAND_FAILED,
    codes::HANDLER_PANICKED,
    codes::HANDLER_DROPPED,
    codes::RESULT_NOT_ENCODABLE,
    codes::RESULT_TOO_LARGE,
    codes::TOO_MANY_CHANNELS,
    "cancelled",
    "deadline-passed",
    "link-full",
    "message-too-large",
    "encode-failed",
    "decode-failed",
    "channel-closed",
    "link-closed",
    "peer-died",
    "peer-fault",
    "peer-stalled",
    "os-error",
    "bad-event-name",
    "bad-command-name",
    "limit-out-of-range",
    "other",
];
