//! A link that is lost while its page lives: see `ui/lost.js`.

use std::sync::{Mutex, PoisonError};

use tauri::ipc::Channel;

static KEPT: Mutex<Option<Channel<usize>>> = Mutex::new(None);

/// Ends a link of the ring.
#[tauri::command]
pub(crate) fn panic_now() {
    panic!("on purpose");
}

#[tauri::command]
pub(crate) fn keep_channel(channel: Channel<usize>) {
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(channel);
}

#[tauri::command]
pub(crate) fn send_on_kept(numbers: Vec<usize>) -> tauri::Result<()> {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(channel) = &*kept else { return Ok(()) };
    numbers.into_iter().try_for_each(|number| channel.send(number))
}
