//! What the server of a test does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Serialize, Serializer};
use serde_json::Value;
use tramline::{
    AlreadyAnswered, Attachment, Call, CancelToken, Capabilities, Clients, CommandArg, EventTarget,
    Limits, ListenOptions, Overflow, Peer, Raw, Request, SealedBlob, Server, State, command,
    commands,
};
use tramline_core::command::ArgSource;

use crate::PATIENCE;
use crate::channels;
use crate::codec::Marked;
use crate::gate::Gates;
use crate::prices::{no_prices, total};
use crate::tally::{Count, Tally};

/// What the listeners of a test server count.
#[derive(Debug, Default)]
pub struct Received {
    /// Events `up`, numbered.
    pub up: Tally,
}

/// A value that is managed, to be seen by a command.
#[derive(Debug)]
pub struct Token(pub &'static str);

/// The error of `fail`, an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[allow(missing_docs, reason = "made up")]
pub struct Failure {
    pub kind: String,
    pub path: Option<String>,
    pub tried: Vec<u32>,
}

/// A value that no codec takes.
#[derive(Debug, Clone, Copy)]
pub struct Unserialisable;

impl Serialize for Unserialisable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("on purpose"))
    }
}

/// Counts how often it is encoded.
#[derive(Debug, Default)]
pub struct Expensive(pub AtomicU64);

impl Serialize for Expensive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let before = self.0.fetch_add(1, Ordering::SeqCst);
        serializer.serialize_u64(before)
    }
}

/// The words a panic of a test command starts with; the test peer does not print those.
pub const ON_PURPOSE: &str = "on purpose";

#[command(inline)]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[command]
fn user_name(user_id: u32, first_name: String, r#type: Option<String>) -> String {
    format!("{user_id} {first_name} {}", r#type.unwrap_or_default())
}

#[command(inline)]
fn options(number: Option<u32>, text: Option<&str>) -> String {
    format!("{number:?} {text:?}")
}

#[command]
fn fail(path: Option<String>) -> Result<(), Failure> {
    Err(Failure { kind: "not-found".into(), path, tried: vec![1, 2] })
}

#[command]
fn forbidden() {}

#[command]
fn panics() {
    panic!("{ON_PURPOSE}");
}

#[command(inline)]
fn panics_inline() {
    panic!("{ON_PURPOSE}");
}

#[command]
async fn panics_async() {
    panic!("{ON_PURPOSE}");
}

#[command]
fn unserialisable() -> Unserialisable {
    Unserialisable
}

#[command]
fn raw_result(len: usize) -> Raw {
    vec![7; len].into()
}

#[command]
fn raw_length(body: Raw) -> usize {
    body.0.len()
}

/// Whether these bytes are a mapped memory file, which is what a body is that was handed over.
#[must_use]
pub fn lies_in_a_memory_file(bytes: &[u8]) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let at = bytes.as_ptr().addr();
    maps.lines().filter(|line| line.contains("/memfd:")).any(|line| {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        range.is_some_and(|(start, end)| {
            let number = |text| usize::from_str_radix(text, 16).unwrap_or(0);
            (number(start)..number(end)).contains(&at)
        })
    })
}

/// Whether the body was handed over, and the sum of its bytes.
fn in_pages(body: &Raw) -> (bool, u64) {
    (lies_in_a_memory_file(&body.0), body.0.iter().map(|byte| u64::from(*byte)).sum())
}

#[command]
fn lies_in_pages(body: Raw) -> (bool, u64) {
    in_pages(&body)
}

#[command(inline)]
fn lies_in_pages_inline(body: Raw) -> (bool, u64) {
    in_pages(&body)
}

#[command]
async fn lies_in_pages_async(body: Raw) -> (bool, u64) {
    in_pages(&body)
}

fn make_sealed(len: usize, fill: u8) -> Result<SealedBlob, String> {
    SealedBlob::write_with(len, |bytes| bytes.fill(fill)).map_err(|e| e.to_string())
}

#[command]
fn sealed(len: usize, fill: u8) -> Result<SealedBlob, String> {
    make_sealed(len, fill)
}

#[command(inline)]
fn sealed_inline(len: usize, fill: u8) -> Result<SealedBlob, String> {
    make_sealed(len, fill)
}

#[command]
async fn sealed_async(len: usize, fill: u8) -> Result<SealedBlob, String> {
    make_sealed(len, fill)
}

#[command]
fn emit_sealed(event: String, len: usize, peer: Peer) -> Result<(), String> {
    peer.emit_raw(&event, &make_sealed(len, 9)?).map_err(|e| e.to_string())
}

