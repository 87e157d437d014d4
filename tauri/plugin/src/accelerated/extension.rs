//! Brings the web-process extension into the web process.
//!
//! It may be installed beside the app, in a folder of its own below that of the app's resources. Else
//! the one that the app carries is written into a private folder.
//!
//! WebKit loads every library of one folder. It is asked for the folder when a web context starts
//! its first process, by a signal; a hook on the signal's emission reaches every context, whoever
//! made it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use glib::gobject_ffi;
use glib::prelude::*;
use glib::translate::IntoGlib as _;
use tauri::{AppHandle, Manager as _, Wry};
use tempfile::TempDir;
use tramline_web_link::VERSION;
use webkit2gtk::{WebContext, WebContextExt as _};

use super::sweep;

/// Empty if there is none inside.
#[cfg(feature = "embed")]
const LIBRARY: &[u8] = tramline_web_embed::library!();
#[cfg(not(feature = "embed"))]
const LIBRARY: &[u8] = &[];

/// The folder below the app's resources. There may be nothing else in it.
const FOLDER: &str = "tramline";

enum Folder {
    /// Beside the app.
    Found(PathBuf),
    /// Written by this process, and taken away by it.
    Private(Private),
}

struct Private {
    folder: TempDir,
    /// Locked as long as the app lives: the sign for others that the folder is in use.
    _library: File,
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Found(path) => path,
            Self::Private(private) => private.folder.path(),
        }
    }
}

/// What the library's file is called, as by cargo, and how the name of its private folder begins.
pub(super) const LIBRARY_NAME: &str = "libtramline_web_extension.so";
pub(super) const PREFIX: &str = "tramline-";

struct Installed {
    folder: Folder,
    origins: String,
}

static INSTALLED: Mutex<Option<Installed>> = Mutex::new(None);

/// Has WebKit load the library into processes that it starts from now on.
pub(super) fn install(app: &AppHandle<Wry>, origins: &[String]) -> io::Result<()> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if installed.is_some() {
        return Ok(());
    }
    let beside = app.path().resource_dir().ok().map(|folder| folder.join(FOLDER));
    let folder = match beside {
        Some(folder) if folder.join(LIBRARY_NAME).is_file() => {
            log::info!("tramline: the web-process extension is the one in {}", folder.display());
            Folder::Found(folder)
        }
        beside => Folder::Private(unpack(beside.as_deref())?),
    };
    hook()?;
    let private = matches!(folder, Folder::Private(_)).then(|| folder.path().to_owned());
    *installed = Some(Installed { folder, origins: origins.join("\n") });
    if let Some(ours) = private {
        // On a thread of its own, for the start not to wait. What is not swept now is another time.
        drop(thread::Builder::new().spawn(move || sweep::sweep(&ours, sweep::MIN_AGE)));
    }
    Ok(())
}

/// Writes the library that is inside into a folder that only this user may enter.
fn unpack(beside: Option<&Path>) -> io::Result<Private> {
    if LIBRARY.is_empty() {
        let place = beside.map_or_else(|| "beside the app".into(), Path::to_string_lossy);
        let why = format!("no {LIBRARY_NAME} in {place}, and none inside the app");
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    }
    // Folders of this kind are made for this user alone (0700).
    let folder = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
    let path = folder.path().join(LIBRARY_NAME);
    std::fs::write(&path, LIBRARY)?;
    let library = File::open(path)?;
    library.lock()?;
    Ok(Private { folder, _library: library })
}

/// Takes the folder away.
pub(super) fn remove() {
    // Dropping it removes it; what cannot be removed is left to the system's sweep.
    drop(INSTALLED.lock().unwrap_or_else(PoisonError::into_inner).take());
}

fn hook() -> io::Result<()> {
    let kind = WebContext::static_type().into_glib();
    // SAFETY: a registered type. The class, and with it its signals, stays for ever.
    unsafe { gobject_ffi::g_type_class_ref(kind) };
    // SAFETY: the name ends with a zero byte; the class is there.
    let signal =
        unsafe { gobject_ffi::g_signal_lookup(c"initialize-web-extensions".as_ptr(), kind) };
    if signal == 0 {
        return Err(io::Error::other("WebKit has no signal initialize-web-extensions"));
    }
    // SAFETY: the function lives for ever and needs no data.
    let hook = unsafe {
        gobject_ffi::g_signal_add_emission_hook(
            signal,
            0,
            Some(on_start),
            std::ptr::null_mut(),
            None,
        )
    };
    if hook == 0 { Err(io::Error::other("WebKit's signal takes no hook")) } else { Ok(()) }
}

unsafe extern "C" fn on_start(
    _hint: *mut gobject_ffi::GSignalInvocationHint,
    count: u32,
    values: *const gobject_ffi::GValue,
    _data: glib::ffi::gpointer,
) -> glib::ffi::gboolean {
    if count > 0 && !values.is_null() {
        // SAFETY: GLib passes `count` live values; the safe type is the same, with a safe face.
        let value = unsafe { &*values.cast::<glib::Value>() };
        if let Ok(context) = value.get::<WebContext>() {
            configure(&context);
        }
    }
    // Other contexts may come.
    glib::ffi::GTRUE
}

fn configure(context: &WebContext) {
    let installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(Installed { folder, origins }) = &*installed else { return };
    let path = folder.path();
    // A path that is no text: pages then find no functions, and say so by Tauri's own way.
    let Some(path) = path.to_str() else { return };
    context.set_web_extensions_directory(path);
    context.set_web_extensions_initialization_user_data(&(VERSION, origins.as_str()).to_variant());
}
