//! What handing a body over costs against copying it: `cargo run --release -p tramline --example
//! handover`. The program starts itself as its own child process.

#![forbid(unsafe_code)]

#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    unix::main()
}

#[cfg(unix)]
mod unix {
    use std::hint::black_box;
    use std::process::Command;
    use std::time::{Duration, Instant};

    use tramline::{Capabilities, Limits, Raw, SealedBlob, Server, Sidecar, command, commands};

    /// Rounds for each figure; the middle one is told.
    const ROUNDS: usize = 61;

    type Done = Result<(), Box<dyn std::error::Error>>;

    /// Takes the body and looks at none of it.
    #[command(inline)]
    fn untouched(body: Raw) -> usize {
        body.0.len()
    }

    /// Reads all of it.
    #[command(inline)]
    fn read(body: Raw) -> u64 {
        body.0
            .chunks_exact(8)
            .map(|c| c.iter().fold(0, |a, b| a << 8 | u64::from(*b)))
            .fold(0, |a, b| a ^ b)
    }

    fn limits() -> Limits {
        let mut limits = Limits::default();
        limits.max_message_len = 128 << 20;
        limits
    }

    fn middle(
        mut round: impl FnMut() -> Result<Duration, Box<dyn std::error::Error>>,
    ) -> Result<f64, Box<dyn std::error::Error>> {
        let mut times = (0..ROUNDS).map(|_| round()).collect::<Result<Vec<_>, _>>()?;
        times.sort_unstable();
        Ok(times[ROUNDS / 2].as_secs_f64() * 1e6)
    }

    pub(super) fn main() -> Done {
        if std::env::var_os("TRAMLINE_PARENT").is_some() {
            let server = Server::from_parent().commands(commands![untouched, read]);
            return Ok(server.allow(Capabilities::all()).limits(limits()).run().wait()?);
        }
        let worker =
            Sidecar::spawn(Command::new(std::env::current_exe()?)).limits(limits()).wait()?;
        println!(
            "transport {}, microseconds a call, middle of {ROUNDS}",
            worker.server().transport()
        );
        println!(
            "{:>8} {:>10} {:>10} {:>14} {:>10}",
            "bytes", "command", "copied", "made + handed", "handed"
        );
        for len in [64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20] {
            let bytes = vec![7_u8; len];
            for name in ["untouched", "read"] {
                let call = |body: tramline::RawBody<'_>| -> Done {
                    black_box(match name {
                        "read" => worker.invoke_raw::<u64>(name, body).wait()?,
                        _ => worker.invoke_raw::<usize>(name, body).wait()? as u64,
                    });
                    Ok(())
                };
                let copied = middle(|| {
                    let start = Instant::now();
                    call((&bytes).into())?;
                    Ok(start.elapsed())
                })?;
                let made = middle(|| {
                    let start = Instant::now();
                    call(SealedBlob::from_bytes(&bytes)?.into())?;
                    Ok(start.elapsed())
                })?;
                let blob = SealedBlob::from_bytes(&bytes)?;
                let handed = middle(|| {
                    let start = Instant::now();
                    call((&blob).into())?;
                    Ok(start.elapsed())
                })?;
                println!("{len:>8} {name:>10} {copied:>10.0} {made:>14.0} {handed:>10.0}");
            }
        }
        Ok(())
    }
}
