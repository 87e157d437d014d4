//! The side that calls it.

use std::future::IntoFuture;

use futures_lite::StreamExt;
use futures_lite::future::try_zip;
use tramline::{Client, Error, Raw, json};

use crate::server::Progress;

/// Four chunks of 1 MiB.
const CHUNKS: u8 = 4;
const CHUNK_LEN: usize = 1 << 20;

pub(crate) async fn run(endpoint: &str) -> Result<(), Error> {
    let client = Client::connect(endpoint).await?;

    // Each channel has two ends: this side keeps one, the call takes the other along.
    let (data, upload) = client.channel_to::<Raw>();
    let (progress, mut reports) = client.channel::<Progress>();
    let len = u64::from(CHUNKS) * CHUNK_LEN as u64;
    let args = json!({ "len": len, "data": data, "progress": progress });
    let call = client.invoke::<u64, _>("checksum", args).into_future();

    // The call, what goes up and what comes down, all at the same time.
    let send = async move {
        for number in 0..CHUNKS {
            upload.send_async(&vec![number; CHUNK_LEN].into()).await?;
        }
        // `upload` goes here, and the command's reader comes to its end.
        Ok(())
    };
    let read = async {
        while let Some(report) = reports.next().await {
            println!("{} %", report?.percent);
        }
        Ok(())
    };
    let called = async { Ok::<_, Error>(call.await?) };
    let (sum, ((), ())) = try_zip(called, try_zip(send, read)).await?;
    println!("the bytes add up to {sum}");
    Ok(())
}
