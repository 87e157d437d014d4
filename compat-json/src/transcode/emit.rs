//! Where a value's parts go, one after the other.

use super::error::Stop;
use super::scan::Short;

type Result<T = ()> = std::result::Result<T, Stop>;

/// JSON text or MessagePack, being written.
///
/// A value is one call of `null` to `text`, or everything between a `begin` and its `end`. In an
/// array each value comes behind `item`; in a map each pair is `key`, a text, `value`, a value. All
/// text is UTF-8, and so is each part of it.
pub(super) trait Emit {
    fn null(&mut self);
    fn bool(&mut self, value: bool);
    fn unsigned(&mut self, value: u64) -> Result;
    /// Below zero.
    fn negative(&mut self, value: i64) -> Result;
    /// Finite.
    fn f64(&mut self, value: f64);
    fn short(&mut self, text: Short);
    fn text(&mut self, text: &[u8]) -> Result;
    fn text_begin(&mut self);
    fn text_part(&mut self, text: &[u8]) -> Result;
    fn text_end(&mut self) -> Result;
    fn array_begin(&mut self);
    fn item(&mut self) -> Result;
    fn array_end(&mut self);
    fn map_begin(&mut self);
    fn key(&mut self) -> Result;
    /// `key`, a text, `value`.
    fn short_key(&mut self, key: Short) -> Result;
    fn value(&mut self);
    fn map_end(&mut self);
}
