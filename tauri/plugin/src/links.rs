//! Where messages to a page go: its hop, for those who know a view's label only.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tauri::EventId;
use tauri::ipc::{CallbackFn, InvokeResponse, InvokeResponseBody};

/// The way to a page, from any thread. A page that is gone does not get what is sent.
pub(crate) trait Outlet: Send + Sync {
    /// A command's answer.
    fn answer(&self, callback: u32, error: u32, response: InvokeResponse);

    /// The answer to a listen that the hop serves.
    fn listened(&self, callback: u32, error: u32, id: EventId, handler: u32);

    /// An event. The name is one that JSON need not escape, the payload JSON.
    fn event(&self, handler: u32, id: EventId, name: &str, payload: &str);

    /// A channel's message: false if it must go another way.
    fn channel(&self, callback: u32, index: usize, body: &InvokeResponseBody) -> bool;
}

/// The ways to pages, by the label of their view.
#[derive(Default)]
pub(crate) struct Links {
    open: RwLock<HashMap<String, Arc<dyn Outlet>>>,
    /// What the log was told of each view.
    told: RwLock<HashMap<String, String>>,
}

impl Links {
    /// A page's calls go this way from now on. The log is told when that is news.
    pub(crate) fn insert(&self, label: &str, outlet: Arc<dyn Outlet>, way: &str) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(label.to_owned(), outlet);
        let mut told = self.told.write().unwrap_or_else(PoisonError::into_inner);
        if told.get(label).is_none_or(|before| before != way) {
            log::info!("tramline: page '{label}': calls go {way}");
            told.insert(label.to_owned(), way.to_owned());
        }
    }

    /// Removes a link, unless another one has taken its place.
    pub(crate) fn remove(&self, label: &str, outlet: &Arc<dyn Outlet>) {
        let mut links = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if links.get(label).is_some_and(|found| Arc::ptr_eq(found, outlet)) {
            links.remove(label);
        }
    }

    /// Sends a channel's message: false if it must go another way.
    pub(crate) fn send_on_channel(
        &self,
        label: &str,
        callback: CallbackFn,
        index: usize,
        body: &InvokeResponseBody,
    ) -> bool {
        let links = self.open.read().unwrap_or_else(PoisonError::into_inner);
        links.get(label).is_some_and(|outlet| outlet.channel(callback.0, index, body))
    }
}
