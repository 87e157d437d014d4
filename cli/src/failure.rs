//! What ends the program early, as one line.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use tramline::compat_json::TranscodeError;
use tramline::{ConnectError, InvokeError, LinkError};

use crate::folder::Refusal;
use crate::report::one_line;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("cannot read `{path}`: {why}")]
    Path { path: String, why: String },
    #[error("cannot inspect process {pid}: {why}")]
    Inspect { pid: u32, why: String },
    #[error("cannot start the worker")]
    Worker(#[source] ConnectError),
    #[error("cannot start the filter program")]
    Filter(#[source] io::Error),
    #[error("cannot serve")]
    Serve(#[source] tramline::Error),
    #[error("the client was cut off")]
    Client(#[source] LinkError),
    #[error("cannot find this program's own file")]
    OwnFile(#[source] io::Error),
    #[error("{0}")]
    Refused(Refusal),
    #[error(transparent)]
    Invoke(InvokeError),
    #[error("cannot encode the message")]
    Encode(#[from] tramline::EncodeError),
    #[error("cannot decode the message")]
    Decode(#[from] tramline::DecodeError),
    #[error("call {call} of `echo` came back with other data")]
    OtherEcho { call: u64 },
    #[error("{emitted} events were emitted, {in_order} arrived in order")]
    LostEvents { emitted: u64, in_order: u64 },
    #[error(transparent)]
    BadInput(TranscodeError),
    #[error("cannot read the input")]
    Input(#[source] io::Error),
    #[error("cannot keep a large value in a temporary file")]
    Spool(#[source] io::Error),
    #[error("the results differ, see the table")]
    NotIdentical,
    #[error("the folder changes while it is read; try a quieter one")]
    FolderChanges,
    #[cfg(target_os = "linux")]
    #[error("cannot pin to the CPU that was asked for")]
    Pin(#[source] io::Error),
    #[cfg(target_os = "linux")]
    #[error("cannot make a socket pair")]
    Pair(#[source] io::Error),
    #[cfg(target_os = "linux")]
    #[error("cannot start another process")]
    Helper(#[source] io::Error),
    #[cfg(target_os = "linux")]
    #[error("the other process does not answer any more")]
    OtherGone,
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Send(#[from] tramline::SendError),
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

impl Failure {
    pub(crate) fn path(path: &std::path::Path, error: &io::Error) -> Self {
        let path = path.to_string_lossy().into_owned();
        let why = plain(error);
        Self::Path { path, why }
    }

    /// The whole error, causes included, without a line break.
    pub(crate) fn line(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            let system = error.downcast_ref::<io::Error>();
            // The library shares the system's errors among the calls they end.
            let shared = error.downcast_ref::<Arc<io::Error>>().map(|e| &**e);
            text.push_str(&match system.or(shared) {
                Some(error) => plain(error),
                None => error.to_string(),
            });
            cause = error.source();
        }
        one_line(&text).into_owned()
    }
}

impl From<InvokeError> for Failure {
    fn from(error: InvokeError) -> Self {
        if let InvokeError::Failed(failure) = &error
            && let Ok(refusal) = failure.value()
        {
            return Self::Refused(refusal);
        }
        Self::Invoke(error)
    }
}

/// The system's words as the end of a sentence: without a capital letter and an error number.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}
