//! Where async commands run.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use futures_lite::FutureExt;
use tramline_core::command::CommandFuture;
use tramline_core::events::Work;

/// Runs the futures of async commands.
#[derive(Clone)]
pub(crate) struct Executor(Arc<dyn Fn(CommandFuture) + Send + Sync>);

impl Executor {
    pub(crate) fn new(spawn: impl Fn(CommandFuture) + Send + Sync + 'static) -> Self {
        Self(Arc::new(spawn))
    }

    pub(crate) fn spawn(&self, future: CommandFuture) {
        // A panic has answered its call already (`OwnedCall`'s drop); it must not end the executor.
        let future = AssertUnwindSafe(future).catch_unwind();
        (self.0)(Box::pin(async move {
            let _ = future.await;
        }));
    }
}

impl Default for Executor {
    /// One thread for all async commands of this process, started with the first of them.
    fn default() -> Self {
        Self::new(|future| {
            static SHARED: OnceLock<Option<Arc<async_executor::Executor<'static>>>> =
                OnceLock::new();
            let executor = SHARED.get_or_init(|| {
                let executor = Arc::new(async_executor::Executor::new());
                let runs = Arc::clone(&executor);
                std::thread::Builder::new()
                    .name("tramline-async".into())
                    .spawn(move || {
                        futures_lite::future::block_on(runs.run(std::future::pending::<()>()));
                    })
                    .ok()
                    .map(|_| executor)
            });
            // Without a thread the future is dropped, and dropping answers the call.
            if let Some(executor) = executor {
                executor.spawn(future).detach();
            }
        })
    }
}

/// Does work that may block, on a thread that plain commands use as well.
pub(crate) fn on_a_thread(work: Work) {
    blocking::unblock(work).detach();
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Executor")
    }
}
