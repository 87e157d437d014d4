//! The side that does the work, and admits nobody but the guard.

use std::error::Error;

use tramline::{Admission, Capabilities, Server, command, commands};

#[command]
fn read_note(name: &str) -> String {
    format!("this is {name}")
}

#[command]
fn delete_note(name: &str) {
    unreachable!("the guard lets nobody delete {name}");
}

pub(crate) fn run(endpoint: &str, guard: u32) -> Result<(), Box<dyn Error>> {
    let server = Server::new()
        .commands(commands![read_note, delete_note])
        .allow(Capabilities::all())
        // This guard is known by its process id, for it was started a moment ago. One that is
        // installed is better known by its file: `visitor.executable()`.
        .admit(move |visitor| match visitor.identity().pid {
            Some(pid) if pid == guard => Admission::local(),
            _ => Admission::refuse("this core is for its guard"),
        })
        .start(endpoint)?;
    crate::say_ready()?;
    crate::wait_for_input_to_end()?;
    server.stop();
    Ok(())
}
