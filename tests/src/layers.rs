//! A server with layers, in a process of its own, that says what they saw.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use rustix::process::{Signal, getpid, kill_process};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;
use tramline::layer::{Layer, Metrics, Outcome, Passage, Passed, Passing, RateLimit, Tracing, Way};
use tramline::{
    CancelToken, Capabilities, Channel, Client, Peer as Other, Rate, Rejection, Request, Server,
    State, command, commands, json,
};

use crate::child::Peer;
use crate::commands::ON_PURPOSE;
use crate::fixture::{Transport, limits};

/// What the layers of one side have seen.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Adds a line.
    pub fn add(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// What was added since the last look.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A layer that writes down what it sees, refuses what is to be refused, and panics over what is
/// called `tricky`.
#[derive(Debug)]
pub struct Writes {
    /// Where it stands.
    pub place: &'static str,
    /// Where it writes.
    pub log: Log,
}

impl Layer for Writes {
    fn pass(&self, message: &mut Passing<'_>) -> Passed {
        if message.name() == "log" {
            return Ok(None);
        }
        let line = format!("{} {:?} {}", self.place, message.way(), message.name());
        self.log.add(line.trim_end().to_owned());
        let refused = message.header("refused-by") == Some(self.place);
        if refused || (message.name() == "refused" && self.place == "inner") {
            return Err(Rejection::Denied { text: "refused by a layer".into() });
        }
        assert!(message.name() != "tricky", "{ON_PURPOSE}");
        if message.way() == Way::Invoke {
            message.add_header("layer", self.place);
        }
        Ok(Some(Box::new(Wrote { line, log: self.log.clone(), entered: false })))
    }
}

struct Wrote {
    line: String,
    log: Log,
    entered: bool,
}

impl Passage for Wrote {
    fn within(&mut self, work: &mut dyn FnMut()) {
        // An async command is polled several times.
        if !std::mem::replace(&mut self.entered, true) {
            self.log.add(format!("{} begins", self.line));
        }
        // Work that is left over is run all the same.
        if !self.line.ends_with("lazy") {
            work();
        }
    }

    fn end(self: Box<Self>, outcome: &Outcome<'_>) {
        let code = outcome.code.unwrap_or("ok");
        self.log.add(format!("{}: {code}", self.line.trim_end()));
    }
}

/// What a program's recorder has counted: by name and labels.
#[derive(Debug, Default)]
pub struct Recorded(Mutex<BTreeMap<String, Arc<Counted>>>);

/// A counter, or how often a histogram was given a value.
#[derive(Debug, Default)]
struct Counted(AtomicU64);

impl HistogramFn for Counted {
    fn record(&self, value: f64) {
        assert!((0.0..60.0).contains(&value), "seconds: {value}");
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl metrics::CounterFn for Counted {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::SeqCst);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::SeqCst);
    }
}

impl Recorded {
    fn get(&self, key: &Key) -> Arc<Counted> {
        let labels = key.labels().map(|label| format!("{}={}", label.key(), label.value()));
        let name = format!("{}{{{}}}", key.name(), labels.collect::<Vec<_>>().join(","));
        Arc::clone(self.0.lock().expect("no panic").entry(name).or_default())
    }

    /// Everything, by name and labels.
    pub fn all(&self) -> BTreeMap<String, u64> {
        let all = self.0.lock().expect("no panic");
        all.iter().map(|(name, count)| (name.clone(), count.0.load(Ordering::SeqCst))).collect()
    }
}

impl Recorder for &'static Recorded {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.get(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.get(key))
    }
}

#[command(inline)]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[command]
fn plain(text: String) -> String {
    text
}

#[command]
async fn later(text: String) -> String {
    futures_lite::future::yield_now().await;
    text
}

#[command]
fn fails() -> Result<(), String> {
    Err("on purpose".into())
}

#[command]
async fn fails_later() -> Result<(), String> {
    Err("on purpose".into())
}

#[command]
fn panics() {
    panic!("{ON_PURPOSE}");
}

#[command]
async fn panics_later() {
    panic!("{ON_PURPOSE}");
}

#[command]
fn lazy() -> u32 {
    7
}

#[command]
fn tricky() {}

#[command]
async fn waits(token: CancelToken) {
    token.cancelled().await;
}

