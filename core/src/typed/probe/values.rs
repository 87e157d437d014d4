//! Made-up values for types that say what they want.

/// Texts that some type or other takes.
pub(super) const TEXTS: &[&str] = &[
    "probe",
    "a",
    "",
    "0",
    "1",
    "true",
    "127.0.0.1",
    "::1",
    "127.0.0.1:80",
    "[::1]:80",
    "127.0.0.0/8",
    "2000-01-01T00:00:00Z",
    "2000-01-01T00:00:00",
    "2000-01-01",
    "00:00:00",
    "00000000-0000-4000-8000-000000000001",
    "https://example.com/",
    "a@example.com",
    "example.com",
    "1.0.0",
    "en",
    "USD",
    "#ffffff",
    "AA==",
    "00",
    "0x01",
    "P1D",
    "1s",
    "UTC",
    "/",
];

/// Runs of bytes that some type or other takes.
pub(super) const BYTES: &[&[u8]] = &[&[200, 201], b"ab", &[], &[1], &[1; 4], &[1; 16], &[1; 32]];

pub(super) const CHARS: &[char] = &['a', 'A', '0', ' '];

pub(super) const INTEGERS: &[i8] = &[1, 0, 2, 10, 100, -1];

/// 0.1 has no exact form, so a format that widens or narrows it shows.
pub(super) const FLOATS: &[f32] = &[0.1, 1.0, 0.0, -1.5];
