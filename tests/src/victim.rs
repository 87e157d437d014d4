//! Real processes for `tramline-hostile-peer` to attack, and what they say about it.
//!
//! A victim prints one line, a [`Report`], for each connection that ended or did not come about. An
//! attack is done in turn with the test: one variant, one report, one honest call, the next one.

use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tramline::{
    AnyCodec, Client, ConnectError, InvokeError, LinkError, Running, SendError, Server, json,
};

use crate::census::{Holdings, peak_memory, thread_names};
use crate::fixture::{limits, unique_name};
use crate::{PATIENCE, Peer, commands, eventually};

/// The label of the connections that the kit itself makes.
const HONEST: &str = "honest";

/// What became of a connection or a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// `refused`, `ended` or `called`.
    pub what: String,
    /// The peer's label, if the connection came that far.
    pub label: Option<String>,
    /// The error's fixed code; `ok` for a call that was answered right.
    pub code: String,
    /// Where the peer broke a rule, if it did.
    pub at: Option<String>,
    /// The error and its causes, in words.
    pub text: String,
}

impl Report {
    /// Of a connection that did not come about.
    #[must_use]
    pub fn refused(error: &ConnectError) -> Self {
        let at = match error {
            ConnectError::Handshake { at, .. } => Some(*at),
            ConnectError::Link(LinkError::Fault(fault)) => Some(fault.at),
            _ => None,
        };
        Self::new("refused", error.code(), at, error)
    }

    /// Of a connection that has ended.
    #[must_use]
    pub fn ended(peer: &tramline::Peer, why: &LinkError) -> Self {
        let label = peer.label().map(str::to_owned);
        Self { label, ..Self::new("ended", why.code(), fault_at(why), why) }
    }

    /// Of a call.
    #[must_use]
    pub fn called(result: Result<(), &InvokeError>) -> Self {
        let Err(error) = result else {
            let (what, code) = ("called".to_owned(), "ok".to_owned());
            return Self { what, label: None, code, at: None, text: String::new() };
        };
        let at = match error {
            InvokeError::OutcomeUnknown(link) | InvokeError::Send(SendError::Link(link)) => {
                fault_at(link)
            }
            _ => None,
        };
        Self::new("called", error.code(), at, error)
    }

    fn new(
        what: &str,
        code: &str,
        at: Option<&'static str>,
        error: &dyn std::error::Error,
    ) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        let (what, code) = (what.to_owned(), code.to_owned());
        Self { what, label: None, code, at: at.map(str::to_owned), text }
    }

    /// Prints it, for the test to read.
    pub fn print(&self) {
        println!("{}", serde_json::to_string(self).expect("texts"));
    }

    /// Asserts that a peer was cut off for breaking a rule at one of these places.
    pub fn assert_fault(&self, at: &[&str]) {
        assert_eq!(self.code, "peer-fault", "{self:?}");
        let found = self.at.as_deref().expect("a fault says where");
        assert!(at.contains(&found), "{self:?}, not at one of {at:?}");
    }
}

fn fault_at(error: &LinkError) -> Option<&'static str> {
    match error {
        LinkError::Fault(fault) => Some(fault.at),
        _ => None,
    }
}

/// One variant of an attack, done.
#[derive(Debug)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// What the attacker saw.
    pub facts: Vec<String>,
    /// What the victim said.
    pub report: Report,
}

/// A server in a process of its own.
#[derive(Debug)]
pub struct Victim {
    peer: Peer,
    name: String,
    before: Holdings,
    memory_before: u64,
}

