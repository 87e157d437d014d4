//! Calls of idempotent commands that are repeated over a new connection.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tramline_core::answer::FromAnswer;
use tramline_core::command::Command;
use tramline_core::{ConnectError, Error, InvokeError, SendError};

use crate::client::Client;
use crate::invoke::Invoke;

/// The header by which a command can tell that a call is the same one again.
const KEY: &str = "idempotency-key";

/// How long to wait before a server that was lost is looked for. A choice: long enough for a process
/// to be started anew in a few tries, too short to be noticed once.
const PAUSE: Duration = Duration::from_millis(100);

/// A client that connects again when its connection is over, and repeats the calls that may be
/// repeated.
///
/// A call is repeated only if its command is declared idempotent, by
/// [`command`](Self::command) or [`RetryInvoke::idempotent`], and only after the connection was
/// lost: a command that failed, was refused, cancelled or late is not called again. All tries carry
/// the same `idempotency-key` header. Every other call runs at most once: it fails as on a [`Client`]
/// with [`InvokeError::OutcomeUnknown`] if it may have run, and only the next call finds a new
/// connection.
///
/// Listeners and channels belong to one connection and are not set up again; arguments of such a
/// call name no channels.
///
/// # Examples
///
/// ```
/// use tramline::{Capabilities, Client, Retry, Server, command, commands, json};
///
/// #[command(idempotent)]
/// fn square(number: u64) -> u64 {
///     number * number
/// }
///
/// let server = Server::new().commands(commands![square]).allow(Capabilities::all());
/// let server = server.start("mem:retry-doc")?;
///
/// let retry = Retry::new(3, || Client::connect("mem:retry-doc").wait());
/// let nine: u64 = retry.command::<square, _, _>(json!({ "number": 3 })).wait()?;
/// assert_eq!(nine, 9);
/// let same: u64 = retry.invoke("square", json!({ "number": 3 })).idempotent().wait()?;
/// assert_eq!(same, 9);
/// # server.stop();
/// # Ok::<(), tramline::Error>(())
/// ```
#[derive(Clone)]
pub struct Retry(Arc<Shared>);

struct Shared {
    connect: Box<dyn Fn() -> Result<Client, ConnectError> + Send + Sync>,
    retries: u32,
    pause: Duration,
    client: Mutex<Option<Client>>,
}

impl Retry {
    /// Connects with `connect` when a call needs it, and repeats a call at most `retries` times.
    pub fn new(
        retries: u32,
        connect: impl Fn() -> Result<Client, ConnectError> + Send + Sync + 'static,
    ) -> Self {
        let (connect, client) = (Box::new(connect), Mutex::new(None));
        Self(Arc::new(Shared { connect, retries, pause: PAUSE, client }))
    }

    /// How long to wait before each repetition; 100 ms by default. Only before the first clone.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.pause = pause;
        }
        self
    }

    /// Calls a command by its name. It is not repeated, unless
    /// [`idempotent`](RetryInvoke::idempotent) is said.
    pub fn invoke<'a, T: FromAnswer, A: Serialize>(
        &'a self,
        command: &'a str,
        args: A,
    ) -> RetryInvoke<'a, T, A> {
        let result = PhantomData;
        RetryInvoke { retry: self, command, args, idempotent: false, timeout: None, result }
    }

    /// Calls a command by its declaration: it is repeated if that says `#[command(idempotent)]`.
    pub fn command<C: Command, T: FromAnswer, A: Serialize>(
        &self,
        args: A,
    ) -> RetryInvoke<'_, T, A> {
        RetryInvoke { idempotent: C::IDEMPOTENT, ..self.invoke(C::NAME, args) }
    }

    /// The client of the connection that is open; connects if none is.
    ///
    /// # Errors
    ///
    /// What `connect` says.
    pub fn client(&self) -> Result<Client, ConnectError> {
        // Held while connecting: others want the same connection.
        let mut client = self.0.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = client.as_ref().filter(|client| client.ended().is_none()) {
            return Ok(open.clone());
        }
        let new = (self.0.connect)()?;
        *client = Some(new.clone());
        Ok(new)
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry").field("retries", &self.0.retries).finish_non_exhaustive()
    }
}

