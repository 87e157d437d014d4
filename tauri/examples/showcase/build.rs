//! What every Tauri app has, and the commands of the three sidecars, each of which is a plugin.

use tauri_build::{Attributes, InlinedPlugin};

fn main() {
    let meter = || InlinedPlugin::new().commands(&["measure"]);
    let worker = InlinedPlugin::new().commands(&["nothing", "render", "stop", "watch"]);
    let attributes = Attributes::new()
        .plugin("stock", meter())
        .plugin("accelerated", meter())
        .plugin("worker", worker);
    tauri_build::try_build(attributes).expect("the app's own files are right");
}
