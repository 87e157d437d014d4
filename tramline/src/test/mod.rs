//! For the tests of programs that use this library: clients whose calls a closure answers, a server
//! and its client in one process without a name, and a clock that a test moves. Feature `test-kit`.
//!
//! The whole way of a message is the real one, over the transport for two sides in one process: gate,
//! router, codec, handlers, events and channels. The page `docs/TESTING.md` has examples, `examples/testing` is
//! a crate that is tested with it.
//!
//! # What the clock moves
//!
//! Deadlines of calls, quotas per second, and how long a sender waits for room. Not: the time that
//! connecting and closing may take, anything of the JSON-RPC face, and what your own code reads from
//! the system's clock.

mod clock;
mod events;
mod mock;
mod response;

use std::fmt;
use std::time::Duration;

use tramline_core::Error;

pub use self::clock::Clock;
pub(crate) use self::events::EventsStay;
pub use self::mock::{Mock, MockCall, MockIpc, mock_ipc};
pub use self::response::{IpcResponse, assert_ipc_response, get_ipc_response};
use crate::client::{Client, Connect};
use crate::server::{Running, Server};
use crate::time::Time;

/// A server and its client in this process, with a time of their own. Dropping it stops the server.
pub struct Pair {
    client: Client,
    server: Running,
    clock: Clock,
}

/// Starts a server that only this process can reach, without a name, and connects a client to it.
///
/// The server's commands can ask for `State<'_, Clock>`.
///
/// # Errors
///
/// As [`Server::start`] and [`Client::connect`]: also what [`Server::admit`] says to a client without
/// a label.
///
/// # Examples
///
/// A deadline of an hour, passed without waiting for it:
///
/// ```
/// use std::time::Duration;
/// use tramline::test::{Clock, pair};
/// use tramline::{CancelToken, Capabilities, InvokeError, Server, State, command, commands};
///
/// /// Works for a day, or until nobody waits any more.
/// #[command]
/// async fn brood(clock: State<'_, Clock>, token: CancelToken) {
///     clock.advance(Duration::from_secs(86_400));
///     token.cancelled().await;
/// }
///
/// let server = Server::new().commands(commands![brood]).allow(Capabilities::all());
/// let pair = pair(server)?;
/// let call = pair.client().invoke::<(), _>("brood", ()).timeout(Duration::from_secs(3600));
/// assert!(matches!(call.wait(), Err(InvokeError::Deadline(_))));
/// # Ok::<(), tramline::Error>(())
/// ```
pub fn pair(server: Server) -> Result<Pair, Error> {
    let clock = Clock::new();
    let server = server.manage(clock.clone()).time(Time::of(clock.clone())).without_endpoint()?;
    let client = connect(&server).wait()?;
    Ok(Pair { client, server, clock })
}

/// Connects to a server of this process, wherever it was started. It hears nothing of the endpoint,
/// so [`Server::admit`] sees a visitor without a process.
///
/// # Examples
///
/// ```
/// use tramline::{Server, test};
///
/// let pair = test::pair(Server::new())?;
/// let editor = test::connect(pair.server()).label("editor").wait()?;
/// let labels: Vec<_> =
///     pair.server().clients().list().iter().map(|c| c.label().map(str::to_owned)).collect();
/// assert_eq!(labels, [None, Some("editor".into())]);
/// # drop(editor);
/// # Ok::<(), tramline::Error>(())
/// ```
pub fn connect(server: &Running) -> Connect {
    Connect::within(server.hub())
}

impl Pair {
    /// The client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Running {
        &self.server
    }

    /// The time by which both go.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Moves the clock on, see [`Clock::advance`].
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("clock", &self.clock).finish_non_exhaustive()
    }
}
