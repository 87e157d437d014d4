//! The headers that a page gives to a call.

use std::borrow::Cow;

use tauri::http::HeaderMap;

/// What the web engine adds to every call of a page. It says nothing to a command.
const THE_ENGINES: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "access-control-request-headers",
    "access-control-request-method",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "host",
    "origin",
    "pragma",
    "priority",
    "referer",
    "user-agent",
];

/// What such names begin with; Tauri's own hold the invoke key.
const THE_ENGINES_BEGIN: &[&str] = &["sec-", "tauri-"];

/// The page's own ones.
pub(super) fn of_page(headers: &HeaderMap) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let all = headers.iter().map(|(name, value)| (name.as_str(), value));
    all.filter(|(name, _)| {
        !THE_ENGINES.contains(name)
            && !THE_ENGINES_BEGIN.iter().any(|begin| name.starts_with(begin))
    })
    .map(|(name, value)| (name, String::from_utf8_lossy(value.as_bytes())))
}
