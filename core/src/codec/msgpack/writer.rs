//! MessagePack, written: each number in its shortest form.

use std::fmt::Display;

use serde::ser::Error;

use crate::codec::canonical::{Format, Refusal, Written};
use crate::frame::FrameWriter;

/// MessagePack.
pub(super) struct MsgPackFormat;

impl Format for MsgPackFormat {
    const COUNTED: bool = true;

    #[inline]
    fn null(out: &mut FrameWriter<'_>) -> Written {
        Ok(out.put(&[0xc0])?)
    }

    #[inline]
    fn boolean(out: &mut FrameWriter<'_>, value: bool) -> Written {
        Ok(out.put(&[if value { 0xc3 } else { 0xc2 }])?)
    }

    #[inline]
    fn unsigned(out: &mut FrameWriter<'_>, value: u64) -> Written {
        Ok(if let Ok(value) = u8::try_from(value) {
            if value < 0x80 { out.put(&[value]) } else { out.put(&[0xcc, value]) }
        } else if let Ok(value) = u16::try_from(value) {
            out.put_both(&[0xcd], &value.to_be_bytes())
        } else if let Ok(value) = u32::try_from(value) {
            out.put_both(&[0xce], &value.to_be_bytes())
        } else {
            out.put_both(&[0xcf], &value.to_be_bytes())
        }?)
    }

    #[inline]
    fn signed(out: &mut FrameWriter<'_>, value: i64) -> Written {
        Ok(if let Ok(value) = u64::try_from(value) {
            return Self::unsigned(out, value);
        } else if let Ok(value) = i8::try_from(value) {
            let [byte] = value.to_be_bytes();
            if value >= -0x20 { out.put(&[byte]) } else { out.put(&[0xd0, byte]) }
        } else if let Ok(value) = i16::try_from(value) {
            out.put_both(&[0xd1], &value.to_be_bytes())
        } else if let Ok(value) = i32::try_from(value) {
            out.put_both(&[0xd2], &value.to_be_bytes())
        } else {
            out.put_both(&[0xd3], &value.to_be_bytes())
        }?)
    }

    #[inline]
    fn single(out: &mut FrameWriter<'_>, value: f32) -> Written {
        Ok(out.put_both(&[0xca], &value.to_be_bytes())?)
    }

    #[inline]
    fn double(out: &mut FrameWriter<'_>, value: f64) -> Written {
        Ok(out.put_both(&[0xcb], &value.to_be_bytes())?)
    }

    #[inline]
    fn text(out: &mut FrameWriter<'_>, text: &str) -> Written {
        let bytes = text.as_bytes();
        Ok(match u8::try_from(bytes.len()) {
            Ok(len) if len < 0x20 => out.put_both(&[0xa0 | len], bytes),
            Ok(len) => out.put_both(&[0xd9, len], bytes),
            Err(_) => {
                long(out, [0xda, 0xdb], bytes.len())?;
                out.put(bytes)
            }
        }?)
    }

    fn display(out: &mut FrameWriter<'_>, text: &dyn Display) -> Written {
        Self::text(out, &text.to_string())
    }

    #[inline]
    fn bytes(out: &mut FrameWriter<'_>, bytes: &[u8]) -> Written {
        Ok(match u8::try_from(bytes.len()) {
            Ok(len) => out.put_both(&[0xc4, len], bytes),
            Err(_) => {
                long(out, [0xc5, 0xc6], bytes.len())?;
                out.put(bytes)
            }
        }?)
    }

    #[inline]
    fn array(out: &mut FrameWriter<'_>, len: usize) -> Written {
        match u8::try_from(len) {
            Ok(len) if len < 0x10 => Ok(out.put(&[0x90 | len])?),
            _ => long(out, [0xdc, 0xdd], len),
        }
    }

    #[inline]
    fn element(_: &mut FrameWriter<'_>, _: bool) -> Written {
        Ok(())
    }

    #[inline]
    fn array_end(_: &mut FrameWriter<'_>) -> Written {
        Ok(())
    }

    #[inline]
    fn map(out: &mut FrameWriter<'_>, len: usize) -> Written {
        match u8::try_from(len) {
            Ok(len) if len < 0x10 => Ok(out.put(&[0x80 | len])?),
            _ => long(out, [0xde, 0xdf], len),
        }
    }

    #[inline]
    fn key(out: &mut FrameWriter<'_>, _: bool, key: &str) -> Written {
        Self::text(out, key)
    }

    #[inline]
    fn map_end(_: &mut FrameWriter<'_>) -> Written {
        Ok(())
    }
}

/// A length in two bytes or four, each behind its marker.
fn long(out: &mut FrameWriter<'_>, [marker16, marker32]: [u8; 2], len: usize) -> Written {
    Ok(if let Ok(len) = u16::try_from(len) {
        out.put_both(&[marker16], &len.to_be_bytes())
    } else if let Ok(len) = u32::try_from(len) {
        out.put_both(&[marker32], &len.to_be_bytes())
    } else {
        return Err(Refusal::custom(format_args!("{len} bytes, the limit is {}", u32::MAX)));
    }?)
}
