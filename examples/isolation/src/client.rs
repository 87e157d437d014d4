//! The side that asks. Nothing here knows of a guard, apart from the last few lines.

use tramline::{Client, json};

pub(crate) fn run(endpoint: &str, core_endpoint: &str) -> Result<(), tramline::Error> {
    let notes = Client::connect(endpoint).wait()?;

    let text: String = notes.invoke("read_note", json!({ "name": "public/today" })).wait()?;
    println!("passes: {text}");

    let text: String = notes.invoke("read_note", json!({ "name": "private/diary" })).wait()?;
    println!("rewritten: {text}");

    let delete = notes.invoke::<(), _>("delete_note", json!({ "name": "public/today" }));
    if let Err(e) = delete.wait() {
        println!("refused: {e} ({})", e.code());
    }

    // Around the guard there is no way.
    if let Err(e) = Client::connect(core_endpoint).wait() {
        println!("around the guard: {e}");
    }
    Ok(())
}
