//! Where the commands are: a connection that is made again when it has ended.

use std::future::{Future, IntoFuture as _, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use tauri::async_runtime;
use tramline::{AnyCodec, Client, Connect, ConnectError, WaitMode};
#[cfg(unix)]
use tramline::{Sidecar, Spawn};

/// After a failed start, the time in which the next one is not tried. A choice: a page that calls in
/// a loop starts no more than so many processes.
const GAP: Duration = Duration::from_millis(500);

type Making = Pin<Box<dyn Future<Output = Result<Held, ConnectError>> + Send>>;
/// What happens to a new connection before anybody has it.
pub(super) type Greet = dyn Fn(Client) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// A connection, and what keeps its other end alive.
pub(super) struct Held {
    client: Client,
    #[cfg(unix)]
    sidecar: Option<Sidecar>,
}

enum State {
    None,
    /// Who waits, in order.
    Making(Vec<Waker>),
    Up(Held),
    Failed(ConnectError, Instant),
}

/// How a connection is made.
pub(super) enum Source {
    Given,
    Made(Box<dyn Fn(Option<WaitMode>) -> Making + Send + Sync>),
}

/// A connection that is made when it is wanted.
pub(super) struct Connection {
    source: Source,
    /// How a connection of our own making waits, if not as whoever makes it says.
    waits: Option<WaitMode>,
    state: Mutex<State>,
}

impl Connection {
    /// One that is there, and is not made again.
    pub(super) fn given(client: Client) -> Self {
        let held = Held {
            client,
            #[cfg(unix)]
            sidecar: None,
        };
        Self { source: Source::Given, waits: None, state: Mutex::new(State::Up(held)) }
    }

    pub(super) fn connecting(connect: impl Fn() -> Connect + Send + Sync + 'static) -> Self {
        Self::made(move |waits| {
            let connect = connect().codec(AnyCodec::JSON);
            let connect = match waits {
                Some(mode) => connect.wait_mode(mode),
                None => connect,
            };
            let connect = connect.into_future();
            Box::pin(async move {
                Ok(Held {
                    client: connect.await?,
                    #[cfg(unix)]
                    sidecar: None,
                })
            })
        })
    }

    #[cfg(unix)]
    pub(super) fn spawning(spawn: impl Fn() -> Spawn + Send + Sync + 'static) -> Self {
        Self::made(move |waits| {
            let spawn = spawn().codec(AnyCodec::JSON);
            let spawn = match waits {
                Some(mode) => spawn.wait_mode(mode),
                None => spawn,
            };
            let spawn = spawn.into_future();
            Box::pin(async move {
                let sidecar = spawn.await?;
                Ok(Held { client: sidecar.client().clone(), sidecar: Some(sidecar) })
            })
        })
    }

    fn made(make: impl Fn(Option<WaitMode>) -> Making + Send + Sync + 'static) -> Self {
        Self { source: Source::Made(Box::new(make)), waits: None, state: Mutex::new(State::None) }
    }

    /// A thread of the app's looks out for answers: the connection's own need not.
    pub(super) fn is_looked_after(&mut self, is: bool) {
        self.waits = is.then_some(WaitMode::Idle);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, if it is there now.
    pub(super) fn up(&self) -> Option<Client> {
        match &*self.lock() {
            State::Up(held) if held.client.ended().is_none() => Some(held.client.clone()),
            _ => None,
        }
    }

    /// The connection, made if need be; `greet` is awaited before anybody has a new one.
    pub(super) async fn client(
        self: &Arc<Self>,
        greet: impl FnOnce() -> Arc<Greet>,
    ) -> Result<Client, ConnectError> {
        let (mut waited, mut greet) = (false, Some(greet));
        poll_fn(|cx| {
            let mut state = self.lock();
            match &mut *state {
                State::Up(held) => match held.client.ended() {
                    None => return Poll::Ready(Ok(held.client.clone())),
                    Some(error) if matches!(self.source, Source::Given) => {
                        return Poll::Ready(Err(error.into()));
                    }
                    Some(_) => {}
                },
                // Who has waited for a start hears how it went.
                State::Failed(error, since) if waited || since.elapsed() < GAP => {
                    return Poll::Ready(Err(error.clone()));
                }
                State::Making(waiting) => {
                    waited = true;
                    waiting.push(cx.waker().clone());
                    return Poll::Pending;
                }
                State::None | State::Failed(..) => {}
            }
            waited = true;
            let old = std::mem::replace(&mut *state, State::Making(vec![cx.waker().clone()]));
            drop(state);
            if let Some(greet) = greet.take() {
                self.make(old, greet());
            }
            Poll::Pending
        })
        .await
    }

    fn make(self: &Arc<Self>, old: State, greet: Arc<Greet>) {
        let Source::Made(make) = &self.source else { return };
        // A child that hangs may be waited for.
        async_runtime::spawn_blocking(move || drop(old));
        let (making, connection) = (make(self.waits), Arc::downgrade(self));
        async_runtime::spawn(async move {
            let made = making.await;
            if let Ok(held) = &made {
                greet(held.client.clone()).await;
            }
            let next = match made {
                Ok(held) => State::Up(held),
                Err(error) => {
                    log::warn!("tramline: no connection for forwarded commands: {error}");
                    State::Failed(error, Instant::now())
                }
            };
            let Some(connection) = connection.upgrade() else { return };
            let before = std::mem::replace(&mut *connection.lock(), next);
            if let State::Making(waiting) = before {
                waiting.into_iter().for_each(Waker::wake);
            }
        });
    }

    /// The child's process id, if it is a child.
    pub(super) fn child(&self) -> Option<u32> {
        #[cfg(unix)]
        if let State::Up(held) = &*self.lock() {
            return held.sidecar.as_ref().map(Sidecar::id);
        }
        None
    }
}
