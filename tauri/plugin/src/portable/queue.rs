//! What waits for a page, and the requests that it can be answered with.
//!
//! Messages are put together as they come, into the text of the response that will carry them: an
//! array that begins with the response's number, then kinds and their values.
//!
//! | kind | values |
//! |---|---|
//! | 2 OK | callback, JSON |
//! | 3 OK_RAW | callback, length, offset |
//! | 4 ERR | error, JSON |
//! | 5 CHANNEL | callback, index, JSON |
//! | 6 CHANNEL_RAW | callback, index, length, offset |
//! | 7 EVENT | handler, id, name, JSON |
//! | 8 LISTENED | callback, id, handler |
//!
//! A response with bodies is the bodies, the text and the `u32` length of the text, little-endian.
//! One large body comes by itself, with the text in a header.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tauri::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_TYPE, HeaderValue,
};
use tauri::http::{Response, StatusCode};
use tauri::ipc::{InvokeResponse, InvokeResponseBody};
use tauri::{EventId, UriSchemeResponder};

use super::main_loop::MainLoop;
use crate::call::json_of;
use crate::links::Outlet;

/// What may wait, in bytes. A choice, the ring's as well: above it the page has not asked for a long
/// time, and its link is given up; Tauri's own way would keep all of it in memory, too.
const MAX_WAITING: usize = 512 << 20;

/// Text and bodies of one response, in bytes; a larger message goes by itself. A choice: enough for
/// the crossing to cost little for each message, and little enough for a page not to stumble.
const RESPONSE_LEN: usize = 512 << 10;

/// From here on a body is a response of its own, which saves the page a copy.
const ALONE_LEN: usize = 64 << 10;

/// Requests of a page that wait for something to be answered with. The page keeps one, and each of
/// its posts is another.
const MAX_PARKED: usize = 2;

/// The header with the text of a response that is one body.
const ITEMS: &str = "Tramline-Items";

mod kind {
    pub(super) const OK: u8 = 2;
    pub(super) const OK_RAW: u8 = 3;
    pub(super) const ERR: u8 = 4;
    pub(super) const CHANNEL: u8 = 5;
    pub(super) const CHANNEL_RAW: u8 = 6;
    pub(super) const EVENT: u8 = 7;
    pub(super) const LISTENED: u8 = 8;
}

/// A response that is being put together.
struct Chunk {
    text: Vec<u8>,
    bodies: Vec<u8>,
    /// It is one body, which came by itself.
    alone: bool,
}

impl Chunk {
    fn len(&self) -> usize {
        self.text.len() + self.bodies.len()
    }

    /// Each begins a line, for the page to find the next one when one is no JSON.
    fn item(&mut self, kind: u8) -> &mut Self {
        if !self.alone {
            self.text.push(b'\n');
        }
        self.number(kind)
    }

    fn number(&mut self, value: impl itoa::Integer) -> &mut Self {
        self.text.push(b',');
        self.text.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self
    }

    fn json(&mut self, json: &[u8]) -> &mut Self {
        self.text.push(b',');
        self.text.extend_from_slice(json);
        self
    }

    fn body(&mut self, bytes: Vec<u8>) {
        let offset = self.bodies.len();
        self.number(bytes.len()).number(offset);
        if self.bodies.is_empty() {
            self.bodies = bytes;
        } else {
            self.bodies.extend_from_slice(&bytes);
        }
    }

    fn into_response(mut self, origin: &HeaderValue) -> Response<Vec<u8>> {
        self.text.push(b']');
        if self.alone
            && let Ok(items) = HeaderValue::from_bytes(&self.text)
        {
            let mut response = response(StatusCode::OK, BYTES, self.bodies, origin);
            response.headers_mut().insert(ITEMS, items);
            let exposed = HeaderValue::from_static(ITEMS);
            response.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
            return response;
        }
        // Kept below 4 GiB by the limit of what waits.
        let text_len = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        if self.bodies.is_empty() && !self.alone {
            return response(StatusCode::OK, JSON, self.text, origin);
        }
        let mut body = self.bodies;
        body.extend_from_slice(&self.text);
        body.extend_from_slice(&text_len.to_le_bytes());
        response(StatusCode::OK, BYTES, body, origin)
    }
}

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// A response that the page's script may read.
pub(super) fn response(
    status: StatusCode,
    kind: HeaderValue,
    body: Vec<u8>,
    origin: &HeaderValue,
) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    response
}

#[derive(Default)]
struct Inner {
    /// In order; only the last one grows.
    chunks: VecDeque<Chunk>,
    waiting: usize,
    responses: u64,
    /// Those that have gone: they go in order.
    gone: u64,
    parked: VecDeque<UriSchemeResponder>,
    /// The main thread will look.
    told: bool,
    over: bool,
}

/// What waits for one page.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    main_loop: MainLoop,
    origin: HeaderValue,
    /// Itself, for the main loop.
    own: Weak<Self>,
}

