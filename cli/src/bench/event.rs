//! Events from the serving process to the calling one: delivered, decoded, counted in order.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use futures_lite::future::block_on;
use tramline::Client;

use super::args::{Args, Transport};
use super::pair::Pair;
use super::peer::{BlockRef, DOWN, Emission};
use super::report::{Line, ratio};
use super::ring::{self, Flush};
use super::window::{self, Burst, Measure};
use crate::failure::Failure;

/// Longer than any batch takes; after it events are lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// Events of the first batch; later ones are as many as their time takes.
const FIRST_BATCH: u64 = 200;

pub(crate) fn measure(args: &Args, pair: &mut Pair) -> Result<Line, Failure> {
    let len = args.payload_len();
    let mut down = Down::listen(&pair.client, len)?;
    let mut measures: Vec<Measure<'_>> = vec![Box::new(move |_, slice| down.burst(slice))];
    if args.transport == Transport::Shm {
        measures.push(ring::one_way(len, Flush::Batches));
        measures.push(ring::one_way(len, Flush::Each));
    }
    let figures = window::run(args.time(), pair, u32::MAX, &mut measures)?;
    let mut line = Line::new(args);
    let events = &figures.series[0];
    line.burst(events, len, &figures.floor);
    if let [_, batches, each] = &figures.series[..] {
        line.number("ring_per_s", batches.per_second());
        line.number("ratio_ring", ratio(events.per_second(), batches.per_second()));
        line.number("ring_each_per_s", each.per_second());
        line.number("ratio_ring_each", ratio(events.per_second(), each.per_second()));
    }
    // Whoever misses one ends the run.
    line.count("lost", 0);
    line.windows(&figures);
    Ok(line)
}

/// Listens and counts.
struct Down {
    client: Client,
    len: usize,
    progress: Arc<Progress>,
    ended: Receiver<()>,
    per_second: f64,
}

/// Where the listener is in its batch.
#[derive(Default)]
struct Progress {
    in_order: AtomicU64,
    batch: AtomicU64,
    wrong: AtomicBool,
    len: AtomicUsize,
}

impl Progress {
    /// Relaxed throughout: events come on one thread, and the channel orders the rest.
    fn take(&self, event: Option<&BlockRef<'_>>, ended: &Sender<()>) {
        let due = self.in_order.load(Ordering::Relaxed);
        let len = self.len.load(Ordering::Relaxed);
        let good = event.is_some_and(|event| event.id == due && event.data.len() == len);
        if good {
            self.in_order.store(due + 1, Ordering::Relaxed);
        } else if self.wrong.swap(true, Ordering::Relaxed) {
            return;
        }
        if !good || due + 1 == self.batch.load(Ordering::Relaxed) {
            let _ = ended.send(());
        }
    }
}

impl Down {
    fn listen(client: &Client, len: usize) -> Result<Self, Failure> {
        let progress = Arc::new(Progress::default());
        let (tell, ended) = mpsc::channel();
        let counted = Arc::clone(&progress);
        client
            .listen(DOWN, move |event| {
                counted.take(event.payload::<BlockRef<'_>>().ok().as_ref(), &tell);
            })
            .wait()?;
        let client = client.clone();
        Ok(Self { client, len, progress, ended, per_second: 0.0 })
    }

    fn burst(&mut self, slice: Duration) -> Result<Burst, Failure> {
        let first = self.per_second == 0.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates, and rates are positive"
        )]
        let wanted = (self.per_second * slice.as_secs_f64()) as u64;
        let done = if first {
            // Two batches to find out how many the time takes.
            let tried = self.batch(FIRST_BATCH)?;
            self.batch(tried.count * 5)?
        } else {
            self.batch(wanted.max(FIRST_BATCH / 10))?
        };
        self.per_second = done.per_second().unwrap_or(self.per_second);
        Ok(done)
    }

    /// Has `count` events emitted and waits for the last one. The request is awaited, not waited
    /// for: so the listeners' thread reads the link, as in a program that is not in a call.
    fn batch(&mut self, count: u64) -> Result<Burst, Failure> {
        let progress = &self.progress;
        progress.in_order.store(0, Ordering::Relaxed);
        progress.batch.store(count, Ordering::Relaxed);
        progress.len.store(self.len, Ordering::Relaxed);
        let started = Instant::now();
        let emission = Emission { count, len: self.len };
        let emitted: u64 = block_on(self.client.invoke("emit", emission).into_future())?;
        let ended = self.ended.recv_timeout(PATIENCE);
        let took = started.elapsed();
        let in_order = progress.in_order.load(Ordering::Relaxed);
        if ended.is_err() || emitted != count || in_order != count {
            return Err(Failure::LostEvents { emitted, in_order });
        }
        Ok(Burst::counted(count, took))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_is_missing_doubled_or_cut_ends_the_batch_short() {
        for bad in [
            Some(BlockRef::new(2, &[0; 4])),
            Some(BlockRef::new(0, &[0; 4])),
            Some(BlockRef::new(1, &[0; 3])),
            None,
        ] {
            let (tell, ended) = mpsc::channel();
            let progress = Progress::default();
            progress.batch.store(3, Ordering::Relaxed);
            progress.len.store(4, Ordering::Relaxed);
            progress.take(Some(&BlockRef::new(0, &[0; 4])), &tell);
            assert!(ended.try_recv().is_err());
            progress.take(bad.as_ref(), &tell);
            assert!(ended.try_recv().is_ok());
            assert_eq!(progress.in_order.load(Ordering::Relaxed), 1);
        }
    }
}
