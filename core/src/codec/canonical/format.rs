//! What a format must be able to do so that values can be written in it.

use std::fmt::Display;

use super::refusal::Written;
use crate::frame::FrameWriter;

/// Writes the parts of values, and judges nothing.
pub(crate) trait Format {
    /// Whether an array or a map begins with the number of its parts.
    const COUNTED: bool;

    fn null(out: &mut FrameWriter<'_>) -> Written;

    fn boolean(out: &mut FrameWriter<'_>, value: bool) -> Written;

    fn unsigned(out: &mut FrameWriter<'_>, value: u64) -> Written;

    fn signed(out: &mut FrameWriter<'_>, value: i64) -> Written;

    /// A finite number.
    fn single(out: &mut FrameWriter<'_>, value: f32) -> Written;

    /// A finite number.
    fn double(out: &mut FrameWriter<'_>, value: f64) -> Written;

    fn text(out: &mut FrameWriter<'_>, text: &str) -> Written;

    /// A text that is not put together yet.
    fn display(out: &mut FrameWriter<'_>, text: &dyn Display) -> Written;

    fn bytes(out: &mut FrameWriter<'_>, bytes: &[u8]) -> Written;

    fn array(out: &mut FrameWriter<'_>, len: usize) -> Written;

    /// Comes before each element.
    fn element(out: &mut FrameWriter<'_>, first: bool) -> Written;

    fn array_end(out: &mut FrameWriter<'_>) -> Written;

    fn map(out: &mut FrameWriter<'_>, len: usize) -> Written;

    /// Comes before each value.
    fn key(out: &mut FrameWriter<'_>, first: bool, key: &str) -> Written;

    fn map_end(out: &mut FrameWriter<'_>) -> Written;
}
