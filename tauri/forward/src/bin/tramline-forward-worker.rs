//! The other process of the tests and of the bench.

fn main() -> Result<(), tramline::Error> {
    tramline_tauri_worker::run()
}
