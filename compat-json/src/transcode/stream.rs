//! Values in a row, from any reader to any writer.

use std::io::{Read, Write};

use super::JsonForm;
use super::error::{Stop, TranscodeError};
use super::input::{Buffered, Input};
use super::json::{self, JsonReader};
use super::msgpack::MsgPackReader;
use super::pack::Packer;
use super::text::{JsonWriter, WriteOut};

type Result<T> = std::result::Result<T, TranscodeError>;

/// Turns values, one after the other, from MessagePack into JSON text or back.
///
/// The values of a MessagePack input follow each other directly. Those of a JSON input are separated
/// by white space, or by nothing where a string, an array or an object begins or ends; so
/// newline-delimited JSON is read, too. White space between the values that come out is up to the
/// caller.
///
/// The rules are strict, and the same whichever way it goes: what is refused is listed at
/// [`TranscodeFault`](crate::TranscodeFault). After an error there is nothing more to be had: each further call says
/// `false`.
///
/// # Memory
///
/// To JSON it is constant, at any length of strings, arrays and byte strings. The one exception are
/// the keys of the maps that are open: to find a key that comes twice, 16 bytes are kept for each in
/// a hash set, which with its own room are 20 to 60. A value is written before all of it is known to
/// be good.
///
/// To MessagePack, whose containers carry their length in front, it is a little more than the encoded
/// size of one value, and nothing is written before that value is complete.
///
/// The reader is asked for more only when a value cannot be completed, or the end of a number not be
/// seen, from what it has given: a value is written as soon as it is there.
///
/// # Examples
///
/// ```
/// use tramline_compat_json::{JsonForm, Transcoder};
///
/// let mut packed = Vec::new();
/// let mut values = Transcoder::json_to_msgpack(&b"{\"a\": [1, 2.5]}\n\"b\""[..]);
/// while values.next_value(&mut packed)? {}
/// assert_eq!(packed, b"\x81\xa1a\x92\x01\xcb\x40\x04\0\0\0\0\0\0\xa1b");
///
/// let mut lines = Vec::new();
/// let mut values = Transcoder::msgpack_to_json(&packed[..], JsonForm::default());
/// while values.next_value(&mut lines)? {
///     lines.push(b'\n');
/// }
/// assert_eq!(lines, b"{\"a\":[1,2.5]}\n\"b\"\n");
/// # Ok::<(), tramline_compat_json::TranscodeError>(())
/// ```
#[derive(Debug)]
pub struct Transcoder<R> {
    input: Input<Buffered<R>>,
    way: Way,
    /// Text that waits to be written out.
    text: Vec<u8>,
    ended: bool,
}

#[derive(Debug)]
enum Way {
    MsgPackToJson(MsgPackReader, JsonForm),
    JsonToMsgPack(Box<JsonReader>, Packer),
    JsonToJson(Box<JsonReader>, JsonForm),
}

impl<R: Read> Transcoder<R> {
    fn new(reader: R, way: Way) -> Self {
        Self { input: Input::new(Buffered::new(reader)), way, text: Vec::new(), ended: false }
    }

    /// MessagePack to JSON text.
    pub fn msgpack_to_json(reader: R, form: JsonForm) -> Self {
        Self::new(reader, Way::MsgPackToJson(MsgPackReader::default(), form))
    }

    /// JSON text to MessagePack.
    pub fn json_to_msgpack(reader: R) -> Self {
        Self::new(reader, Way::JsonToMsgPack(Box::new(JsonReader::new()), Packer::default()))
    }

    /// JSON text to JSON text as serde_json writes it.
    pub fn json_to_json(reader: R, form: JsonForm) -> Self {
        Self::new(reader, Way::JsonToJson(Box::new(JsonReader::new()), form))
    }

    /// Writes the next value to `out`; false when there is none.
    ///
    /// # Errors
    ///
    /// The input is not what it should be, or reading or writing fails. Of a value that became JSON
    /// text a part may have been written; of one that became MessagePack nothing, unless writing
    /// itself failed.
    pub fn next_value(&mut self, out: &mut impl Write) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let next = self.transcode(out);
        self.ended = !matches!(next, Ok(true));
        Ok(next?)
    }

    fn transcode(&mut self, out: &mut impl Write) -> std::result::Result<bool, Stop> {
        let Self { input, way, text, .. } = self;
        let first = match way {
            Way::MsgPackToJson(..) => input.peek()?,
            Way::JsonToMsgPack(..) | Way::JsonToJson(..) => json::skip_space(input)?,
        };
        let Some(first) = first else { return Ok(false) };
        let written = match way {
            Way::MsgPackToJson(reader, form) => {
                text.clear();
                reader.value(input, &mut JsonWriter::new(text, WriteOut(&mut *out), *form))?;
                out.write_all(text)
            }
            Way::JsonToJson(reader, form) => {
                text.clear();
                reader.value(input, &mut JsonWriter::new(text, WriteOut(&mut *out), *form))?;
                json::end_of_value(input, first)?;
                out.write_all(text)
            }
            Way::JsonToMsgPack(reader, packer) => {
                packer.clear();
                reader.value(input, packer)?;
                json::end_of_value(input, first)?;
                let written = packer.write_to(out);
                packer.clear();
                written
            }
        };
        written.map_err(|error| Stop::from(error).at(input.at()))?;
        Ok(true)
    }
}
