//! A guard for the suite `guard`: what it does with which message.

use tramline::guard::{GuardKind, GuardMessage, Toward, Verdict};

use crate::commands::ON_PURPOSE;

/// Lets pass what the commands of [`acl`](crate::acl) are asked in a good manner.
///
/// # Panics
///
/// For calls of `wipe_async`, on purpose.
#[must_use]
pub fn judge(message: &GuardMessage<'_>) -> Verdict {
    let json = message.json().unwrap_or_default();
    match (message.kind(), message.name()) {
        (GuardKind::Invoke, "wipe") => Verdict::refuse("nothing is wiped here"),
        (GuardKind::Invoke, "wipe_async") => panic!("{ON_PURPOSE} by the guard"),
        (GuardKind::Invoke, "greet") if json == r#"{"name":"old"}"# => {
            Verdict::rewrite(r#"{"name":"new"}"#)
        }
        (GuardKind::Invoke, "greet") if json == r#"{"name":"broken"}"# => Verdict::rewrite("{"),
        (GuardKind::Invoke, _) if message.headers().any(|header| header == ("evil", "yes")) => {
            Verdict::refuse("no such headers")
        }
        (GuardKind::Invoke, _) if message.label() == Some("nobody") => {
            Verdict::refuse("nobody may call")
        }
        (GuardKind::Answer, "greet") if json == r#""hello secret""# => {
            Verdict::rewrite(r#""hello nobody""#)
        }
        (GuardKind::Answer, "greet") if json == r#""hello password""# => {
            Verdict::refuse("this stays here")
        }
        (GuardKind::Failure, "read") if message.code() == Some("command-failed") => {
            Verdict::rewrite(r#"{"because":"of the guard"}"#)
        }
        (GuardKind::Event, "up") if json == r#""stop""# => Verdict::refuse("stopped"),
        (GuardKind::Event, "news") if message.toward() == Toward::Client => {
            Verdict::rewrite(r#""old news""#)
        }
        (GuardKind::Listen, "secrets") => Verdict::refuse("nobody listens to these"),
        _ => Verdict::Allow,
    }
}
