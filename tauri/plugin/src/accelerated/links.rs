//! Which links are open, for those who know a view's label only.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tauri::ipc::{CallbackFn, InvokeResponseBody};
use tramline_web_link::frames::{Head, to_page};
use tramline_web_link::{Body, Outbox};

/// The outboxes of links that are open, by the label of their view.
#[derive(Default)]
pub(super) struct Links(RwLock<HashMap<String, Arc<Outbox>>>);

impl Links {
    pub(super) fn insert(&self, label: &str, outbox: Arc<Outbox>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(label.to_owned(), outbox);
    }

    /// Removes a link, unless another one has taken its place.
    pub(super) fn remove(&self, label: &str, outbox: &Arc<Outbox>) {
        let mut links = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if links.get(label).is_some_and(|found| Arc::ptr_eq(found, outbox)) {
            links.remove(label);
        }
    }

    /// Sends a channel's message: false if it must go another way.
    pub(super) fn send_on_channel(
        &self,
        label: &str,
        callback: CallbackFn,
        index: usize,
        body: &InvokeResponseBody,
    ) -> bool {
        let links = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(outbox) = links.get(label) else { return false };
        let (kind, bytes) = match body {
            InvokeResponseBody::Json(text) => (to_page::CHANNEL, text.as_bytes()),
            InvokeResponseBody::Raw(bytes) => (to_page::CHANNEL_RAW, &bytes[..]),
        };
        let head = Head::channel(kind, callback.0, index);
        outbox.send(head.as_bytes(), Body::Borrowed(bytes)).is_ok()
    }
}
