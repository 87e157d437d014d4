//! What every Tauri app has, the commands that a sidecar serves as a plugin, and a plugin of the app's
//! own whose commands need permission.

fn main() {
    // All that the page tries; which ones its window is allowed, its capabilities say.
    let worker =
        tauri_build::InlinedPlugin::new().commands(&["echo", "reverse", "fail", "pid", "wait"]);
    let guarded = tauri_build::InlinedPlugin::new().commands(&["open_it", "shut_it", "scoped"]);
    let attributes =
        tauri_build::Attributes::new().plugin("worker", worker).plugin("guarded", guarded);
    if let Err(error) = tauri_build::try_build(attributes) {
        println!("cargo::error={error:#}");
    }
}