impl Victim {
    /// Starts a server with these settings (`key=value`, see `tramline-victim`).
    #[must_use]
    pub fn serve(program: &str, scheme: &str, settings: &[&str]) -> Self {
        let name = unique_name();
        let endpoint = format!("{scheme}:{name}");
        let args: Vec<_> =
            ["serve", &endpoint].into_iter().chain(settings.iter().copied()).collect();
        let peer = Peer::ready(program, &args);
        let mut victim = Self { peer, name, before: Holdings::default(), memory_before: 0 };
        // The first connection starts what a process has once.
        victim.assert_serves();
        let pid = victim.id();
        // Twice the same: a look at the threads may miss one while another ends.
        eventually("the first connection is gone", || {
            let now = Holdings::of(pid);
            let settled = now == std::mem::replace(&mut victim.before, now);
            settled && now.connection_threads == 0 && now.memory_files == 0
        });
        victim.memory_before = peak_memory(pid);
        victim
    }

    /// Its endpoint's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.peer.id()
    }

    /// A client that keeps the rules.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub fn connect(&self) -> Result<Client, ConnectError> {
        let mut patient = limits();
        patient.handshake_timeout_ms = u64::try_from(PATIENCE.as_millis()).expect("30 s");
        Client::connect(&self.name).label(HONEST).limits(patient).wait()
    }

    /// Asserts that it runs, and that an honest client gets the right answer from it.
    pub fn assert_serves(&mut self) {
        assert!(self.peer.is_running(), "the victim has ended");
        assert_adds(&self.connect().expect("it still serves"));
    }

    /// What became of the next connection that was not the kit's own.
    pub fn report(&mut self) -> Report {
        loop {
            let line = self.peer.line().expect("the victim has ended");
            let report: Report = serde_json::from_str(&line).expect("a report");
            if report.label.as_deref() != Some(HONEST) {
                return report;
            }
        }
    }

    /// How much its peak of memory has grown, in bytes.
    #[must_use]
    pub fn growth(&self) -> u64 {
        peak_memory(self.id()).saturating_sub(self.memory_before)
    }

    /// What it holds now.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        Holdings::of(self.id())
    }

    /// Performs an attack on it: after each variant there must be one report, then an honest
    /// client is served.
    pub fn suffer(&mut self, program: &str, attack: &str, mut check: impl FnMut(&Variant)) {
        let mut attacker = Attacker::spawn(program, attack, &self.name);
        while let Some(name) = attacker.variant() {
            let facts = attacker.facts();
            let report = self.report();
            check(&Variant { name, facts, report });
            self.assert_serves();
            attacker.go_on();
        }
        attacker.end();
    }

    /// Asserts that all is as before the attacks, and that it ends in the ordinary way.
    pub fn assert_unharmed(mut self) {
        self.assert_serves();
        settle(self.id(), self.before);
        self.assert_stops();
    }

    /// Asserts that it ends in the ordinary way when it is told to.
    pub fn assert_stops(mut self) {
        assert!(self.peer.is_running(), "the victim has ended");
        self.peer.hang_up();
        let ended = self.peer.exit();
        assert!(ended.success(), "the victim ended with {ended}");
    }
}

/// Waits until a process holds no more than before. It may hold less: what ended just before may
/// still have been counted then.
fn settle(pid: u32, before: Holdings) {
    let started = Instant::now();
    while Holdings::of(pid).exceeds(before) {
        let now = Holdings::of(pid);
        assert!(
            started.elapsed() < PATIENCE,
            "left of the attacks: {now:?}, before: {before:?}, threads: {:?}",
            thread_names(pid)
        );
        thread::park_timeout(Duration::from_millis(5));
    }
}

fn assert_adds(client: &Client) {
    let args = json!({ "a": 1, "b": 1 });
    let sum: i64 = client.invoke("add", args).timeout(PATIENCE).wait().expect("a sum");
    assert_eq!(sum, 2);
}

/// The hostile program at work.
#[derive(Debug)]
pub struct Attacker {
    peer: Peer,
    variants: u32,
}

impl Attacker {
    /// Starts an attack on, or at, the endpoint of this name.
    #[must_use]
    pub fn spawn(program: &str, attack: &str, name: &str) -> Self {
        Self { peer: Peer::spawn(program, &[attack, name]), variants: 0 }
    }

