//! Reading a connection on a thread that has an event loop to go back to.

use std::fmt;
use std::time::Duration;

use crate::link::Link;

/// A thread that looks out, for a moment, for what awaited calls and channels wait for: it then comes
/// without a change of threads and without the peer's wake.
///
/// For event loops that begin a call and would rather look for some microseconds than sleep. It is
/// made by [`Client::look_out`](crate::Client::look_out) before the call is sent. As long as it lives
/// the peer does not wake the connection's own thread, so it must not live longer than a moment.
///
/// That thread looks out as well, and then this one is not needed, unless the connection's
/// [`WaitMode`](crate::WaitMode) is [`Idle`](crate::WaitMode::Idle), which goes best with this.
///
/// # Examples
///
/// ```
/// use std::future::IntoFuture as _;
/// use std::pin::pin;
/// use std::task::{Context, Poll, Waker};
/// use std::time::Duration;
///
/// use tramline::{Capabilities, Client, Server, WaitMode, command, commands};
///
/// #[command(inline)]
/// fn add(a: i64, b: i64) -> i64 {
///     a + b
/// }
///
/// let server = Server::new().commands(commands![add]).allow(Capabilities::all());
/// let server = server.start("mem:look-out-doc")?;
/// let client = Client::connect("mem:look-out-doc").wait_mode(WaitMode::Idle).wait()?;
///
/// let look_out = client.look_out();
/// let call = client.invoke::<i64, _>("add", tramline::json!({ "a": 2, "b": 3 }));
/// let mut call = pin!(call.into_future());
/// let sum = loop {
///     match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
///         Poll::Ready(sum) => break sum?,
///         Poll::Pending => look_out.at_most(Duration::from_micros(20)),
///     };
/// };
/// drop(look_out);
/// assert_eq!(sum, 5);
/// # server.stop();
/// # Ok::<(), tramline::Error>(())
/// ```
#[must_use = "the peer wakes the connection's thread again when this is dropped"]
pub struct LookOut<'a> {
    link: &'a Link,
}

impl<'a> LookOut<'a> {
    pub(crate) fn new(link: &'a Link) -> Self {
        link.ignore_bell();
        Self { link }
    }

    /// Looks for up to this time. True as soon as something has come, be it the end of the connection;
    /// false when the time is over, and at once while another thread reads.
    ///
    /// Wakers are called on this thread, listeners are not.
    pub fn at_most(&self, time: Duration) -> bool {
        self.link.look_out(time)
    }
}

impl Drop for LookOut<'_> {
    fn drop(&mut self) {
        self.link.listen_for_bell();
    }
}

impl fmt::Debug for LookOut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookOut").finish_non_exhaustive()
    }
}
