//! The demo's commands for JSON-RPC 2.0 clients. On standard output nothing but answers and events
//! is printed.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tramline::{JsonRpc, LinkError, Server};

use crate::failure::Failure;
use crate::folder::Folder;
use crate::{complain, worker};

/// Where the clients are, and what they may read.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// The folder whose files they may read.
    #[arg(default_value = ".")]
    folder: PathBuf,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// One client, on standard input and output; ends with standard input.
    #[arg(long)]
    stdio: bool,
    /// Any number of clients, on a Unix socket that is made at this path.
    #[cfg(unix)]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Any number of clients, on a named pipe; on Linux, a socket in the abstract namespace.
    #[arg(long, value_name = "NAME")]
    pipe: Option<String>,
}

impl Place {
    /// Clients, and where they find us unless they are there already.
    fn open(&self) -> (JsonRpc, Option<String>) {
        #[cfg(unix)]
        if let Some(path) = &self.socket {
            return (JsonRpc::socket(path), Some(path.to_string_lossy().into_owned()));
        }
        match &self.pipe {
            Some(name) => (JsonRpc::pipe(name), Some(name.clone())),
            None => (JsonRpc::stdio(), None),
        }
    }
}

/// Serves until the only client has gone, or for ever.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let folder = Folder::open(&args.folder).map_err(|e| Failure::path(&args.folder, &e))?;
    let ended = Arc::new(OnceLock::new());
    let told = Arc::clone(&ended);
    let server = worker::serving(Server::new(), folder).on_ended(move |_, why| {
        let _ = told.set(why.clone());
    });
    let (clients, found_at) = args.place.open();
    let running = server.start_json_rpc(clients).map_err(Failure::Serve)?;
    if let Some(place) = found_at {
        complain(&format!("serving JSON-RPC at {place}"));
    }
    running.wait();
    match ended.get() {
        // Who has heard enough is no failure.
        None | Some(LinkError::Closed | LinkError::PeerDied) => Ok(()),
        Some(other) => Err(Failure::Client(other.clone())),
    }
}
