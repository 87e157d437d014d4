//! Takes away folders of apps that were killed, and so could not do it themselves.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use super::extension::{LIBRARY_NAME, PREFIX};

/// Younger folders are left alone: their owner may not have locked its library yet.
pub(super) const MIN_AGE: Duration = Duration::from_secs(60);

/// Removes the folders beside `ours` that are as ours is, and whose owner is dead: it held a lock on
/// its library as long as it lived.
pub(super) fn sweep(ours: &Path, min_age: Duration) {
    let Some(parent) = ours.parent() else { return };
    let Ok(uid) = fs::symlink_metadata(ours).map(|found| found.uid()) else { return };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let path = entry.path();
        if named && path != ours && is_one(&path, uid, min_age) {
            remove_if_left(&path);
        }
    }
}

/// A folder of this user's, closed to all others, with the library in it and nothing else.
fn is_one(path: &Path, uid: u32, min_age: Duration) -> bool {
    let Ok(found) = fs::symlink_metadata(path) else { return false };
    // In the future, by a clock that was set: not old.
    let age = found.modified().ok().and_then(|time| time.elapsed().ok());
    if !found.is_dir()
        || found.uid() != uid
        || found.mode() & 0o7777 != 0o700
        || age.is_none_or(|age| age < min_age)
    {
        return false;
    }
    let Ok(entries) = fs::read_dir(path) else { return false };
    let mut names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    let library = names.next().and_then(Result::ok);
    library.is_some_and(|name| name == LIBRARY_NAME) && names.next().is_none()
}

fn remove_if_left(path: &Path) {
    let library = path.join(LIBRARY_NAME);
    // No link and no pipe, which would have us wait.
    if !fs::symlink_metadata(&library).is_ok_and(|found| found.is_file()) {
        return;
    }
    let Ok(file) = File::open(&library) else { return };
    if file.try_lock().is_err() {
        return;
    }
    // Another app may be at the same: then it is gone already.
    if fs::remove_file(&library).is_ok() {
        let _ = fs::remove_dir(path);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn folder(parent: &Path, name: &str, mode: u32) -> std::path::PathBuf {
        let path = parent.join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join(LIBRARY_NAME), b"library").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn only_what_is_surely_left_by_a_dead_app_of_this_user_is_taken_away() {
        let parent = tempfile::tempdir().unwrap();
        let parent = parent.path();
        let ours = folder(parent, "tramline-ours", 0o700);
        let left = folder(parent, "tramline-left", 0o700);
        let alive = folder(parent, "tramline-alive", 0o700);
        let lock = File::open(alive.join(LIBRARY_NAME)).unwrap();
        lock.lock().unwrap();
        let others = [
            alive.clone(),
            folder(parent, "tramline-open", 0o755),
            folder(parent, "another-name", 0o700),
            folder(parent, "tramline-more", 0o700),
            parent.join("tramline-empty"),
            parent.join("tramline-link"),
        ];
        fs::write(parent.join("tramline-more/notes.txt"), b"mine").unwrap();
        fs::create_dir(parent.join("tramline-empty")).unwrap();
        std::os::unix::fs::symlink(parent.join("another-name"), parent.join("tramline-link"))
            .unwrap();

        sweep(&ours, Duration::from_secs(3600));
        assert!(left.exists(), "too young");
        sweep(&ours, Duration::ZERO);
        assert!(!left.exists());
        assert!(ours.join(LIBRARY_NAME).exists());
        for other in others {
            assert!(fs::symlink_metadata(&other).is_ok(), "{}", other.display());
        }
        drop(lock);
        sweep(&ours, Duration::ZERO);
        assert!(!alive.exists(), "its owner is gone now");
    }
}
