//! One forwarded call.

use std::sync::Arc;

use serde_json::Value;
use tauri::ipc::{
    Channel, Invoke, InvokeBody, InvokeError, InvokeMessage, InvokeResponseBody,
    JavaScriptChannelId,
};
use tauri::{Emitter as _, EventTarget, Runtime};
use tramline::{AnyCodec, ChannelReader, Client, RecvError};

use super::body::{Body, channel_error, no_connection, rejection};
use super::headers;
use super::{CHANNEL_ERROR, Inner};

/// Messages of a channel in one turn of the main thread. A choice: a channel that is always full
/// leaves room for others.
const MESSAGES_IN_A_TURN: usize = 64;

impl<R: Runtime> Inner<R> {
    /// Forwards a call. On the main thread, which it does not keep.
    pub(super) fn forward(self: &Arc<Self>, invoke: Invoke<R>) {
        let Invoke { message, resolver, .. } = invoke;
        let label = message.webview_ref().label().to_owned();
        let inner = Arc::clone(self);
        let call = async move {
            let answer = match inner.client().await {
                Ok(client) => inner.call(&client, &message).await,
                Err(error) => Err(no_connection(&error)),
            };
            resolver.respond(answer);
        };
        if self.polls {
            let client = self.connection.up();
            self.main_loop.look_out(client.as_ref(), || self.run_for(label, call));
        } else {
            self.run_for(label, call);
        }
    }

    async fn call(
        self: &Arc<Self>,
        client: &Client,
        message: &InvokeMessage<R>,
    ) -> Result<InvokeResponseBody, InvokeError> {
        let command = message.command();
        let answer = match message.payload() {
            InvokeBody::Raw(bytes) => {
                let mut call = client.invoke_raw::<Body>(command, bytes.as_slice());
                for (name, value) in headers::of_page(message.headers()) {
                    call = call.header(name, &value);
                }
                call.await
            }
            InvokeBody::Json(args) => {
                let with_channels = self.bring_channels(client, message, args);
                let args = with_channels.as_ref().unwrap_or(args);
                let mut call = client.invoke::<Body, _>(command, args);
                for (name, value) in headers::of_page(message.headers()) {
                    call = call.header(name, &value);
                }
                call.await
            }
        };
        let body = answer.map_err(|error| rejection(&error))?;
        let codec = client.server().codec();
        body.into_response(codec).await.map_err(|error| rejection(&error.into()))
    }

    /// Makes a channel to the other process for each of the page's among the arguments, and the
    /// arguments with those instead; `None` if there is none.
    fn bring_channels(
        self: &Arc<Self>,
        client: &Client,
        message: &InvokeMessage<R>,
        args: &Value,
    ) -> Option<Value> {
        let own = args.as_object()?;
        if !own.values().any(|value| channel_in(value).is_some()) {
            return None;
        }
        let mut own = own.clone();
        for value in own.values_mut() {
            let Some(id) = channel_in(value) else { continue };
            let (arg, reader) = client.channel::<Body>();
            let page = Page { id: number_of(value), to: id.channel_on(message.webview()) };
            // A channel is written as text, which always becomes a value.
            *value = serde_json::to_value(&arg).unwrap_or_default();
            let label = message.webview_ref().label().to_owned();
            let codec = client.server().codec();
            self.run_for(label.clone(), Arc::clone(self).carry(reader, codec, page, label));
        }
        Some(Value::Object(own))
    }

    /// Carries what comes through a channel to the page, until it ends.
    async fn carry(
        self: Arc<Self>,
        mut reader: ChannelReader<Body>,
        codec: AnyCodec,
        page: Page,
        label: String,
    ) {
        let mut in_turn = 0;
        while let Some(received) = reader.recv_async().await {
            let received = match received {
                Ok(body) => body.into_response(codec).await.map_err(RecvError::from),
                Err(error) => Err(error),
            };
            match received.map(|body| page.to.send(body)) {
                Ok(Ok(())) => {}
                // The page is gone: dropping the reader tells the command.
                Ok(Err(_)) => return,
                Err(error) => {
                    self.tell(&page, &label, &error);
                    if !matches!(error, RecvError::Decode(_)) {
                        return;
                    }
                }
            }
            in_turn += 1;
            if in_turn % MESSAGES_IN_A_TURN == 0 {
                yield_now().await;
            }
        }
    }

    /// Tauri's channels have no end but the ordinary one, so an event says what there was.
    fn tell(&self, page: &Page, label: &str, error: &RecvError) {
        log::warn!("tramline: channel of page '{label}': {error}");
        let Some(app) = self.main_loop.app() else { return };
        let told = channel_error(page.id, error);
        // As above: a page that is gone.
        let _ = app.emit_to(EventTarget::labeled(label), CHANNEL_ERROR, told);
    }
}

/// A channel of the page's. It is told of the end when this goes.
struct Page {
    id: u32,
    to: Channel<InvokeResponseBody>,
}

fn channel_in(value: &Value) -> Option<JavaScriptChannelId> {
    value.as_str()?.parse().ok()
}

/// The number in a channel's text.
fn number_of(value: &Value) -> u32 {
    let number = value.as_str().and_then(|text| text.rsplit_once(':'));
    number.and_then(|(_, number)| number.parse().ok()).unwrap_or_default()
}

/// Lets others have their turn.
async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
