//! The process between: it sees every message before the core does.

use std::error::Error;

use tramline::guard::{Guard, GuardKind, Verdict};

pub(crate) fn run(endpoint: &str, core: &str) -> Result<(), Box<dyn Error>> {
    let guard = Guard::new(|message| match (message.kind(), message.name(), message.json()) {
        (GuardKind::Invoke, "delete_note", _) => Verdict::refuse("notes are not deleted from here"),
        // Everybody may read, but what is private reads as if it were public.
        (GuardKind::Invoke, "read_note", Some(args)) if args.contains("private/") => {
            Verdict::rewrite(&args.replace("private/", "public/"))
        }
        _ => Verdict::Allow,
    });
    let guarding = guard.between(endpoint, core).start()?;
    crate::say_ready()?;
    crate::wait_for_input_to_end()?;
    guarding.stop();
    Ok(())
}
