//! What was said on the command line.

use std::ffi::OsString;
use std::path::PathBuf;

const USAGE: &str = "\
usage: tramline-tauri-showcase [--stock] [--panel speed|files|sidecar] [FILE..]

  --stock     without the accelerated way: the same app on Tauri's own
  --panel     which panel to begin with
  FILE..      files for the viewer
  --smoke     run each panel once, print one line and end
  --sigkill   end a smoke run with SIGKILL: its sidecars must be gone all the same";

/// What this process is.
pub(crate) enum Role {
    App(Options),
    Meter { accelerated: bool },
    Worker,
}

/// How the app runs.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) stock: bool,
    pub(crate) smoke: bool,
    pub(crate) sigkill: bool,
    pub(crate) panel: Option<String>,
    pub(crate) files: Vec<PathBuf>,
}

impl Role {
    pub(crate) fn from_arguments(
        mut arguments: impl Iterator<Item = OsString>,
    ) -> Result<Self, String> {
        let mut options = Options::default();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().and_then(|value| value.into_string().ok());
            match argument.to_str() {
                Some("--worker") => return Ok(Self::Worker),
                Some("--meter") => {
                    return Ok(Self::Meter { accelerated: value().as_deref() != Some("stock") });
                }
                Some("--stock") => options.stock = true,
                Some("--smoke") => options.smoke = true,
                Some("--sigkill") => options.sigkill = true,
                Some("--panel") => options.panel = Some(value().ok_or(USAGE)?),
                Some(option) if option.starts_with('-') => return Err(USAGE.to_owned()),
                _ => options.files.push(argument.into()),
            }
        }
        Ok(Self::App(options))
    }
}