/// A call of a [`Retry`] about to be made: `.await` it or `.wait()` for it.
#[must_use = "nothing happens until this is awaited or waited for"]
pub struct RetryInvoke<'a, T, A> {
    retry: &'a Retry,
    command: &'a str,
    args: A,
    idempotent: bool,
    timeout: Option<Duration>,
    result: PhantomData<fn() -> T>,
}

impl<T, A> RetryInvoke<'_, T, A> {
    /// Says that the command may run more than once for this call: running it again changes nothing
    /// that the first run has not.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Gives up a try after this time with [`InvokeError::Deadline`]; it is not repeated then.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    fn tries(&self) -> Tries {
        let retries = if self.idempotent { self.retry.0.retries } else { 0 };
        Tries { left: retries, key: self.idempotent.then(new_key) }
    }
}

impl<T: FromAnswer, A: Serialize> RetryInvoke<'_, T, A> {
    /// Calls, blocking this thread until the answer is there or no try is left.
    ///
    /// # Errors
    ///
    /// [`Error::Invoke`] as of the last try, or [`Error::Connect`] if that found no server.
    pub fn wait(self) -> Result<T, Error> {
        let mut tries = self.tries();
        loop {
            let tried = match self.retry.client() {
                Ok(client) => self.once(&client, &tries).wait().map_err(Error::from),
                Err(e) => Err(e.into()),
            };
            match tried {
                Err(e) if tries.may_follow(&e) => std::thread::sleep(self.retry.0.pause),
                tried => return tried,
            }
        }
    }

    fn once<'c>(&'c self, client: &'c Client, tries: &Tries) -> Invoke<'c, T, &'c A> {
        let mut call = client.invoke(self.command, &self.args);
        if let Some(key) = &tries.key {
            call = call.header(KEY, key);
        }
        match self.timeout {
            Some(timeout) => call.timeout(timeout),
            None => call,
        }
    }
}

impl<'a, T, A> IntoFuture for RetryInvoke<'a, T, A>
where
    T: FromAnswer + Send + 'a,
    A: Serialize + Send + Sync + 'a,
{
    type Output = Result<T, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut tries = self.tries();
            loop {
                let retry = self.retry.clone();
                let tried = match blocking::unblock(move || retry.client()).await {
                    Ok(client) => self.once(&client, &tries).await.map_err(Error::from),
                    Err(e) => Err(e.into()),
                };
                match tried {
                    Err(e) if tries.may_follow(&e) => {
                        let pause = self.retry.0.pause;
                        blocking::unblock(move || std::thread::sleep(pause)).await;
                    }
                    tried => return tried,
                }
            }
        })
    }
}

impl<T, A> fmt::Debug for RetryInvoke<'_, T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryInvoke")
            .field("command", &self.command)
            .field("idempotent", &self.idempotent)
            .finish_non_exhaustive()
    }
}

/// What is left of a call's tries.
struct Tries {
    left: u32,
    /// The same for all; `None` for a call that is not repeated.
    key: Option<String>,
}

impl Tries {
    /// Whether another try may follow this failure; takes it.
    fn may_follow(&mut self, error: &Error) -> bool {
        let lost = match error {
            Error::Invoke(
                InvokeError::OutcomeUnknown(_) | InvokeError::Send(SendError::Link(_)),
            )
            | Error::Link(_) => true,
            // A server that is being started anew; what cannot work does not begin to.
            Error::Connect(
                ConnectError::NotFound { .. }
                | ConnectError::TimedOut { .. }
                | ConnectError::Link(_)
                | ConnectError::Os { .. },
            ) => true,
            _ => false,
        };
        let may = lost && self.left > 0;
        self.left -= u32::from(may);
        may
    }
}

/// A key that no other call has: the standard library's keys differ from call to call.
fn new_key() -> String {
    let random = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", random(), random())
}
