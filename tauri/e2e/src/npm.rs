//! The packages of npm, as a part of the app's own files.
//!
//! They are read from a folder while the app runs: what is compiled does not depend on them, and
//! nothing of them lies in this repository.

use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};

use tauri::utils::assets::{AssetKey, AssetsIter, CspHash};
use tauri::{Assets, Context, Wry};

use crate::setting;

/// Where a page finds them.
const PREFIX: &str = "/npm/";

struct WithPackages {
    embedded: Box<dyn Assets<Wry>>,
    folder: PathBuf,
}

impl Assets<Wry> for WithPackages {
    fn get(&self, key: &AssetKey) -> Option<Cow<'_, [u8]>> {
        let Some(path) = key.as_ref().strip_prefix(PREFIX) else { return self.embedded.get(key) };
        let path = Path::new(path);
        let stays_inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        stays_inside.then(|| std::fs::read(self.folder.join(path)).ok())?.map(Cow::Owned)
    }

    fn iter(&self) -> Box<AssetsIter<'_>> {
        self.embedded.iter()
    }

    fn csp_hashes(&self, page: &AssetKey) -> Box<dyn Iterator<Item = CspHash<'_>> + '_> {
        self.embedded.csp_hashes(page)
    }
}

/// For the task `api`: the window begins with the page that imports the packages.
pub(crate) fn add(context: &mut Context<Wry>) {
    let Some(folder) = setting("NPM").map(PathBuf::from) else { return };
    for window in &mut context.config_mut().app.windows {
        window.url = tauri::WebviewUrl::App("api.html".into());
    }
    let embedded = context.set_assets(Box::new(Nothing));
    context.set_assets(Box::new(WithPackages { embedded, folder }));
}

/// Holds the place for a moment.
struct Nothing;

impl Assets<Wry> for Nothing {
    fn get(&self, _: &AssetKey) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn iter(&self) -> Box<AssetsIter<'_>> {
        Box::new(std::iter::empty())
    }

    fn csp_hashes(&self, _: &AssetKey) -> Box<dyn Iterator<Item = CspHash<'_>> + '_> {
        Box::new(std::iter::empty())
    }
}