#[command(inline)]
fn echo_raw(body: Raw) -> Raw {
    body
}

#[command]
fn echo(value: Value) -> Value {
    value
}

#[command(inline)]
fn echo_text(text: &str) -> String {
    text.to_owned()
}

#[command]
fn sum_bytes(bytes: &[u8]) -> u64 {
    bytes.iter().copied().map(u64::from).sum()
}

#[command(inline)]
fn token(token: State<'_, Token>) -> &'static str {
    token.inner().0
}

#[command(inline)]
fn my_label(peer: Peer) -> Option<String> {
    peer.label().map(str::to_owned)
}

/// The caller's process, as the system says.
#[command(inline)]
fn my_pid(peer: Peer) -> Option<u32> {
    peer.identity().pid
}

#[command]
async fn later(number: u64) -> u64 {
    blocking::unblock(move || number + 1).await
}

#[command]
fn hold(gate: String, gates: State<'_, Arc<Gates>>) -> String {
    gates.enter(&gate);
    gate
}

#[command]
async fn hold_async(gate: String, gates: State<'_, Arc<Gates>>) -> String {
    let gates = Arc::clone(&gates);
    blocking::unblock(move || {
        gates.enter(&gate);
        gate
    })
    .await
}

/// Headers, the body's length and how long the caller waits.
type Seen = (Vec<(String, String)>, usize, Option<u64>);

fn seen(request: &Request<'_>) -> Seen {
    let headers = request.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let left_ms = request.timeout().map(|left| u64::try_from(left.as_millis()).expect("short"));
    (headers.collect(), request.body().len(), left_ms)
}

#[command]
fn request(request: Request<'_>) -> Seen {
    seen(&request)
}

#[command(inline)]
fn request_inline(request: Request<'_>) -> Seen {
    seen(&request)
}

#[command]
async fn request_async(request: Request<'_>) -> Seen {
    seen(&request)
}

#[command]
fn upload(title: &str, first: Attachment, second: Attachment) -> (String, u64, Vec<u8>) {
    (title.to_owned(), first.iter().map(|byte| u64::from(*byte)).sum(), second.to_vec())
}

#[command(inline)]
fn upload_inline(title: &str, first: Attachment, second: Attachment) -> (String, u64, Vec<u8>) {
    (title.to_owned(), first.iter().map(|byte| u64::from(*byte)).sum(), second.to_vec())
}

#[command]
fn until_cancelled(gate: String, token: CancelToken, gates: State<'_, Arc<Gates>>) -> bool {
    gates.pass(&gate);
    let told = token.wait_timeout(PATIENCE);
    if told {
        gates.pass(&format!("{gate} told"));
    }
    told
}

#[command]
async fn until_cancelled_async(
    gate: String,
    token: CancelToken,
    gates: State<'_, Arc<Gates>>,
) -> bool {
    let gates = Arc::clone(&gates);
    gates.pass(&gate);
    token.cancelled().await;
    gates.pass(&format!("{gate} told"));
    true
}

/// Answers its call before the command runs, and tries once more: what it was told.
struct Hasty(Option<AlreadyAnswered>);

impl<'a> CommandArg<'a> for Hasty {
    const SOURCE: ArgSource = ArgSource::Call;

    fn from_call(call: Call<'a>, _: &str) -> Result<Self, String> {
        call.answer("first").map_err(|e| e.to_string())?;
        Ok(Self(call.fail("second").err()))
    }
}

fn passed_if_told(Hasty(told): Hasty, gate: &str, gates: &Gates) -> Result<&'static str, String> {
    if told == Some(AlreadyAnswered) {
        gates.pass(gate);
    }
    Ok("third")
}

#[command]
fn hasty(hasty: Hasty, gate: &str, gates: State<'_, Arc<Gates>>) -> Result<&'static str, String> {
    passed_if_told(hasty, gate, &gates)
}

#[command(inline)]
fn hasty_inline(
    hasty: Hasty,
    gate: &str,
    gates: State<'_, Arc<Gates>>,
) -> Result<&'static str, String> {
    passed_if_told(hasty, gate, &gates)
}

#[command]
async fn hasty_async(
    hasty: Hasty,
    gate: String,
    gates: State<'_, Arc<Gates>>,
) -> Result<&'static str, String> {
    passed_if_told(hasty, &gate, &gates)
}

#[command]
fn hasty_panic(_hasty: Hasty, gate: &str, gates: State<'_, Arc<Gates>>) {
    gates.pass(gate);
    panic!("{ON_PURPOSE}");
}

