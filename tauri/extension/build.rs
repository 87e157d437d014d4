//! Finds WebKitGTK.

fn main() -> Result<(), pkg_config::Error> {
    // The web process has these libraries loaded; linking names them for the loader.
    pkg_config::probe_library("webkit2gtk-web-extension-4.1").map(|_| ())
}