impl Queue {
    pub(super) fn new(main_loop: MainLoop, origin: HeaderValue) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            inner: Mutex::default(),
            main_loop,
            origin,
            own: Weak::clone(own),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here is left half done by a panic that could matter more than the link.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message of about `len` bytes. False if nobody waits for it any more.
    fn push(&self, len: usize, alone: bool, write: impl FnOnce(&mut Chunk)) -> bool {
        let mut inner = self.lock();
        if inner.over {
            return false;
        }
        let Inner { chunks, responses, .. } = &mut *inner;
        let fits = |chunk: &Chunk| {
            !alone && !chunk.alone && chunk.len().saturating_add(len) <= RESPONSE_LEN
        };
        if !chunks.back().is_some_and(fits) {
            *responses += 1;
            let mut text = Vec::with_capacity(if alone { 64 } else { len.saturating_add(256) });
            text.push(b'[');
            text.extend_from_slice(itoa::Buffer::new().format(*responses).as_bytes());
            chunks.push_back(Chunk { text, bodies: Vec::new(), alone });
        }
        if let Some(chunk) = chunks.back_mut() {
            let before = chunk.len();
            write(chunk);
            let grown = chunk.len() - before;
            inner.waiting += grown;
        }
        if inner.waiting > MAX_WAITING {
            log::warn!(
                "tramline: a page has not asked for what waits for it; its link is given up"
            );
            inner.over = true;
            inner.chunks.clear();
        }
        if !inner.told && !inner.parked.is_empty() {
            inner.told = true;
            drop(inner);
            let own = Weak::clone(&self.own);
            self.main_loop.soon(move || {
                if let Some(queue) = own.upgrade() {
                    queue.lock().told = false;
                    queue.flush();
                }
            });
        }
        true
    }

    /// Takes a request that is answered when there is something, be it that another one has come.
    pub(super) fn park(&self, responder: UriSchemeResponder) {
        let mut inner = self.lock();
        inner.parked.push_back(responder);
        let oldest = if inner.parked.len() > MAX_PARKED { inner.parked.pop_front() } else { None };
        drop(inner);
        if let Some(oldest) = oldest {
            oldest.respond(response(StatusCode::OK, JSON, b"[0]".to_vec(), &self.origin));
        }
    }

    /// Answers as many requests as there is something for, the newest first: a post is answered with
    /// what its own calls have given. On the main thread.
    pub(super) fn flush(&self) {
        loop {
            let mut inner = self.lock();
            if inner.over {
                let parked = std::mem::take(&mut inner.parked);
                drop(inner);
                parked.into_iter().for_each(|parked| parked.respond(gone(&self.origin)));
                return;
            }
            if inner.parked.is_empty() {
                return;
            }
            let Some(chunk) = inner.chunks.pop_front() else { return };
            let Some(parked) = inner.parked.pop_back() else { return };
            inner.waiting = inner.waiting.saturating_sub(chunk.len());
            inner.gone += 1;
            drop(inner);
            parked.respond(chunk.into_response(&self.origin));
        }
    }

    /// Answers all requests that wait, for the page does not know which it has lost: the number of
    /// responses that have gone.
    pub(super) fn settle(&self) -> u64 {
        let mut inner = self.lock();
        let parked = std::mem::take(&mut inner.parked);
        let gone = inner.gone;
        drop(inner);
        for parked in parked {
            parked.respond(response(StatusCode::OK, JSON, b"[0]".to_vec(), &self.origin));
        }
        gone
    }

    /// The page is gone.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.over = true;
        inner.chunks.clear();
        drop(inner);
        self.flush();
    }

    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }
}

/// To a page that has no link, or none any more. Nothing of its post was done.
pub(super) fn gone(origin: &HeaderValue) -> Response<Vec<u8>> {
    response(StatusCode::GONE, TEXT, b"no such link".to_vec(), origin)
}

pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

impl Outlet for Queue {
    fn answer(&self, callback: u32, error: u32, answer: InvokeResponse) {
        match answer {
            InvokeResponse::Ok(InvokeResponseBody::Json(text)) => {
                self.push(text.len(), false, |chunk| {
                    chunk.item(kind::OK).number(callback).json(text.as_bytes());
                });
            }
            InvokeResponse::Ok(InvokeResponseBody::Raw(bytes)) => {
                let len = bytes.len();
                self.push(len, len >= ALONE_LEN, |chunk| {
                    chunk.item(kind::OK_RAW).number(callback).body(bytes);
                });
            }
            InvokeResponse::Err(value) => {
                let text = json_of(&value.0);
                self.push(text.len(), false, |chunk| {
                    chunk.item(kind::ERR).number(error).json(&text);
                });
            }
        }
    }

    fn listened(&self, callback: u32, _error: u32, id: EventId, handler: u32) {
        self.push(32, false, |chunk| {
            chunk.item(kind::LISTENED).number(callback).number(id).number(handler);
        });
    }

    fn event(&self, handler: u32, id: EventId, name: &str, payload: &str) {
        self.push(name.len() + payload.len(), false, |chunk| {
            chunk.item(kind::EVENT).number(handler).number(id);
            // No name with a character that JSON would have to escape.
            chunk.text.extend_from_slice(b",\"");
            chunk.text.extend_from_slice(name.as_bytes());
            chunk.text.push(b'"');
            chunk.json(payload.as_bytes());
        });
    }

    fn channel(&self, callback: u32, index: usize, body: &InvokeResponseBody) -> bool {
        match body {
            InvokeResponseBody::Json(text) => self.push(text.len(), false, |chunk| {
                chunk.item(kind::CHANNEL).number(callback).number(index).json(text.as_bytes());
            }),
            InvokeResponseBody::Raw(bytes) => {
                self.push(bytes.len(), bytes.len() > RESPONSE_LEN, |chunk| {
                    chunk.item(kind::CHANNEL_RAW).number(callback).number(index);
                    let offset = chunk.bodies.len();
                    chunk.number(bytes.len()).number(offset);
                    chunk.bodies.extend_from_slice(bytes);
                })
            }
        }
    }
}