/// Notes a number; how many were noted before.
#[command(inline)]
fn note(number: u64, notes: State<'_, Mutex<Vec<u64>>>) -> usize {
    let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    notes.push(number);
    notes.len() - 1
}

#[command(inline)]
fn noted(notes: State<'_, Mutex<Vec<u64>>>) -> Vec<u64> {
    notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[command(inline)]
fn open(gate: &str, gates: State<'_, Arc<Gates>>) {
    gates.open(gate);
}

#[command]
fn wait_entered(gate: String, count: u64, gates: State<'_, Arc<Gates>>) {
    gates.wait_entered(&gate, count);
}

/// Emits `count` numbered events to whoever calls.
#[command]
fn emit_numbers(event: String, first: u64, count: u64, peer: Peer) -> Result<(), String> {
    (first..first + count).try_for_each(|n| peer.emit(&event, &n).map_err(|e| e.to_string()))
}

/// Emits numbered events with ballast to a client until there is no room; how many went out.
#[command]
fn fill(
    label: String,
    event: String,
    ballast: usize,
    clients: State<'_, Clients>,
) -> Result<u64, String> {
    let clients = clients.list();
    let peer = clients.iter().find(|peer| peer.label() == Some(&label));
    let peer = peer.ok_or("no such client")?;
    let ballast = "x".repeat(ballast);
    for number in 0.. {
        match peer.try_emit(&event, &(number, &ballast)) {
            Ok(()) => {}
            Err(tramline::SendError::Full) => return Ok(number),
            Err(e) => return Err(e.to_string()),
        }
    }
    Ok(0)
}

#[command]
fn emit_raw(event: String, peer: Peer) -> Result<(), String> {
    peer.emit_raw(&event, b"\x00raw\xff").map_err(|e| e.to_string())
}

/// How often a payload was encoded that went out as this event.
#[command]
fn emit_expensive(event: String, peer: Peer) -> Result<u64, String> {
    let payload = Expensive::default();
    peer.emit(&event, &payload).map_err(|e| e.to_string())?;
    Ok(payload.0.into_inner())
}

/// The fixed code of the error that emitting this event gives, if any.
#[command]
fn emit_code(event: String, peer: Peer) -> Option<&'static str> {
    peer.emit(&event, &1).err().map(|e| e.code())
}

#[command]
fn emit_all(event: String, text: String, clients: State<'_, Clients>) -> bool {
    clients.emit(&event, &text).is_ok()
}

#[command]
fn emit_to(label: String, event: String, text: String, clients: State<'_, Clients>) -> bool {
    clients.emit_to(&label, &event, &text).is_ok()
}

#[command]
fn emit_except(label: String, event: String, text: String, clients: State<'_, Clients>) -> bool {
    clients.emit_filter(&event, &text, |target| target.label() != Some(&label)).is_ok()
}

/// `emit`, `emit_to`, or `emit_filter` with a filter that picks the target and nothing else.
#[command]
fn emit_case(
    call: String,
    target: Option<EventTarget>,
    event: String,
    text: String,
    clients: State<'_, Clients>,
) -> Result<(), String> {
    let emitted = match (call.as_str(), target) {
        ("emit", _) => clients.emit(&event, &text),
        ("emit_to", Some(target)) => clients.emit_to(target, &event, &text),
        (_, target) => clients.emit_filter(&event, &text, |found| Some(found) == target.as_ref()),
    };
    emitted.map_err(|e| e.to_string())
}

/// How often a payload was encoded that went out as this event to this target.
#[command]
fn emit_expensive_to(target: EventTarget, event: String, peer: Peer) -> Result<u64, String> {
    let payload = Expensive::default();
    peer.emit_to(target, &event, &payload).map_err(|e| e.to_string())?;
    Ok(payload.0.into_inner())
}

#[command(inline)]
fn clients(clients: State<'_, Clients>) -> usize {
    clients.list().len()
}

#[command]
fn wait_up(count: u64, received: State<'_, Arc<Received>>) -> Count {
    received.up.wait(count)
}

#[command(inline)]
fn stop(clients: State<'_, Clients>) {
    clients.stop();
}

#[command]
fn print(text: String) {
    println!("{text}");
}

/// Event names that clients may emit and listen to.
pub const EVENTS: [&str; 13] = [
    "up",
    "blocking",
    "down",
    "other",
    "echo",
    "ballast",
    "raw",
    "größe/1:a_b-c",
    "",
    "matrix",
    "aimed",
    "heard",
    "overrun",
];

