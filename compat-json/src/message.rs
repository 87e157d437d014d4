//! The JSON view of a message.

use serde::Serialize;
use tramline_core::envelope::{BodyKind, Envelope, Kind};
use tramline_core::{AnyCodec, DecodeError};

use crate::transcode::{JsonForm, append_json};

#[derive(Serialize)]
struct View<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    id: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_len: Option<usize>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(id: &u64) -> bool {
    *id == 0
}

/// One message as one line of JSON: `kind`, `id`, `name` and `body`. A raw body is shown by its
/// length in bytes, `raw_len`.
///
/// # Errors
///
/// [`DecodeError`] when the frame is no message or its body is no value of `codec`.
///
/// # Examples
///
/// ```
/// use tramline_compat_json::message_to_json;
/// use tramline_core::AnyCodec;
/// use tramline_core::envelope::{BodyKind, Head, Kind};
///
/// let head = Head::new(Kind::Request, BodyKind::Structured, 7, "add");
/// let mut frame = head.to_bytes().to_vec();
/// frame.extend_from_slice(b"add");
/// frame.extend(AnyCodec::MSGPACK.to_vec(&[1, 2]).unwrap());
/// assert_eq!(
///     message_to_json(AnyCodec::MSGPACK, &frame)?,
///     r#"{"kind":"request","id":7,"name":"add","body":[1,2]}"#
/// );
/// # Ok::<(), tramline_core::DecodeError>(())
/// ```
pub fn message_to_json(codec: AnyCodec, frame: &[u8]) -> Result<String, DecodeError> {
    show(frame, |message, text| append_json(codec, message.body, JsonForm::default(), text))
}

/// Shows a message whose structured body `body` appends as JSON text.
pub(crate) fn show<E: From<DecodeError>>(
    frame: &[u8],
    body: impl FnOnce(&Envelope<'_>, &mut Vec<u8>) -> Result<(), E>,
) -> Result<String, E> {
    let message = Envelope::parse(frame).map_err(|e| DecodeError::new("envelope", e))?;
    let head = message.head;
    let view = View {
        kind: kind_name(head.kind),
        id: head.id,
        name: head.name,
        raw_len: (head.body == BodyKind::Raw).then_some(message.body.len()),
    };
    let mut text = serde_json::to_vec(&view).map_err(|e| DecodeError::new("json", e))?;
    if head.body == BodyKind::Structured {
        text.pop();
        text.extend_from_slice(b",\"body\":");
        match head.kind {
            // These are JSON whatever the connection's codec is.
            Kind::Hello | Kind::Goodbye => {
                append_json(AnyCodec::JSON, message.body, JsonForm::default(), &mut text)?;
            }
            _ => body(&message, &mut text)?,
        }
        text.push(b'}');
    }
    Ok(String::from_utf8(text).map_err(|e| DecodeError::new("json", e))?)
}

pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Hello => "hello",
        Kind::Goodbye => "goodbye",
        Kind::Request => "request",
        Kind::Response => "response",
        Kind::Error => "error",
        Kind::Event => "event",
        Kind::Subscribe => "subscribe",
        Kind::Unsubscribe => "unsubscribe",
        Kind::Cancel => "cancel",
        Kind::Channel => "channel",
        Kind::ChannelEnd => "channel-end",
        Kind::ChannelCredit => "channel-credit",
        _ => "unknown",
    }
}
