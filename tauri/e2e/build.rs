//! What every Tauri app has.

fn main() {
    tauri_build::build();
}