/// As what the server listens to `aimed`; it answers with `heard` and these names.
#[must_use]
pub fn aimed_at() -> [(&'static str, EventTarget); 4] {
    [
        ("app", EventTarget::App),
        ("any", EventTarget::Any),
        ("window main", EventTarget::window("main")),
        ("label main", EventTarget::any_label("main")),
    ]
}

/// Events `overrun` that wait for a listener that never returns by itself.
pub const OVERRUN_QUEUE: usize = 16;

fn capabilities() -> Capabilities {
    let names = [
        "add",
        "user_name",
        "options",
        "fail",
        "panics",
        "panics_inline",
        "panics_async",
        "unserialisable",
        "no_prices",
        "total",
        "raw_result",
        "raw_length",
        "echo_raw",
        "lies_in_pages",
        "lies_in_pages_inline",
        "lies_in_pages_async",
        "sealed",
        "sealed_inline",
        "sealed_async",
        "emit_sealed",
        "echo",
        "echo_text",
        "sum_bytes",
        "token",
        "my_label",
        "my_pid",
        "later",
        "hold",
        "hold_async",
        "request",
        "request_inline",
        "request_async",
        "upload",
        "upload_inline",
        "until_cancelled",
        "until_cancelled_async",
        "hasty",
        "hasty_inline",
        "hasty_async",
        "hasty_panic",
        "note",
        "noted",
        "open",
        "wait_entered",
        "emit_numbers",
        "fill",
        "emit_raw",
        "emit_expensive",
        "emit_code",
        "emit_all",
        "emit_to",
        "emit_except",
        "emit_case",
        "emit_expensive_to",
        "clients",
        "wait_up",
        "stop",
        "print",
        "no_such_command",
    ];
    let allowed = names.iter().fold(Capabilities::none(), |allowed, name| allowed.command(name));
    let allowed = EVENTS.iter().fold(allowed, |allowed, name| allowed.event(name));
    channels::capabilities(allowed)
}

/// The server of a test, in whichever process.
#[must_use]
pub fn serve(server: Server, limits: Limits) -> Server {
    let gates = Arc::new(Gates::default());
    let received = Arc::new(Received::default());
    let (listener_gates, up) = (Arc::clone(&gates), Arc::clone(&received));
    let overrun_gates = Arc::clone(&gates);
    let overrun = ListenOptions::new().overflow(Overflow::Disconnect).queue(OVERRUN_QUEUE, 1 << 20);
    let server = server
        .commands(commands![
            add,
            user_name,
            options,
            fail,
            forbidden,
            panics,
            panics_inline,
            panics_async,
            unserialisable,
            no_prices,
            total,
            raw_result,
            raw_length,
            echo_raw,
            lies_in_pages,
            lies_in_pages_inline,
            lies_in_pages_async,
            sealed,
            sealed_inline,
            sealed_async,
            emit_sealed,
            echo,
            echo_text,
            sum_bytes,
            token,
            my_label,
            my_pid,
            later,
            hold,
            hold_async,
            request,
            request_inline,
            request_async,
            upload,
            upload_inline,
            until_cancelled,
            until_cancelled_async,
            hasty,
            hasty_inline,
            hasty_async,
            hasty_panic,
            note,
            noted,
            open,
            wait_entered,
            emit_numbers,
            fill,
            emit_raw,
            emit_expensive,
            emit_code,
            emit_all,
            emit_to,
            emit_except,
            emit_case,
            emit_expensive_to,
            clients,
            wait_up,
            stop,
            print,
        ])
        .manage(gates)
        .manage(received)
        .manage(Token("managed"))
        .manage(Mutex::new(Vec::<u64>::new()))
        .allow(capabilities())
        .codec::<Marked>()
        .label("test server")
        .limits(limits)
        .listen("up", move |event| {
            let number = event.payload::<(u64, &str)>().map(|(number, _)| number);
            up.up.add(number.or_else(|_| event.payload()).unwrap_or(u64::MAX));
        })
        .listen("blocking", move |event| {
            listener_gates.enter(event.payload().unwrap_or("unnamed"));
        })
        .listen("raw", |event| {
            let _ = event.peer().emit("down", &in_pages(&Raw(event.to_bytes())));
        })
        .listen("echo", |event| {
            if let Ok(number) = event.payload::<u64>() {
                let _ = event.peer().emit("down", &number);
            }
        })
        .listen_with("overrun", overrun, move |_| overrun_gates.enter("overrun"));
    let server = aimed_at().into_iter().fold(server, |server, (name, target)| {
        let options = ListenOptions::new().target(target);
        server.listen_with("aimed", options, move |event| {
            let _ = event.peer().emit("heard", name);
        })
    });
    channels::serve(server)
}
