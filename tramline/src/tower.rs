//! A client as a service, for middleware that was written for `tower`.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use serde::Serialize;
use tower_service::Service;
use tramline_core::answer::FromAnswer;
use tramline_core::{InvokeError, SendError};

use crate::client::Client;

/// A [`Client`] as a `tower` service: a [`CommandCall`] in, the result out. Made with
/// [`Client::service`]; clones share the connection.
///
/// Everything of `tower` that stands around a service can stand around calls then: time limits,
/// concurrency and rate limits, load shedding, your own `tower::Layer`s. Dropping the future, as a
/// time limit does, cancels the command. Use [`Retry`](crate::Retry) to repeat calls, which knows
/// when that is safe.
///
/// # Examples
///
/// ```
/// use tower_service::Service;
/// use tramline::{Capabilities, Client, CommandCall, Server, command, commands, json};
///
/// #[command]
/// fn add(a: i64, b: i64) -> i64 {
///     a + b
/// }
///
/// let server = Server::new().commands(commands![add]).allow(Capabilities::all());
/// let server = server.start("mem:tower-doc")?;
/// let client = Client::connect("mem:tower-doc").wait()?;
///
/// // tower::ServiceBuilder::new().timeout(..).concurrency_limit(8).service(client.service::<i64>())
/// let mut service = client.service::<i64>();
/// let call = service.call(CommandCall::new("add", json!({ "a": 2, "b": 3 })));
/// assert_eq!(futures_lite::future::block_on(call)?, 5);
/// # server.stop();
/// # Ok::<(), tramline::Error>(())
/// ```
pub struct ClientService<T> {
    client: Client,
    result: PhantomData<fn() -> T>,
}

impl Client {
    /// This client as a `tower` service whose calls have a result of type `T`.
    #[must_use]
    pub fn service<T: FromAnswer>(&self) -> ClientService<T> {
        ClientService { client: self.clone(), result: PhantomData }
    }
}

impl<T> Clone for ClientService<T> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), result: PhantomData }
    }
}

impl<T> fmt::Debug for ClientService<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientService").field(&self.client).finish()
    }
}

/// A command's name, arguments and headers.
#[derive(Debug, Clone)]
pub struct CommandCall<A> {
    command: String,
    args: A,
    headers: Vec<(String, String)>,
}

impl<A: Serialize> CommandCall<A> {
    /// A call with arguments as [`Client::invoke`] takes them.
    pub fn new(command: impl Into<String>, args: A) -> Self {
        Self { command: command.into(), args, headers: Vec::new() }
    }

    /// Adds a header, as [`Invoke::header`](crate::Invoke::header).
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The command's name.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.command
    }
}

impl<T, A> Service<CommandCall<A>> for ClientService<T>
where
    T: FromAnswer + Send + 'static,
    A: Serialize + Send + 'static,
{
    type Response = T;
    type Error = InvokeError;
    type Future = Pin<Box<dyn Future<Output = Result<T, InvokeError>> + Send>>;

    /// Ready as long as the connection lives.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), InvokeError>> {
        Poll::Ready(match self.client.ended() {
            Some(error) => Err(SendError::Link(error).into()),
            None => Ok(()),
        })
    }

    fn call(&mut self, call: CommandCall<A>) -> Self::Future {
        let client = self.client.clone();
        Box::pin(async move {
            let CommandCall { command, args, headers } = call;
            let mut invoke = client.invoke(&command, args);
            for (name, value) in &headers {
                invoke = invoke.header(name, value);
            }
            invoke.await
        })
    }
}
