//! A client whose calls a closure answers.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tramline_core::acl::Capabilities;
use tramline_core::codec::AnyCodec;
use tramline_core::command::{Call, Handler, Outcome, ViaResult as _};
use tramline_core::envelope::BodyKind;
use tramline_core::{CancelToken, Error, Rejection};

use super::{Clock, Pair, connect};
use crate::client::Client;
use crate::server::{Running, Server};
use crate::time::Time;

/// Answers one call: the result, or the error value.
type Answer = dyn Fn(&MockCall) -> Result<Value, Value> + Send + Sync;

/// What the mocked server's calls are answered with; `None` once that is cleared.
type Answers = Arc<Mutex<Option<Arc<Answer>>>>;

/// One call of a mocked client.
#[derive(Debug, Clone)]
pub struct MockCall {
    command: Box<str>,
    args: Value,
    raw: Option<Bytes>,
    headers: Vec<(Box<str>, Box<str>)>,
    timeout: Option<Duration>,
    token: CancelToken,
    clock: Clock,
}

impl MockCall {
    fn read(call: &Call<'_>, clock: Clock) -> Result<Self, Rejection> {
        let (args, raw) = match call.body_kind() {
            BodyKind::Structured => {
                let args = serde_json::from_slice(call.body());
                let bad =
                    |e: serde_json::Error| Rejection::BadArguments { text: e.to_string().into() };
                (args.map_err(bad)?, None)
            }
            BodyKind::Raw => (Value::Null, Some(call.to_body())),
            BodyKind::Empty => (Value::Null, None),
        };
        let headers = call.headers().map(|(name, value)| (name.into(), value.into())).collect();
        let (command, timeout, token) =
            (call.command().into(), call.timeout(), call.cancel_token());
        Ok(Self { command, args, raw, headers, timeout, token, clock })
    }

    /// The command's name.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.command
    }

    /// The arguments as JSON; `null` if there are none, or a raw body instead.
    #[must_use]
    pub fn args(&self) -> &Value {
        &self.args
    }

    /// The raw body of [`Client::invoke_raw`].
    #[must_use]
    pub fn raw(&self) -> Option<&Bytes> {
        self.raw.as_ref()
    }

    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| **found == *name).map(|(_, value)| &**value)
    }

    /// How long the caller waits for the answer.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Says when the caller no longer waits.
    #[must_use]
    pub fn cancel_token(&self) -> &CancelToken {
        &self.token
    }

    /// The client's time.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Lets the caller's deadline pass and waits until it has given up: for tests of what a program
    /// does when no answer comes. Without a deadline, or with one further away than the 49 days that
    /// travel with a call, it waits until the caller cancels or is gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use tramline::InvokeError;
    /// use tramline::test::mock_ipc;
    ///
    /// let mock = mock_ipc(|call| Err(call.never_answered())).start()?;
    /// let call = mock.client().invoke::<u64, _>("count", ()).timeout(Duration::from_secs(60));
    /// assert!(matches!(call.wait(), Err(InvokeError::Deadline(_))));
    /// # Ok::<(), tramline::Error>(())
    /// ```
    #[must_use = "nobody waits for it any more, but the closure has to return something"]
    pub fn never_answered(&self) -> Value {
        if let Some(timeout) = self.timeout {
            // It was sent in whole milliseconds.
            self.clock.advance(timeout + Duration::from_millis(1));
        }
        futures_lite::future::block_on(self.token.cancelled());
        Value::Null
    }
}

/// A mocked server about to be started, made by [`mock_ipc`].
#[must_use = "nothing happens until this is started"]
pub struct MockIpc {
    answer: Arc<Answer>,
    mocks_events: bool,
}

/// A client whose every call is answered by `answer`, like `mockIPC` of Tauri's JS API.
///
/// `answer` runs on a worker thread; calls that are under way together are answered together. An
/// `Err` fails the call with this value, as a command's own error would; a panic fails it, too, with
/// `handler-panicked`.
///
/// Events: the client may listen to anything, and hears what [`Mock::server`] emits. What it emits
/// itself goes nowhere, unless [`MockIpc::should_mock_events`] is said.
///
/// # Examples
///
/// ```
/// use tramline::test::mock_ipc;
/// use tramline::{Client, InvokeError, json};
///
/// /// The code to be tested.
/// fn total(client: &Client) -> Result<u64, InvokeError> {
///     let prices: Vec<u64> = client.invoke("prices", json!({ "shop": 7 })).wait()?;
///     Ok(prices.iter().sum())
/// }
///
/// let mock = mock_ipc(|call| match call.command() {
///     "prices" if call.args()["shop"] == 7 => Ok(json!([1, 2, 3])),
///     other => Err(json!(format!("{other} was not expected"))),
/// });
/// let mock = mock.start()?;
/// assert_eq!(total(mock.client())?, 6);
/// # Ok::<(), tramline::Error>(())
/// ```
pub fn mock_ipc<F>(answer: F) -> MockIpc
where
    F: Fn(&MockCall) -> Result<Value, Value> + Send + Sync + 'static,
{
    MockIpc { answer: Arc::new(answer), mocks_events: false }
}

impl MockIpc {
    /// Brings the client's events back to its own listeners, as `shouldMockEvents` does in Tauri. They
    /// run on the thread that emits, before `emit` returns.
    pub fn should_mock_events(mut self) -> Self {
        self.mocks_events = true;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// The system has no threads left.
    pub fn start(self) -> Result<Mock, Error> {
        let answers: Answers = Arc::new(Mutex::new(Some(self.answer)));
        let clock = Clock::new();
        let server = Server::new()
            .allow(Capabilities::all())
            .manage(clock.clone())
            .manage(Arc::clone(&answers))
            .fallback(Handler::Blocking(answer))
            .time(Time::of(clock.clone()))
            .without_endpoint()?;
        // JSON: the closure sees what a JSON client would say.
        let connect = connect(&server).codec(AnyCodec::JSON).mocking_events(self.mocks_events);
        let client = connect.wait()?;
        Ok(Mock { pair: Pair { client, server, clock }, answers })
    }
}

impl fmt::Debug for MockIpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockIpc").field("mocks_events", &self.mocks_events).finish_non_exhaustive()
    }
}

fn answer(call: &Call<'_>) {
    let states = call.states();
    let (Some(answers), Some(clock)) = (states.get::<Answers>(), states.get::<Clock>()) else {
        return;
    };
    // Without the lock while it runs.
    let found = answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(found) = found else {
        let text = format!("Command {} not found", call.command()).into();
        return call.reject(&Rejection::UnknownCommand { text });
    };
    match MockCall::read(call, clock.inner().clone()).map(|call| found(&call)) {
        Ok(answer) => Outcome(answer).answer_to(call),
        Err(rejection) => call.reject(&rejection),
    }
}

/// A mocked server at work, and its client. Dropping it ends both.
pub struct Mock {
    pair: Pair,
    answers: Answers,
}

impl Mock {
    /// The client, for the code to be tested.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.pair.client()
    }

    /// The server without commands behind it: emit with its [`clients`](Running::clients).
    #[must_use]
    pub fn server(&self) -> &Running {
        self.pair.server()
    }

    /// The client's time.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        self.pair.clock()
    }

    /// Forgets the closure, like `clearMocks`: from now on every command is unknown. Calls that are
    /// being answered go on.
    pub fn clear(&self) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl fmt::Debug for Mock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mock").field("clock", self.clock()).finish_non_exhaustive()
    }
}