    /// Only this variant of it.
    #[must_use]
    pub fn only(program: &str, attack: &str, name: &str, variant: &str) -> Self {
        Self { peer: Peer::spawn(program, &[attack, name, variant]), variants: 0 }
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.peer.id()
    }

    /// The variant that it begins; `None` when it has done all.
    pub fn variant(&mut self) -> Option<String> {
        let line = self.peer.line()?;
        self.variants += 1;
        Some(line.strip_prefix("variant ").expect("a variant begins").to_owned())
    }

    /// What it saw, once the variant is over.
    pub fn facts(&mut self) -> Vec<String> {
        let mut facts = Vec::new();
        loop {
            let line = self.peer.line().expect("the attack could not be performed");
            match line.strip_prefix("fact ") {
                Some(fact) => facts.push(fact.to_owned()),
                None if line == "over" => return facts,
                None => panic!("{line}"),
            }
        }
    }

    /// Lets it go on.
    pub fn go_on(&mut self) {
        self.peer.say("go on");
    }

    /// Waits for its end: how it ended.
    #[must_use]
    pub fn exit(self) -> std::process::ExitStatus {
        self.peer.exit()
    }

    /// Waits for its end, which must be a good one.
    pub fn end(self) {
        assert!(self.variants != 0, "no such variant");
        let ended = self.peer.exit();
        assert!(ended.success(), "the attack could not be performed: {ended}");
    }
}

/// A client in a process of its own.
#[derive(Debug)]
pub struct Caller {
    peer: Peer,
    honest: Running,
    honest_name: String,
    before: Holdings,
}

impl Caller {
    /// Starts one, and an honest server in this process for it to call.
    #[must_use]
    pub fn start(program: &str, settings: &[&str]) -> Self {
        let honest_name = unique_name();
        let honest = commands::serve(Server::new(), limits());
        let honest = honest.start(&format!("shm:{honest_name}")).expect("the name is free");
        let args: Vec<_> = ["call"].into_iter().chain(settings.iter().copied()).collect();
        let peer = Peer::ready(program, &args);
        let mut caller = Self { peer, honest, honest_name, before: Holdings::default() };
        caller.assert_calls();
        let pid = caller.peer.id();
        eventually("the first connection is gone", || {
            caller.before = Holdings::of(pid);
            caller.before.memory_files == 0
        });
        caller
    }

    /// Lets it call a server: how that went.
    pub fn call(&mut self, name: &str) -> Report {
        self.peer.say(name);
        let line = self.peer.line().expect("the victim has ended");
        serde_json::from_str(&line).expect("a report")
    }

    /// Asserts that it runs, and that it gets the right answer from an honest server.
    pub fn assert_calls(&mut self) {
        assert!(self.peer.is_running(), "the victim has ended");
        let name = self.honest_name.clone();
        let report = self.call(&name);
        assert_eq!(report.code, "ok", "{report:?}");
    }

    /// Lets it call a hostile server: after each variant it must have had one typed error, then an
    /// honest server is called.
    pub fn suffer(&mut self, program: &str, attack: &str, mut check: impl FnMut(&Variant)) {
        let server = unique_name();
        let mut attacker = Attacker::spawn(program, attack, &server);
        while let Some(name) = attacker.variant() {
            let report = self.call(&server);
            let facts = attacker.facts();
            check(&Variant { name, facts, report });
            self.assert_calls();
            attacker.go_on();
        }
        attacker.end();
    }

    /// Asserts that all is as before the attacks, and that it ends in the ordinary way.
    pub fn assert_unharmed(mut self) {
        self.assert_calls();
        let (pid, before) = (self.peer.id(), self.before);
        settle(pid, before);
        self.peer.hang_up();
        let ended = self.peer.exit();
        assert!(ended.success(), "the victim ended with {ended}");
        self.honest.stop();
    }
}

/// The codec of a victim that calls: the one that hostile servers speak.
pub const CALLERS_CODEC: AnyCodec = AnyCodec::JSON;
