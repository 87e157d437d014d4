//! Finds WebKitGTK.

fn main() -> Result<(), pkg_config::Error> {
    // Documentation is made where it is not installed, and nothing is linked there.
    if std::env::var_os("DOCS_RS").is_some() {
        return Ok(());
    }
    // The web process has these libraries loaded; linking names them for the loader.
    pkg_config::probe_library("webkit2gtk-web-extension-4.1").map(|_| ())
}
