//! A guard between clients and a core, as a process of its own.

mod program;

use std::time::Duration;

use glob::Pattern;
use tramline::guard::{Guard, GuardKind, GuardMessage, Verdict};

use self::program::Program;
use crate::complain;
use crate::failure::Failure;

/// Where, and what may pass.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where clients find the guard, such as `auto:notes`.
    listen: String,
    /// Where the guard finds the core.
    core: String,
    /// Only commands and events with such names pass; `*` is any number of characters. May be given
    /// more than once.
    #[arg(long, value_name = "GLOB", value_parser = Pattern::new)]
    allow: Vec<Pattern>,
    /// Commands and events with such names do not pass, whatever else is said.
    #[arg(long, value_name = "GLOB", value_parser = Pattern::new)]
    deny: Vec<Pattern>,
    /// How long the program may take for an answer, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    timeout_ms: u64,
    /// How long it may take for its first answer: messages wait until it is ready.
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    ready_timeout_ms: u64,
    /// A program that is asked about every message that the names let pass, with its arguments; must
    /// come last.
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true)]
    program: Vec<String>,
}

/// Guards until it is killed.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let Args { listen, core, allow, deny, timeout_ms, ready_timeout_ms, program } = args;
    let program = match program.split_first() {
        Some((path, rest)) => {
            let (first, later) =
                (Duration::from_millis(ready_timeout_ms), Duration::from_millis(timeout_ms));
            Some(Program::start(path, rest, first, later).map_err(Failure::Filter)?)
        }
        None => None,
    };
    let names = Names { allow, deny };
    let guard = Guard::new(move |message| match (names.judge(message), &program) {
        (Verdict::Allow, Some(program)) => program.judge(message),
        (verdict, _) => verdict,
    });
    let guard = guard.on_refused(|e| complain(&format!("no connection: {e}")));
    let guarding = guard.between(&listen, &core).start().map_err(Failure::Serve)?;
    complain(&format!("guarding {core} at {listen}"));
    guarding.wait();
    Ok(())
}

/// Which names pass.
struct Names {
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
}

impl Names {
    fn judge(&self, message: &GuardMessage<'_>) -> Verdict {
        // What follows from one of these passes with it.
        let asks =
            matches!(message.kind(), GuardKind::Invoke | GuardKind::Event | GuardKind::Listen);
        let one_of = |patterns: &[Pattern]| patterns.iter().any(|p| p.matches(message.name()));
        let allowed = self.allow.is_empty() || one_of(&self.allow);
        if !asks || (allowed && !one_of(&self.deny)) {
            return Verdict::Allow;
        }
        Verdict::refuse(&format!("{} does not pass this guard", message.name()))
    }
}
