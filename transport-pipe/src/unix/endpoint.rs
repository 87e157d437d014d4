//! Where a name is found: the abstract namespace on Linux, a private folder elsewhere.

use rustix::process::geteuid;
use tramline_core::ConfigError;

use crate::stream::check_name;

/// The name of a user's endpoint, without its place.
fn full_name(name: &str) -> Result<String, ConfigError> {
    check_name(name)?;
    Ok(format!("tramline-{}-{name}", geteuid().as_raw()))
}

/// What keeps a bound name, and takes it off the disk in the end.
#[derive(Debug)]
pub(crate) struct Claim {
    #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
    _file: Option<folder::Held>,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use abstract_name::{to_bind, to_connect};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use folder::{to_bind, to_connect};

/// Names that live as long as their socket and never touch the disk.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod abstract_name {
    use interprocess::local_socket::{GenericNamespaced, Name, ToNsName};
    use tramline_core::ConnectError;

    use super::{Claim, full_name};

    /// The place of `name`, for connecting.
    pub(crate) fn to_connect(name: &str) -> Result<Name<'static>, ConnectError> {
        full_name(name)?
            .to_ns_name::<GenericNamespaced>()
            .map_err(|error| ConnectError::os("naming the socket", error))
    }

    /// The place of `name`, for binding.
    pub(crate) fn to_bind(name: &str) -> Result<(Name<'static>, Claim), ConnectError> {
        #[cfg(test)]
        let claim = Claim { _file: None };
        #[cfg(not(test))]
        let claim = Claim {};
        Ok((to_connect(name)?, claim))
    }
}

/// Names as socket files. Also built for tests on Linux, where it is not used.
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
#[cfg_attr(any(target_os = "linux", target_os = "android"), allow(dead_code))]
mod folder {
    use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
    use std::path::{Path, PathBuf};

    use interprocess::local_socket::{GenericFilePath, Name, ToFsName};
    use rustix::process::geteuid;
    use tramline_core::ConnectError;

    use super::{Claim, full_name};

    /// The lock that says who serves a name, and the socket file to remove.
    #[derive(Debug)]
    pub(super) struct Held {
        socket: PathBuf,
        _lock: File,
    }

    impl Drop for Held {
        fn drop(&mut self) {
            // Under the lock, so it cannot be a successor's. The lock file stays: whoever removed
            // it could remove the one that a third process just locked.
            let _ = std::fs::remove_file(&self.socket);
        }
    }

    /// The folder of this user; only he can look into it.
    fn private_folder() -> Result<PathBuf, ConnectError> {
        let base = std::env::var_os("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .unwrap_or_else(std::env::temp_dir);
        make_private(&base.join(format!("tramline-{}", geteuid().as_raw())))
    }

    pub(super) fn make_private(folder: &Path) -> Result<PathBuf, ConnectError> {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(ConnectError::os("making the socket folder", error));
            }
            _ => {}
        }
        let found = std::fs::symlink_metadata(folder)
            .map_err(|error| ConnectError::os("looking at the socket folder", error))?;
        let expected = geteuid().as_raw();
        if found.uid() != expected {
            return Err(ConnectError::PeerUser { found: found.uid(), expected });
        }
        if !found.is_dir() || found.mode() & 0o077 != 0 {
            let why = "the socket folder is open to other users".into();
            return Err(ConnectError::Transport { transport: "pipe", why });
        }
        Ok(folder.to_owned())
    }

    fn socket_name(path: PathBuf) -> Result<Name<'static>, ConnectError> {
        path.to_fs_name::<GenericFilePath>()
            .map_err(|error| ConnectError::os("naming the socket", error))
    }

    pub(crate) fn to_connect(name: &str) -> Result<Name<'static>, ConnectError> {
        let file = full_name(name)?;
        socket_name(private_folder()?.join(file))
    }

    pub(crate) fn to_bind(name: &str) -> Result<(Name<'static>, Claim), ConnectError> {
        let file = full_name(name)?;
        let held = hold(&private_folder()?, &file, name)?;
        Ok((socket_name(held.socket.clone())?, Claim { _file: Some(held) }))
    }

    /// Takes the lock of a name and removes what a dead process left.
    pub(super) fn hold(folder: &Path, file: &str, name: &str) -> Result<Held, ConnectError> {
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join(format!("{file}.lock")))
            .map_err(|error| ConnectError::os("opening the lock of the name", error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(ConnectError::InUse { endpoint: name.into() });
            }
            Err(TryLockError::Error(error)) => {
                return Err(ConnectError::os("locking the name", error));
            }
        }
        let socket = folder.join(file);
        match std::fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ConnectError::os("removing a stale socket", error))
            }
            _ => Ok(Held { socket, _lock: lock }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::folder;
    use std::os::unix::fs::PermissionsExt;
    use tramline_core::ConnectError;

    #[test]
    fn stale_file_of_a_dead_process_is_replaced_and_a_live_one_is_not() {
        let folder = std::env::temp_dir().join(format!("tramline-test-{}", std::process::id()));
        let folder = folder::make_private(&folder).expect("private folder");
        std::fs::write(folder.join("n"), "stale").expect("write");
        let held = folder::hold(&folder, "n", "n").expect("free");
        assert!(!folder.join("n").exists());
        let second = folder::hold(&folder, "n", "n");
        assert!(matches!(second, Err(ConnectError::InUse { .. })), "{second:?}");
        std::fs::write(folder.join("n"), "live").expect("write");
        drop(held);
        assert!(!folder.join("n").exists());
        folder::hold(&folder, "n", "n").expect("free again");
        std::fs::remove_dir_all(&folder).expect("remove");
    }

    #[test]
    fn folder_that_others_can_enter_is_refused() {
        let folder = std::env::temp_dir().join(format!("tramline-open-{}", std::process::id()));
        folder::make_private(&folder).expect("private folder");
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).expect("chmod");
        let refused = folder::make_private(&folder);
        assert!(matches!(refused, Err(ConnectError::Transport { .. })), "{refused:?}");
        std::fs::remove_dir(&folder).expect("remove");
    }
}
