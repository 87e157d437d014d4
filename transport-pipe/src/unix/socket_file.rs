//! A socket at a path of the user's choice.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use interprocess::local_socket::{ConnectOptions, GenericFilePath, Name, ToFsName};
use interprocess::os::unix::uds_local_socket;
use tramline_core::ConnectError;

use super::CONNECT_TIMEOUT;

/// The file of a socket that this process has made. Dropping it removes the file, unless another
/// one stands there by now.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// The file that has just been made.
    pub(super) fn made(path: &Path) -> io::Result<Self> {
        // This process may go to another folder before it removes the file.
        let path = std::path::absolute(path)?;
        let found = std::fs::symlink_metadata(&path)?;
        Ok(Self { path, device: found.dev(), inode: found.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode));
        if ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The place of a path, for binding and connecting.
pub(super) fn name(path: &Path) -> Result<Name<'static>, ConnectError> {
    path.to_owned()
        .to_fs_name::<GenericFilePath>()
        .map_err(|error| ConnectError::os("naming the socket", error))
}

/// Removes the socket of a process that is gone; false if it is something else, or somebody listens.
pub(super) fn remove_stale(path: &Path) -> Result<bool, ConnectError> {
    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if !is_socket {
        return Ok(false);
    }
    let tried = ConnectOptions::new()
        .name(name(path)?)
        .wait_mode(interprocess::ConnectWaitMode::Timeout(CONNECT_TIMEOUT))
        .connect_sync_as::<uds_local_socket::Stream>();
    match tried {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        _ => return Ok(false),
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ConnectError::os("removing a stale socket", error))
        }
        _ => Ok(true),
    }
}
