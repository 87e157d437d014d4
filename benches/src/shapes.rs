//! The values that are sent and encoded.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Payload lengths of `invoke` and `event`, in bytes.
pub const PAYLOAD_LENS: [usize; 5] = [0, 64, 1 << 10, 64 << 10, 1 << 20];

/// Rows of [`table`].
const ROWS: u64 = 1000;

/// A payload with its number, borrowed: arguments of `echo`, payload of events.
///
/// Bytes are bytes where the codec has them (MessagePack), an array of numbers where it has not
/// (JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRef<'a> {
    /// Number of the call or event.
    pub id: u64,
    /// The payload.
    #[serde(borrow, with = "serde_bytes")]
    pub data: Cow<'a, [u8]>,
}

impl<'a> BlockRef<'a> {
    /// A block over `data`.
    #[must_use]
    pub fn new(id: u64, data: &'a [u8]) -> Self {
        Self { id, data: Cow::Borrowed(data) }
    }
}

/// As [`BlockRef`], to keep: what `echo` is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Number of the call.
    pub id: u64,
    /// The payload.
    pub data: Bytes,
}

/// Arguments as a command has them: five fields, a nested pair and three strings among them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Args<'a> {
    /// A number.
    pub id: u64,
    /// A path.
    #[serde(borrow)]
    pub path: Cow<'a, str>,
    /// A search text.
    #[serde(borrow)]
    pub query: Cow<'a, str>,
    /// One word.
    #[serde(borrow)]
    pub mode: Cow<'a, str>,
    /// The nested pair.
    pub range: Range,
}

/// The pair in [`Args`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// First line.
    pub first: u32,
    /// Last line.
    pub last: u32,
}

/// 64 KiB of bytes and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawBytes<'a>(#[serde(borrow, with = "serde_bytes")] pub Cow<'a, [u8]>);

/// One row of [`table`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Key.
    pub id: u64,
    /// Text.
    pub name: String,
    /// A fraction.
    pub score: f64,
    /// A flag.
    pub active: bool,
    /// Zero to three words.
    pub tags: Vec<String>,
}

/// The arguments that `codec` encodes.
#[must_use]
pub fn args() -> Args<'static> {
    Args {
        id: 918_273_645,
        path: "src/link/runner.rs".into(),
        query: "fn handle_request".into(),
        mode: "regex".into(),
        range: Range { first: 128, last: 4096 },
    }
}

/// `len` bytes in which every value is as frequent as any other: JSON then needs 3.57 bytes for
/// each, as for compressed or encrypted data.
#[must_use]
pub fn bytes(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        state.to_le_bytes()[7]
    })
    .take(len)
    .collect()
}

/// 1000 rows.
#[must_use]
pub fn table() -> Vec<Row> {
    let words = ["new", "paid", "urgent", "archived"];
    (0..ROWS)
        .map(|i| Row {
            id: 1_000_000 + i * 37,
            name: format!("customer {:05} of the north-west", i * 7919 % 100_000),
            score: f64::from(u32::try_from(i).unwrap_or_default()) * 0.137 + 0.5,
            active: i % 3 != 0,
            tags: (0..i % 4).zip(words).map(|(_, word)| word.to_owned()).collect(),
        })
        .collect()
}
