//! Batches of events, in both directions.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use futures_lite::future::block_on;
use tramline::{Client, Error};

use crate::peer::{DOWN, Emission, UP};
use crate::shapes::BlockRef;

/// Longer than any batch takes; after it the bench fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// Listens to the other process's events and counts them in order.
#[derive(Debug)]
pub struct Down<'a> {
    client: &'a Client,
    progress: Arc<Progress>,
    done: Receiver<()>,
}

/// Where the listener is in the batch.
#[derive(Debug, Default)]
struct Progress {
    handled: AtomicU64,
    batch: AtomicU64,
    len: AtomicUsize,
}

impl<'a> Down<'a> {
    /// Listens on `client`.
    ///
    /// # Errors
    ///
    /// The server cannot be told.
    pub fn listen(client: &'a Client) -> Result<Self, Error> {
        let progress = Arc::new(Progress::default());
        let (tell_done, done) = channel();
        let counted = Arc::clone(&progress);
        client
            .listen(DOWN, move |event| {
                let due = counted.handled.load(Ordering::Relaxed);
                let len = counted.len.load(Ordering::Relaxed);
                // Whatever is not the event that is due is not counted, and the batch never ends.
                if event.payload::<BlockRef>().is_ok_and(|b| b.id == due && b.data.len() == len) {
                    counted.handled.store(due + 1, Ordering::Relaxed);
                    if due + 1 == counted.batch.load(Ordering::Relaxed) {
                        let _ = tell_done.send(());
                    }
                }
            })
            .wait()?;
        Ok(Self { client, progress, done })
    }

    /// Has `batch` emitted and waits until the last one was handled. The time is from the request
    /// to there.
    ///
    /// The request is awaited, not waited for: so the listeners' thread reads the link, as in a
    /// program that is not in a call while events come.
    ///
    /// # Errors
    ///
    /// The request failed.
    ///
    /// # Panics
    ///
    /// If an event is missing, out of order or wrong.
    pub fn receive(&self, batch: Emission) -> Result<Duration, Error> {
        self.progress.handled.store(0, Ordering::Relaxed);
        self.progress.batch.store(batch.count, Ordering::Relaxed);
        self.progress.len.store(batch.len, Ordering::Relaxed);
        let started = Instant::now();
        let emitted: u64 = block_on(self.client.invoke("emit", batch).into_future())?;
        let done = self.done.recv_timeout(PATIENCE);
        let took = started.elapsed();
        let handled = self.progress.handled.load(Ordering::Relaxed);
        assert!(done.is_ok(), "{handled} of {emitted} events came in order within {PATIENCE:?}");
        Ok(took)
    }
}

/// Emits events to the other process, which counts them in order.
#[derive(Debug)]
pub struct Up<'a> {
    client: &'a Client,
    emitted: u64,
}

impl<'a> Up<'a> {
    /// Emits on `client`, which has emitted no [`UP`] event before.
    #[must_use]
    pub fn new(client: &'a Client) -> Self {
        Self { client, emitted: 0 }
    }

    /// Emits `count` events, then asks how many have come. The time covers both.
    ///
    /// # Errors
    ///
    /// The link is full or over.
    ///
    /// # Panics
    ///
    /// If an event is missing or out of order.
    pub fn emit(&mut self, count: u64, data: &[u8]) -> Result<Duration, Error> {
        let started = Instant::now();
        for id in self.emitted..self.emitted + count {
            self.client.emit(UP, &BlockRef::new(id, data))?;
        }
        self.emitted += count;
        let seen: u64 = self.client.invoke("seen", ()).wait()?;
        let took = started.elapsed();
        assert_eq!(seen, self.emitted, "events that came in order");
        Ok(took)
    }
}
