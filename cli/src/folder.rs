//! The files of one folder. Nothing here knows that another process asks.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use crate::failure::plain;

/// How many of the largest files a scan names.
const LARGEST: usize = 10;

/// Entries between two reports of progress: a choice, some hundred reports on a large tree.
const REPORT_EVERY: u64 = 512;

/// Bytes that are hashed at a time.
const CHUNK_LEN: usize = 64 * 1024;

/// The one folder whose files may be read.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

/// What a scan found. Symbolic links are not followed and not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scan {
    pub(crate) files: u64,
    /// Lengths of all files together, in bytes.
    pub(crate) bytes: u64,
    /// Entries that could not be read; a folder's content then is not counted.
    pub(crate) unreadable: u64,
    /// The largest first; equal lengths by path.
    pub(crate) largest: Vec<FileEntry>,
    /// The largest file that can be opened, has a name in UTF-8 and is not longer than was asked.
    pub(crate) fitting: Option<FileEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    /// Below the folder. What is not UTF-8 is replaced.
    pub(crate) path: String,
    /// In bytes.
    pub(crate) len: u64,
}

/// How far a scan is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digest {
    /// In bytes.
    pub(crate) len: u64,
    /// Hexadecimal.
    pub(crate) blake3: String,
}

/// Why a command does not answer: the value it fails with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: &str, message: impl fmt::Display) -> Self {
        Self { code: code.into(), message: message.to_string() }
    }

    fn unreadable(error: &io::Error) -> Self {
        Self::new("unreadable", format_args!("the file cannot be read: {}", plain(error)))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl Folder {
    /// The folder at `path`, if it can be listed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        fs::read_dir(path)?;
        Ok(Self(path.canonicalize()?))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The place of `path`, which is relative to the folder and must stay below it.
    fn resolve(&self, path: &str) -> Result<PathBuf, Refusal> {
        let outside = || Refusal::new("outside", "the path leads out of the folder");
        let below = Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !below {
            return Err(outside());
        }
        // A symbolic link in it may still lead elsewhere.
        let real = self.0.join(path).canonicalize().map_err(|e| Refusal::unreadable(&e))?;
        if real.starts_with(&self.0) { Ok(real) } else { Err(outside()) }
    }

    fn open_file(&self, path: &str) -> Result<File, Refusal> {
        let real = self.resolve(path)?;
        let kind = fs::metadata(&real).map_err(|e| Refusal::unreadable(&e))?;
        // Opening a named pipe would wait for its other end.
        if !kind.is_file() {
            return Err(Refusal::new("not-a-file", "the path names no file"));
        }
        File::open(real).map_err(|e| Refusal::unreadable(&e))
    }

    /// Counts the files below `path`. `told` hears of the progress and can end the scan.
    pub(crate) fn scan(
        &self,
        path: &str,
        fitting_len: u64,
        mut told: impl FnMut(Progress) -> Result<(), Refusal>,
    ) -> Result<Scan, Refusal> {
        let mut scan = Scan::default();
        let mut entries = 0_u64;
        for entry in WalkDir::new(self.resolve(path)?).follow_links(false) {
            entries += 1;
            if entries.is_multiple_of(REPORT_EVERY) {
                told(scan.progress())?;
            }
            let Ok(entry) = entry else {
                scan.unreadable += 1;
                continue;
            };
            if !entry.file_type().is_file() {
                continue;
            }
            match entry.metadata() {
                Ok(found) => scan.count(&self.0, entry.path(), found.len(), fitting_len),
                Err(_) => scan.unreadable += 1,
            }
        }
        told(scan.progress())?;
        Ok(scan)
    }

    /// A file's bytes, if they are no more than `max_len`.
    pub(crate) fn read(&self, path: &str, max_len: usize) -> Result<Vec<u8>, Refusal> {
        let file = self.open_file(path)?;
        let found = file.metadata().map_err(|e| Refusal::unreadable(&e))?.len();
        let mut bytes = Vec::with_capacity(usize::try_from(found).unwrap_or(0).min(max_len));
        // It may grow while it is read; one byte more than allowed is enough to see that.
        file.take(max_len as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| Refusal::unreadable(&e))?;
        if bytes.len() > max_len {
            let len = found.max(bytes.len() as u64);
            return Err(Refusal::new(
                "too-large",
                format_args!("the file is {len} bytes, a message takes {max_len}"),
            ));
        }
        Ok(bytes)
    }

    /// A file's BLAKE3.
    pub(crate) fn digest(&self, path: &str) -> Result<Digest, Refusal> {
        let mut file = self.open_file(path)?;
        let mut hasher = blake3::Hasher::new();
        let mut chunk = vec![0; CHUNK_LEN];
        loop {
            match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(len) => _ = hasher.update(&chunk[..len]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Refusal::unreadable(&e)),
            }
        }
        Ok(Digest { len: hasher.count(), blake3: hasher.finalize().to_hex().to_string() })
    }
}

impl Scan {
    fn progress(&self) -> Progress {
        Progress { files: self.files, bytes: self.bytes }
    }

    fn count(&mut self, root: &Path, path: &Path, len: u64, fitting_len: u64) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(len);
        let below = path.strip_prefix(root).unwrap_or(path);
        let entry = || FileEntry { path: below.to_string_lossy().into_owned(), len };
        let is_large =
            self.largest.len() < LARGEST || self.largest.last().is_some_and(|last| last.len <= len);
        if is_large {
            self.largest.push(entry());
            self.largest.sort_by(FileEntry::order);
            self.largest.truncate(LARGEST);
        }
        if len <= fitting_len && below.to_str().is_some() {
            let entry = entry();
            let better = self.fitting.as_ref().is_none_or(|best| entry.order(best).is_lt());
            if better && File::open(path).is_ok() {
                self.fitting = Some(entry);
            }
        }
    }
}

impl FileEntry {
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        other.len.cmp(&self.len).then_with(|| self.path.cmp(&other.path))
    }
}
