//! The side that offers a command.

use std::io::{Read, Write};

use serde::{Deserialize, Serialize};
use tramline::{Capabilities, Channel, ChannelReader, Raw, Server, command, commands};

/// What the command tells while it works.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) percent: u64,
}

/// Adds up the bytes that its caller sends, and says how far it is.
///
/// `data` ends when the caller drops its end, `progress` when this function returns. Neither needs
/// much memory: whoever sends waits for whoever reads.
#[command]
fn checksum(
    len: u64,
    data: ChannelReader<Raw>,
    progress: Channel<Progress>,
) -> Result<u64, String> {
    let (mut sum, mut done, mut told) = (0, 0, 0);
    for chunk in data {
        let Raw(bytes) = chunk.map_err(|e| e.to_string())?;
        sum += bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        done += bytes.len() as u64;
        let percent = 100 * done / len.max(1);
        if percent >= told + 25 {
            told = percent;
            progress.send(&Progress { percent }).map_err(|e| e.to_string())?;
        }
    }
    Ok(sum)
}

pub(crate) fn run(endpoint: &str) -> Result<(), Box<dyn std::error::Error>> {
    let allowed = Capabilities::none().command("checksum");
    let server = Server::new().commands(commands![checksum]).allow(allowed).start(endpoint)?;
    println!("ready");
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    server.stop();
    Ok(())
}
