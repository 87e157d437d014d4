//! Files as raw bytes: what the command line named, some samples, and what the page brought.
//!
//! A page never says a path. It gets a number for each file that the user chose, and asks for that.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use serde::Serialize;
use tauri::State;
use tauri::ipc::{InvokeBody, Request, Response};

use crate::mandelbrot::View;

/// What is read of a file at most. A choice: the viewer keeps it all.
const MAX_LEN: u64 = 64 << 20;

/// Files of the page that are kept; the oldest goes. A choice.
const MAX_KEPT: usize = 8;

/// The picture, once it is made.
static PICTURE: OnceLock<Vec<u8>> = OnceLock::new();

/// What a file is called and where its bytes are.
struct Known {
    name: String,
    about: String,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Path(PathBuf),
    Bytes(Arc<Vec<u8>>),
    Picture,
}

/// All files that the page may read.
pub(crate) struct Files {
    chosen: Vec<Known>,
    kept: Mutex<Vec<(usize, Known)>>,
}

impl Files {
    pub(crate) fn new(named: &[PathBuf]) -> Self {
        let sample = |name: &str, about: &str, source| Known {
            name: name.to_owned(),
            about: about.to_owned(),
            source,
        };
        // Made before somebody asks for it, most likely.
        thread::spawn(|| PICTURE.get_or_init(picture));
        let text = include_bytes!("../../../README.md").to_vec();
        let mut chosen: Vec<Known> = named
            .iter()
            .map(|path| {
                let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                sample(&name, "from the command line", Source::Path(path.clone()))
            })
            .collect();
        chosen.push(sample("mandelbrot.bmp", "a picture, made at the start", Source::Picture));
        chosen.push(sample("README.md", "text", Source::Bytes(Arc::new(text))));
        // Without it there is one sample less.
        if let Ok(program) = std::env::current_exe() {
            chosen.push(sample("this program", "machine code", Source::Path(program)));
        }
        Self { chosen, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(usize, Known)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn source(&self, id: usize) -> Option<Source> {
        if let Some(known) = self.chosen.get(id) {
            return Some(known.source.clone());
        }
        self.kept().iter().find(|(its, _)| *its == id).map(|(_, known)| known.source.clone())
    }
}

/// A file as the page sees it.
#[derive(Serialize)]
pub(crate) struct Entry {
    id: usize,
    name: String,
    about: String,
}

fn entry(id: usize, known: &Known) -> Entry {
    Entry { id, name: known.name.clone(), about: known.about.clone() }
}

#[tauri::command]
pub(crate) fn files(files: State<'_, Files>) -> Vec<Entry> {
    let chosen = files.chosen.iter().enumerate().map(|(id, known)| entry(id, known));
    let kept = files.kept();
    chosen.chain(kept.iter().map(|(id, known)| entry(*id, known))).collect()
}

/// The bytes of a file, as they are: no JSON, no base64.
///
/// `async`, for a disk may be slow and the main thread has windows to draw.
#[tauri::command(async)]
pub(crate) fn read(files: State<'_, Files>, id: usize) -> Result<Response, String> {
    let bytes = match files.source(id).ok_or("there is no such file")? {
        Source::Bytes(bytes) => bytes.to_vec(),
        Source::Picture => PICTURE.get_or_init(picture).clone(),
        Source::Path(path) => read_path(&path).map_err(|error| error.to_string())?,
    };
    Ok(Response::new(bytes))
}

fn read_path(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_LEN).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Keeps a file that the user gave to the page: its bytes are the body, its name a header.
#[tauri::command]
#[allow(clippy::needless_pass_by_value, reason = "commands own their arguments")]
pub(crate) fn keep(files: State<'_, Files>, request: Request<'_>) -> Result<usize, String> {
    let InvokeBody::Raw(bytes) = request.body() else { return Err("a file is raw bytes".into()) };
    if bytes.len() as u64 > MAX_LEN {
        return Err(format!("the file has {} bytes, the limit is {MAX_LEN}", bytes.len()));
    }
    let name = request.headers().get("x-name").and_then(|name| name.to_str().ok());
    let known = Known {
        name: name.unwrap_or("a file").to_owned(),
        about: "opened here".to_owned(),
        source: Source::Bytes(Arc::new(bytes.clone())),
    };
    let mut kept = files.kept();
    let id = kept.last().map_or(files.chosen.len(), |(last, _)| last + 1);
    if kept.len() == MAX_KEPT {
        kept.remove(0);
    }
    kept.push((id, known));
    Ok(id)
}

/// A picture in the simplest form there is: a bitmap, bottom row first, blue before red.
fn picture() -> Vec<u8> {
    const HEAD_LEN: u32 = 54;
    let (width, height) = (1200, 760);
    let view = View { width, height, x: -0.65, y: 0.0, across: 3.2, fine: 1, steps: 250 };
    // A multiple of four, as rows must be.
    let row_len = width * 3;
    let mut bytes = Vec::with_capacity((HEAD_LEN + row_len * height) as usize);
    bytes.extend(b"BM");
    for word in [HEAD_LEN + row_len * height, 0, HEAD_LEN, 40, width, height] {
        bytes.extend(word.to_le_bytes());
    }
    // One plane of 24 bits.
    bytes.extend([1, 0, 24, 0]);
    for word in [0, row_len * height, 2835, 2835, 0, 0] {
        bytes.extend(u32::to_le_bytes(word));
    }
    for row in (0..height).rev() {
        let pixels = view.row(row);
        bytes.extend(pixels.chunks_exact(3).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]));
    }
    bytes
}
