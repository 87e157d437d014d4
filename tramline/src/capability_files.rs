//! Tauri's permission and capability files, from disk.

use std::path::Path;

use tramline_core::acl::{AclError, Capabilities, CapabilityFile, Format, PermissionFile};

/// Tauri's build writes JSON schemas into folders of this name.
const SCHEMAS: &str = "schemas";

/// Reads capabilities as Tauri does: all `.json` and `.toml` files below `capabilities` and below
/// `permissions` in `folder`, such as a project's `src-tauri`. Neither of the two need be there;
/// nothing else in `folder` is looked at.
///
/// Files below `permissions/<name>` are those of plugin `<name>` if the server has commands named
/// `plugin:<name>|..`, otherwise the application's own. What the files mean is found out when the
/// server starts.
///
/// # Errors
///
/// [`AclError::Read`] and [`AclError::InFile`] name the file.
///
/// # Examples
///
/// ```no_run
/// use tramline::{Server, read_capabilities};
///
/// let server = Server::new().allow(read_capabilities("src-tauri")?);
/// # let _ = server;
/// # Ok::<(), tramline::AclError>(())
/// ```
pub fn read_capabilities(folder: impl AsRef<Path>) -> Result<Capabilities, AclError> {
    let folder = folder.as_ref();
    // A folder that is not there is a mistake, not a project without files.
    folder.read_dir().map_err(|e| unreadable(folder, &e))?;
    let mut capabilities = Capabilities::none();
    each_file(&folder.join("permissions"), None, &mut |text, format, below| {
        let file = PermissionFile::parse(text, format)?;
        let known = std::mem::take(&mut capabilities);
        capabilities = match below {
            Some(name) => known.with_folder_permissions(name, file),
            None => known.with_permissions(file),
        };
        Ok(())
    })?;
    each_file(&folder.join("capabilities"), None, &mut |text, format, _| {
        let known = std::mem::take(&mut capabilities);
        capabilities = known.with_file(CapabilityFile::parse(text, format)?);
        Ok(())
    })?;
    Ok(capabilities)
}

type Read<'r> = dyn FnMut(&str, Format, Option<&str>) -> Result<(), AclError> + 'r;

/// Calls `read` for each file, in the order of names; `below` is the first folder on the way.
fn each_file(folder: &Path, below: Option<&str>, read: &mut Read<'_>) -> Result<(), AclError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && below.is_none() => return Ok(()),
        Err(e) => return Err(unreadable(folder, &e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|e| unreadable(folder, &e))?.path());
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_folder = path.metadata().map_err(|e| unreadable(&path, &e))?.is_dir();
        if is_folder {
            if name != SCHEMAS {
                each_file(&path, Some(below.unwrap_or(&name)), read)?;
            }
        } else if let Some(format) =
            path.extension().and_then(|e| e.to_str()).and_then(Format::of_extension)
        {
            let text = std::fs::read_to_string(&path).map_err(|e| unreadable(&path, &e))?;
            read(&text, format, below).map_err(|e| e.in_file(&path.display().to_string()))?;
        }
    }
    Ok(())
}

fn unreadable(path: &Path, cause: &std::io::Error) -> AclError {
    AclError::Read { file: path.display().to_string().into(), cause: cause.to_string().into() }
}
