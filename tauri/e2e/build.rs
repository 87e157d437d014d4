//! What every Tauri app has, and the commands that a sidecar serves as a plugin.

fn main() {
    // All that the page tries; which ones its window is allowed, its capabilities say.
    let worker =
        tauri_build::InlinedPlugin::new().commands(&["echo", "reverse", "fail", "pid", "wait"]);
    let attributes = tauri_build::Attributes::new().plugin("worker", worker);
    tauri_build::try_build(attributes).expect("the app's own files are right");
}
