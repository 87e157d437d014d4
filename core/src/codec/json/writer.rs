//! JSON text, written: numbers and escapes by serde_json, what stands between them by ourselves.

use std::fmt::Display;

use serde::Serializer;

use super::scan::plain_len;
use crate::codec::canonical::{Format, Refusal, Written};
use crate::frame::FrameWriter;

/// JSON text without white space.
pub(in crate::codec) struct JsonFormat;

/// serde_json refuses no finite scalar: what fails is the frame.
fn scalar(written: serde_json::Result<()>) -> Written {
    written.map_err(|_| Refusal::NoRoom)
}

#[cold]
fn escaped(out: &mut FrameWriter<'_>, text: &str) -> Written {
    scalar(serde_json::Serializer::new(out).serialize_str(text))
}

impl Format for JsonFormat {
    const COUNTED: bool = false;

    #[inline]
    fn null(out: &mut FrameWriter<'_>) -> Written {
        Ok(out.put(b"null")?)
    }

    #[inline]
    fn boolean(out: &mut FrameWriter<'_>, value: bool) -> Written {
        Ok(out.put(if value { b"true" } else { b"false" })?)
    }

    #[inline]
    fn unsigned(out: &mut FrameWriter<'_>, value: u64) -> Written {
        scalar(serde_json::Serializer::new(out).serialize_u64(value))
    }

    #[inline]
    fn signed(out: &mut FrameWriter<'_>, value: i64) -> Written {
        scalar(serde_json::Serializer::new(out).serialize_i64(value))
    }

    #[inline]
    fn single(out: &mut FrameWriter<'_>, value: f32) -> Written {
        scalar(serde_json::Serializer::new(out).serialize_f32(value))
    }

    #[inline]
    fn double(out: &mut FrameWriter<'_>, value: f64) -> Written {
        scalar(serde_json::Serializer::new(out).serialize_f64(value))
    }

    #[inline]
    fn text(out: &mut FrameWriter<'_>, text: &str) -> Written {
        if plain_len(text.as_bytes()) < text.len() {
            return escaped(out, text);
        }
        out.put_both(b"\"", text.as_bytes())?;
        Ok(out.put(b"\"")?)
    }

    fn display(out: &mut FrameWriter<'_>, text: &dyn Display) -> Written {
        scalar(serde_json::Serializer::new(out).collect_str(text))
    }

    #[inline]
    fn bytes(out: &mut FrameWriter<'_>, bytes: &[u8]) -> Written {
        scalar(serde_json::Serializer::new(out).serialize_bytes(bytes))
    }

    #[inline]
    fn array(out: &mut FrameWriter<'_>, _: usize) -> Written {
        Ok(out.put(b"[")?)
    }

    #[inline]
    fn element(out: &mut FrameWriter<'_>, first: bool) -> Written {
        if first { Ok(()) } else { Ok(out.put(b",")?) }
    }

    #[inline]
    fn array_end(out: &mut FrameWriter<'_>) -> Written {
        Ok(out.put(b"]")?)
    }

    #[inline]
    fn map(out: &mut FrameWriter<'_>, _: usize) -> Written {
        Ok(out.put(b"{")?)
    }

    #[inline]
    fn key(out: &mut FrameWriter<'_>, first: bool, key: &str) -> Written {
        if !first {
            out.put(b",")?;
        }
        Self::text(out, key)?;
        Ok(out.put(b":")?)
    }

    #[inline]
    fn map_end(out: &mut FrameWriter<'_>) -> Written {
        Ok(out.put(b"}")?)
    }
}
