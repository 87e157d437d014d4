//! Every cap, with its unit in the name.

use std::collections::{HashMap, HashSet};

use crate::error::ConfigError;

/// Longest command or event name, in bytes. A choice: twice the longest name seen in Tauri apps'
/// permission files would already do; 255 keeps a name in one length byte for other languages.
pub const MAX_NAME_LEN: usize = 255;

/// Largest hello body, in bytes (`docs/WIRE-FORMAT.md` section 4).
pub const MAX_HELLO_LEN: usize = 16 * 1024;

/// Longest label, in bytes: as a name, one length byte for other languages.
pub const MAX_LABEL_LEN: usize = MAX_NAME_LEN;

/// What one connection may subscribe to: pairs of an event name and a target.
pub const MAX_SUBSCRIPTIONS: usize = 4096;

/// Targets as which one connection may listen to the same event. A choice: more than a client has
/// windows, and all of them with the longest labels fit into an extension.
pub const MAX_TARGETS: usize = 64;

/// What one connection may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Largest message accepted or sent, in bytes, envelope included. Each side announces its own;
    /// the smaller one holds. Default 16 MiB.
    pub max_message_len: usize,
    /// Ring capacity per direction in bytes, a power of two, 64 KiB to 64 MiB. Default 1 MiB.
    pub ring_capacity: usize,
    /// How long a sender waits for room before [`SendError::Full`](crate::SendError::Full), in
    /// milliseconds. Default 10 000.
    pub send_timeout_ms: u64,
    /// How long either side may take for the handshake, in milliseconds. Default 2 000.
    pub handshake_timeout_ms: u64,
    /// Bytes of received messages that wait for their listener or handler, per connection.
    /// Above it the link is not read any further. Default 32 MiB.
    pub max_queued_len: usize,
    /// Requests of one connection that may be in a handler at the same time, apart from inline
    /// ones. Above it the link is not read any further; likewise when their messages are more than
    /// `max_queued_len` bytes. Default 1024.
    pub max_calls_in_flight: usize,
    /// What the sending end of a channel may have under way before its reader has read any of it, in
    /// bytes; each message counts 128 bytes more than its body. A reader that does not read costs so
    /// much memory, and one message that may be larger. Default 256 KiB.
    pub channel_window: usize,
    /// Channels of one peer that may be open at the same time; further ones end at once. Default
    /// 128.
    pub max_channels: usize,
    /// Connections a server holds at the same time. Default 256.
    pub max_connections: usize,
    /// Connections of one process that a server holds at the same time, as the system states the
    /// process. Where it does not, and within one process (`mem:`), there is no such limit.
    /// Default 64.
    pub max_connections_per_process: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_len: 16 << 20,
            ring_capacity: 1 << 20,
            send_timeout_ms: 10_000,
            handshake_timeout_ms: 2_000,
            max_queued_len: 32 << 20,
            max_calls_in_flight: 1024,
            channel_window: 256 << 10,
            max_channels: 128,
            max_connections: 256,
            max_connections_per_process: 64,
        }
    }
}

impl Limits {
    /// Checks every range.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Limit`] names the first limit out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let in_range = |what, found: u64, min, max| {
            if (min..=max).contains(&found) {
                Ok(())
            } else {
                Err(ConfigError::Limit { what, found, min, max })
            }
        };
        // The upper end keeps `offset + len` far away from overflow on every host.
        in_range("max_message_len (bytes)", self.max_message_len as u64, 1024, 1 << 30)?;
        in_range("ring_capacity (bytes)", self.ring_capacity as u64, 1 << 16, 1 << 26)?;
        if !self.ring_capacity.is_power_of_two() {
            return Err(ConfigError::Limit {
                what: "ring_capacity (bytes, a power of two)",
                found: self.ring_capacity as u64,
                min: 1 << 16,
                max: 1 << 26,
            });
        }
        in_range("send_timeout_ms", self.send_timeout_ms, 0, 3_600_000)?;
        in_range("handshake_timeout_ms", self.handshake_timeout_ms, 1, 600_000)?;
        in_range("max_queued_len (bytes)", self.max_queued_len as u64, 1024, 1 << 34)?;
        in_range("max_calls_in_flight", self.max_calls_in_flight as u64, 1, 1 << 20)?;
        in_range("channel_window (bytes)", self.channel_window as u64, 1024, 1 << 30)?;
        in_range("max_channels", self.max_channels as u64, 0, 1 << 20)?;
        in_range("max_connections", self.max_connections as u64, 1, 1 << 16)?;
        let per_process = self.max_connections_per_process as u64;
        in_range("max_connections_per_process", per_process, 1, 1 << 16)
    }
}

/// Things by command or event name. The hash is quick on short names and seeded at random, for peers
/// choose names, too.
pub(crate) type NameMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
/// Names.
pub type NameSet = HashSet<Box<str>, foldhash::fast::RandomState>;

/// Checks an event name by Tauri's rule: Unicode alphanumeric or `-` `/` `:` `_`.
///
/// # Errors
///
/// [`ConfigError::EventName`] with the name.
pub fn check_event_name(name: &str) -> Result<(), ConfigError> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '/' | ':' | '_');
    if name.len() <= MAX_NAME_LEN && name.chars().all(allowed) {
        Ok(())
    } else {
        Err(ConfigError::EventName { name: name.into(), max: MAX_NAME_LEN })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_names_follow_tauri() {
        for good in ["", "a", "a-b/c:d_e", "größe", "日本"] {
            assert_eq!(check_event_name(good), Ok(()), "{good}");
        }
        for bad in ["a b", "a.b", "a\n", "é!", &"x".repeat(MAX_NAME_LEN + 1)] {
            assert_eq!(
                check_event_name(bad),
                Err(ConfigError::EventName { name: bad.into(), max: MAX_NAME_LEN })
            );
        }
    }

    #[test]
    fn bad_event_name_text_equals_tauri() {
        let text = |name: &str| check_event_name(name).expect_err(name).to_string();
        assert_eq!(
            text("some\r name"),
            "only alphanumeric, '-', '/', ':', '_' permitted for event names: \"some\\r name\""
        );
        assert_eq!(text(&"x".repeat(256)), "event name is 256 bytes, the limit is 255");
    }

    #[test]
    fn a_limit_out_of_range_is_named() {
        let limits = Limits { ring_capacity: 100_000, ..Limits::default() };
        assert!(matches!(
            limits.check(),
            Err(ConfigError::Limit { what: "ring_capacity (bytes, a power of two)", .. })
        ));
        assert_eq!(Limits::default().check(), Ok(()));
    }
}
