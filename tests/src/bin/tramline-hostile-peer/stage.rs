//! What an attack does in turn with the test that started it.
//!
//! Each variant of an attack is announced, done, and reported as over; the next one waits for a
//! line of standard input. When that ends, so does this process.

use std::fmt::Display;
use std::io::BufRead;
use std::process::exit;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// Where an attack takes place.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The name of the endpoint that is attacked or served.
    pub(crate) name: String,
    /// The only variant to do.
    only: Option<String>,
    told: Receiver<()>,
}

impl Stage {
    pub(crate) fn new(name: &str, only: Option<&str>) -> Self {
        let (tell, told) = channel();
        thread::spawn(move || {
            let lines = std::io::stdin().lock().lines();
            if lines.map_while(Result::ok).any(|_| tell.send(()).is_err()) {
                return;
            }
            exit(0);
        });
        Self { name: name.to_owned(), only: only.map(str::to_owned), told }
    }

    /// Does one variant and waits for the word to go on.
    pub(crate) fn variant(&self, name: &str, act: impl FnOnce()) {
        if self.only.as_deref().is_some_and(|only| only != name) {
            return;
        }
        println!("variant {name}");
        act();
        println!("over");
        let _ = self.told.recv();
    }

    /// Tells the test what was seen.
    pub(crate) fn fact(&self, fact: impl Display) {
        println!("fact {fact}");
    }

    /// Repeats `act` until the test says a word, or `act` says that it is over.
    pub(crate) fn until_told(&self, mut act: impl FnMut() -> bool) {
        while self.told.try_recv().is_err() && act() {}
    }
}