#[command]
fn headers(request: Request) -> Vec<(String, String)> {
    request.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[command]
fn emit_down(event: String, peer: Other) -> Result<(), String> {
    peer.emit(&event, "payload").map_err(|e| e.code().to_owned())
}

#[command]
fn stream(to: Channel<u32>, count: u32) -> Result<(), String> {
    (0..count).try_for_each(|number| to.send(&number)).map_err(|e| e.code().to_owned())
}

/// Calls on, in the trace of its caller.
#[command]
fn calls_on(onward: State<'_, Onward>) -> Result<Vec<(String, String)>, String> {
    let client = onward.0.as_ref().ok_or("nowhere to")?;
    client.invoke("headers", ()).wait().map_err(|e| e.to_string())
}

#[command(inline)]
fn log(log: State<'_, Log>) -> Vec<String> {
    log.take()
}

#[command(inline)]
fn recorded(all: State<'_, &'static Recorded>) -> BTreeMap<String, u64> {
    all.all()
}

#[command(inline)]
fn heard(tally: State<'_, Arc<AtomicU64>>) -> u64 {
    tally.load(Ordering::SeqCst)
}

/// Where `calls_on` calls.
struct Onward(Option<Client>);

/// Writes each line of a subscriber as a line of this process.
struct Lines;

impl<'a> MakeWriter<'a> for Lines {
    type Writer = std::io::Stdout;

    fn make_writer(&'a self) -> Self::Writer {
        std::io::stdout()
    }
}

/// A subscriber that writes a line of JSON for each span that has ended.
pub fn subscriber<W>(writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt().json().with_span_events(FmtSpan::CLOSE).with_writer(writer).finish()
}

/// The server of the role `serve-layers`. `kind` says which layers it has.
#[must_use]
pub fn server(kind: &str, onward: Option<&str>, threads: usize) -> Server {
    let log = Log::default();
    let recorded_here: &'static Recorded = Box::leak(Box::default());
    let heard_here = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&heard_here);
    let mut server = Server::new()
        .commands(commands![
            add,
            plain,
            later,
            fails,
            fails_later,
            panics,
            panics_later,
            lazy,
            tricky,
            waits,
            headers,
            emit_down,
            stream,
            calls_on,
            log,
            recorded,
            heard
        ])
        .listen("up", move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        })
        .listen("refused", |_| panic!("{ON_PURPOSE}: it was refused"))
        .allow(Capabilities::all())
        .limits(limits())
        .label("served")
        .manage(log.clone())
        .manage(recorded_here)
        .manage(heard_here);
    if threads > 0 {
        server = server.shared_threads(threads);
    }
    let connect = |endpoint: &str| Client::connect(endpoint).limits(limits());
    let mut onward_client = None;
    server = match kind {
        "log" => server
            .layer(Writes { place: "outer", log: log.clone() })
            .layer(Writes { place: "inner", log }),
        "none" => server,
        "traced" => {
            tracing::subscriber::set_global_default(subscriber(Lines)).expect("the first one");
            onward_client = onward.map(|to| connect(to).layer(Tracing).wait().expect("it serves"));
            server.layer(Tracing)
        }
        "metrics" => {
            metrics::set_global_recorder(recorded_here).expect("the first one");
            server.layer(Metrics).layer(Writes { place: "inner", log })
        }
        "rate" => {
            let hour = std::time::Duration::from_secs(3600);
            let limit = RateLimit::new().peer(Rate::new(5, hour));
            server.layer(limit.command("plain", Rate::new(2, hour)))
        }
        other => panic!("no such kind: {other}"),
    };
    server.manage(Onward(onward_client))
}

/// What the calls of a server that may die do.
struct Dies(bool);

/// Says that it runs, then ends the process or answers.
fn run_or_die(name: &str, text: String, request: &Request<'_>, dies: &Dies) -> String {
    let key = request.headers().find(|(name, _)| *name == "idempotency-key");
    println!("{name} {}", key.map_or("", |(_, key)| key));
    if dies.0 {
        let _ = kill_process(getpid(), Signal::KILL);
    }
    text
}

#[command(idempotent)]
fn put(text: String, request: Request<'_>, dies: State<'_, Dies>) -> String {
    run_or_die("put", text, &request, &dies)
}

#[command]
fn append(text: String, request: Request<'_>, dies: State<'_, Dies>) -> String {
    run_or_die("append", text, &request, &dies)
}

/// The server of the role `serve-dying`: it says which commands run, and ends in the middle of the
/// first one if it is to.
#[must_use]
pub fn dying_server(dies: bool) -> Server {
    let server = Server::new().commands(commands![put, append]).allow(Capabilities::all());
    server.limits(limits()).manage(Dies(dies))
}

/// Starts a test peer with these layers.
#[must_use]
pub fn serve_there(
    program: &str,
    transport: Transport,
    kind: &str,
    onward: Option<&str>,
) -> (Peer, String) {
    let endpoint = transport.endpoint();
    let threads = if transport == Transport::ShmShared { "2" } else { "0" };
    let mut args = vec!["serve-layers", &endpoint, kind, threads];
    args.extend(onward);
    (Peer::ready(program, &args), endpoint)
}

/// What the server's layers have seen since the last look.
#[must_use]
pub fn seen(client: &Client) -> Vec<String> {
    client.invoke("log", json!({})).wait().expect("answered")
}
