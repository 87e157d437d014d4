//! The ring as the way to a page.

use tauri::EventId;
use tauri::ipc::{InvokeResponse, InvokeResponseBody};
use tramline_web_link::frames::{Arguments, Call, Head, to_page};
use tramline_web_link::{Body, Outbox, OutboxError};

use crate::call::{self, json_of, refuse};
use crate::links::Outlet;

impl Outlet for Outbox {
    fn answer(&self, callback: u32, error: u32, response: InvokeResponse) {
        let (kind, body) = match response {
            InvokeResponse::Ok(InvokeResponseBody::Json(text)) => (to_page::OK, text.into_bytes()),
            InvokeResponse::Ok(InvokeResponseBody::Raw(bytes)) => (to_page::OK_RAW, bytes),
            InvokeResponse::Err(value) => (to_page::ERR, json_of(&value.0)),
        };
        let head = Head::answer(kind, callback, error);
        let sent = if kind == to_page::OK_RAW {
            self.send_long(&head, Body::Owned(body))
        } else {
            self.send(head.as_bytes(), Body::Owned(body))
        };
        if let Err(OutboxError::TooLarge) = sent {
            refuse(self, callback, error, "the answer is too large to be sent");
        }
    }

    fn listened(&self, callback: u32, error: u32, id: EventId, handler: u32) {
        let head = Head::listened(callback, error, id, handler);
        // A page that is gone does not get it.
        let _ = self.send(head.as_bytes(), Body::Borrowed(&[]));
    }

    fn event(&self, handler: u32, id: EventId, name: &str, payload: &str) {
        let Some(head) = Head::event(handler, id, name.len()) else { return };
        let mut body = Vec::with_capacity(name.len() + payload.len());
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(payload.as_bytes());
        // As above.
        let _ = self.send(head.as_bytes(), Body::Owned(body));
    }

    fn channel(&self, callback: u32, index: usize, body: &InvokeResponseBody) -> bool {
        match body {
            InvokeResponseBody::Json(text) => {
                let head = Head::channel(to_page::CHANNEL, callback, index);
                self.send(head.as_bytes(), Body::Borrowed(text.as_bytes()))
            }
            InvokeResponseBody::Raw(bytes) => {
                let head = Head::channel(to_page::CHANNEL_RAW, callback, index);
                self.send_long(&head, Body::Borrowed(bytes))
            }
        }
        .is_ok()
    }
}

impl<'a> From<Call<'a>> for call::Call<'a> {
    fn from(call: Call<'a>) -> Self {
        Self {
            callback: call.callback,
            error: call.error,
            command: call.command,
            headers: call.headers,
            arguments: match call.arguments {
                Arguments::Json(text) => call::Arguments::Json(text),
                Arguments::Raw(bytes) => call::Arguments::Raw(bytes),
            },
        }
    }
}
