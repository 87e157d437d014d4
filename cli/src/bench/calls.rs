//! Bursts of calls: one after the other, from several threads, several under way.

use std::cell::RefCell;
use std::future::IntoFuture;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use async_executor::LocalExecutor;
use futures_lite::future::block_on;
use tramline::Client;

use super::peer::{Block, BlockRef};
use super::window::{Burst, nanos, time_each, time_until, warm_up};
use crate::failure::Failure;

/// Samples that memory is kept ready for, of each thread.
const SAMPLES: usize = 1 << 20;

/// One call, answered with what was sent; the answer is read where it lies.
pub(crate) fn echo(client: &Client, id: u64, data: &[u8]) -> Result<(), Failure> {
    let call = client.invoke_borrowed("echo", BlockRef::new(id, data));
    let same = call.wait_with(|answer| {
        answer.decode::<BlockRef<'_>>().map(|back| is_same(back.id, &back.data, id, data))
    })?;
    if same { Ok(()) } else { Err(Failure::OtherEcho { call: id }) }
}

/// The bytes are compared once a burst: it would take longer than to move them.
fn is_same(back_id: u64, back: &[u8], id: u64, data: &[u8]) -> bool {
    back_id == id && back.len() == data.len() && (id != 0 || back == data)
}

/// Calls one after the other on this thread, each waited for.
pub(crate) fn one_by_one(
    client: &Client,
    data: &[u8],
    samples: &mut Vec<u32>,
    slice: Duration,
) -> Result<Burst, Failure> {
    time_each(samples, slice, |id| echo(client, id, data))
}

/// Calls from `threads` threads, of which each has `inflight` under way.
pub(crate) fn many(
    client: &Client,
    data: &[u8],
    threads: usize,
    inflight: usize,
    slice: Duration,
) -> Result<Burst, Failure> {
    let start = Barrier::new(threads);
    let worker = || {
        let mut samples = vec![1; SAMPLES];
        samples.clear();
        let once = |id| echo(client, id, data);
        let warm = warm_up(slice, once);
        // Whatever happened: the others wait here, too.
        start.wait();
        let began = Instant::now();
        let burst = if inflight == 1 {
            time_until(&mut samples, slice, warm?, once)
        } else {
            warm?;
            awaited(client, data, inflight, samples, slice)
        };
        burst.map(|burst| (began, began + burst.elapsed, burst))
    };
    let ended = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let joined = workers.into_iter().map(|w| w.join().map_err(|_| Failure::OtherGone)?);
        joined.collect::<Result<Vec<_>, Failure>>()
    })?;
    let mut all = Burst::empty();
    ended.iter().for_each(|(_, _, burst)| all.add(burst));
    // They run at the same time: from the first one's start to the last one's end.
    let first = ended.iter().map(|(began, ..)| *began).min();
    let last = ended.iter().map(|(_, ended, _)| *ended).max();
    all.elapsed = first.zip(last).map(|(first, last)| last - first).unwrap_or_default();
    Ok(all)
}

/// Calls that are awaited, `inflight` of them at once.
fn awaited(
    client: &Client,
    data: &[u8],
    inflight: usize,
    samples: Vec<u32>,
    slice: Duration,
) -> Result<Burst, Failure> {
    let samples = RefCell::new(samples);
    let start = Instant::now();
    let executor = LocalExecutor::new();
    let call_on = |first: u64| {
        let samples = &samples;
        async move {
            for id in (first..).step_by(inflight) {
                let before = Instant::now();
                let call = client.invoke("echo", BlockRef::new(id, data));
                let back: Block = call.into_future().await?;
                if !is_same(back.id, &back.data, id, data) {
                    return Err(Failure::OtherEcho { call: id });
                }
                let now = Instant::now();
                let mut samples = samples.borrow_mut();
                samples.push(nanos(now - before));
                if now - start >= slice || samples.len() == samples.capacity() {
                    break;
                }
            }
            Ok::<(), Failure>(())
        }
    };
    let tasks: Vec<_> = (0..inflight as u64).map(|first| executor.spawn(call_on(first))).collect();
    let ended: Result<(), Failure> = block_on(executor.run(async {
        for task in tasks {
            task.await?;
        }
        Ok(())
    }));
    ended?;
    let elapsed = start.elapsed();
    Ok(Burst::timed(&samples.borrow(), elapsed))
}
