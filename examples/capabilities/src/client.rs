//! The side that asks.

use tramline::{Client, json};

pub(crate) fn run(endpoint: &str) -> Result<(), tramline::Error> {
    let notes = Client::connect(endpoint).label("admin").wait()?;

    // Allowed, and within the scope.
    let text: String = notes.invoke("read_note", json!({ "name": "notes/today" })).wait()?;
    println!("allowed: {text}");

    // Allowed, but the command finds it out of its scope.
    let private = json!({ "name": "notes/private/diary" });
    if let Err(e) = notes.invoke::<String, _>("read_note", private).wait() {
        println!("out of scope: {e} ({})", e.code());
    }

    // Not allowed: the command does not run, its arguments are not even read.
    let delete = notes.invoke::<(), _>("delete_note", json!({ "name": "notes/today" }));
    if let Err(e) = delete.wait() {
        println!("denied: {e} ({})", e.code());
    }
    Ok(())
}
