//! Shadow mode over real processes.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_lite::future::block_on;
use serde::de::DeserializeSeed;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use tramline::{
    AnyCodec, Capabilities, Client, Codec, DecodeError, Difference, EncodeError, FrameWriter,
    InvokeError, Raw, Server, Stage, command, commands, json,
};
use tramline_tests::commands::Failure;
use tramline_tests::fixture::{limits, serve_there};
use tramline_tests::{PATIENCE, Peer, Setup, Transport, bounded};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tramline-test-peer");

/// What was reported.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<Difference>>>);

impl Reports {
    fn closure(&self) -> impl Fn(&Difference) + Send + Sync + 'static {
        let reports = self.clone();
        move |found| reports.0.lock().expect("no test panics in here").push(found.clone())
    }

    fn take(&self) -> Vec<Difference> {
        std::mem::take(&mut *self.0.lock().expect("no test panics in here"))
    }

    #[track_caller]
    fn one(&self) -> Difference {
        let mut all = self.take();
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }
}

fn connect(endpoint: &str, codec: AnyCodec, reports: &Reports) -> Client {
    let connect = Client::connect(endpoint).codec(codec).limits(limits());
    connect.shadow(reports.closure()).wait().expect("it serves")
}

/// A MessagePack that writes what machines read: addresses as numbers, structs without names.
#[derive(Debug, Clone, Copy)]
struct Compact;

impl Codec for Compact {
    const NAME: &'static str = "marked-json";

    fn encode<T: Serialize + ?Sized>(
        value: &T,
        out: &mut FrameWriter<'_>,
    ) -> Result<(), EncodeError> {
        let mut serializer = rmp_serde::Serializer::new(&mut *out).with_struct_map();
        value.serialize(&mut serializer).map_err(|e| EncodeError::new(Self::NAME, e))
    }

    fn decode_seed<'de, S: DeserializeSeed<'de>>(
        seed: S,
        input: &'de [u8],
    ) -> Result<S::Value, DecodeError> {
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(input);
        seed.deserialize(&mut deserializer).map_err(|e| DecodeError::new(Self::NAME, e))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Host {
    name: String,
    address: IpAddr,
}

fn host() -> Host {
    Host { name: "here".into(), address: [127, 0, 0, 1].into() }
}

#[command(inline)]
fn echo_hosts(hosts: Vec<Host>) -> Vec<Host> {
    hosts
}

/// Writes how often it was written.
#[derive(Default)]
struct Counts(AtomicU64);

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

#[derive(Serialize)]
struct Echo<T> {
    value: T,
}

#[command]
fn echo(value: Value) -> Value {
    value
}

/// All sorts of calls and events of an honest program.
fn honest_traffic(client: &Client) {
    let call = |command: &str, args: Value| {
        client.invoke::<Value, _>(command, args).timeout(PATIENCE).wait()
    };
    assert_eq!(call("add", json!({ "a": 2, "b": 3 })).expect("a sum"), 5);
    call("user_name", json!({ "userId": 1, "firstName": "x", "type": null })).expect("text");
    call("options", json!({ "number": null })).expect("text");
    for value in [json!(null), json!(-1), json!(u64::MAX), json!(0.1), json!({ "a": [{}, [], ""] })]
    {
        assert_eq!(call("echo", json!({ "value": value })).expect("the same"), value);
    }
    let text = "x".repeat(1 << 20);
    assert_eq!(call("echo_text", json!({ "text": text })).expect("the same"), text);
    assert_eq!(call("sum_bytes", json!({ "bytes": [1, 2, 255] })).expect("a sum"), 258);
    match call("fail", json!({ "path": "p" })) {
        Err(InvokeError::Failed(failure)) => {
            assert_eq!(failure.value::<Failure>().expect("its type").kind, "not-found");
        }
        other => panic!("{other:?}"),
    }
    assert!(call("panics", json!({})).is_err() && call("no_such_command", json!({})).is_err());
    assert!(call("forbidden", json!({})).is_err() && call("unserialisable", json!({})).is_err());
    let number: u64 = block_on(async { client.invoke("later", json!({ "number": 1 })).await })
        .expect("the next one");
    assert_eq!(number, 2);
    let Raw(raw) = client.invoke("raw_result", json!({ "len": 9 })).wait().expect("raw bytes");
    assert_eq!(raw.len(), 9);
    client.invoke_raw::<usize>("raw_length", vec![1; 10]).wait().expect("a length");
    for command in ["upload", "upload_inline"] {
        let call = client.invoke::<(String, u64, Vec<u8>), _>(command, json!({ "title": "t" }));
        let call = call.header("name", "value").attach("first", &[0xc1_u8; 9][..]);
        let found = call.attach("second", &b"{"[..]).timeout(PATIENCE).wait().expect("both came");
        assert_eq!((found.0.as_str(), found.2), ("t", b"{".to_vec()), "{command}");
    }
    client.invoke::<Option<String>, _>("my_label", ()).wait().expect("a label");
    client.listen("down", |_| {}).wait().expect("allowed");
    client.emit("up", &(1_u64, "ballast")).expect("sent");
    let emitted = json!({ "event": "down", "first": 1, "count": 20 });
    call("emit_numbers", emitted).expect("emitted");
    let text = json!({ "event": "down", "text": "t" });
    call("emit_all", text).expect("emitted");
    call("wait_up", json!({ "count": 1 })).expect("counted");
}

#[test]
fn an_honest_program_is_told_nothing_on_either_side() {
    bounded(|| {
        let endpoint = Transport::Shm.endpoint();
        let server = Peer::ready(PROGRAM, &["serve-in-shadow", &endpoint]);
        let reports = Reports::default();
        for codec in [Setup::MSGPACK, Setup::JSON, Setup::own_codec()] {
            let client = connect(&endpoint, codec, &reports);
            honest_traffic(&client);
            assert_eq!(reports.take(), [], "{codec:?}");
        }
        let client = connect(&endpoint, Setup::MSGPACK, &reports);
        // Its answer may come too late.
        let _ = client.invoke::<(), _>("stop", ()).wait();
        assert_eq!(server.line(), None, "the server has something to report");
    });
}

#[cfg(feature = "postcard")]
#[test]
fn typed_commands_are_looked_at_where_their_types_are_known() {
    use tramline_tests::typed::{Item, Refusal, item, serve, typed_commands};

    #[derive(Serialize)]
    struct One<T> {
        item: T,
    }
    #[derive(Serialize)]
    struct Id {
        id: u64,
    }
    bounded(|| {
        let (reports, served) = (Reports::default(), Reports::default());
        let endpoint = Transport::Mem.endpoint();
        let server = serve(Server::new().shadow(served.closure()));
        let _server = server.start(&endpoint).expect("it starts");
        let connect = Client::connect(&endpoint).codec(AnyCodec::POSTCARD);
        let connect = connect.commands(typed_commands()).shadow(reports.closure());
        let client = connect.wait().expect("it serves");
        let echoed: Item = client.invoke("echo_item", One { item: item(1) }).wait().expect("1");
        assert_eq!(echoed, item(1));
        client.invoke::<(), _>("nothing", ()).wait().expect("nothing");
        let failed = client.invoke::<Item, _>("find_later", Id { id: 5 }).wait();
        assert!(matches!(failed, Err(InvokeError::Failed(f)) if f.value::<Refusal>().is_ok()));
        assert_eq!((reports.take(), served.take()), (vec![], vec![]));

        // Written as JSON, it will be another number.
        #[derive(Serialize)]
        struct Number {
            number: Counts,
        }
        let echoed = client.invoke::<i64, _>("echo_number", Number { number: Counts::default() });
        echoed.wait().expect("a number");
        let found = reports.one();
        assert_eq!((&*found.path, &*found.in_codec, &*found.in_json), (".number", "0", "1"));
        assert_eq!(served.take(), []);
    });
}

#[test]
fn a_type_that_asks_whether_people_read_it_is_reported_with_its_path() {
    bounded(|| {
        let (reports, served) = (Reports::default(), Reports::default());
        let endpoint = Transport::Mem.endpoint();
        let server = Server::new().commands(commands![echo_hosts]).codec::<Compact>();
        let server = server.allow(Capabilities::all()).shadow(served.closure());
        let _server = server.start(&endpoint).expect("it starts");
        let client = connect(&endpoint, AnyCodec::custom::<Compact>(), &reports);
        #[derive(Serialize)]
        struct Hosts {
            hosts: Vec<Host>,
        }
        let args = Hosts { hosts: vec![host()] };
        let echoed: Vec<Host> = client.invoke("echo_hosts", args).wait().expect("the same");
        assert_eq!(echoed, [host()]);

        let mut sent = reports.take();
        let read = sent.pop().expect("the answer");
        let [written] = &sent[..] else { panic!("{sent:#?}") };
        assert_eq!((written.message, &*written.name), ("request", "echo_hosts"));
        assert_eq!((written.stage, &*written.path), (Stage::Written, ".hosts[0].address"));
        assert_eq!(
            (&*written.in_codec, &*written.in_json),
            (r#"{"V4":[127,0,0,1]}"#, r#""127.0.0.1""#)
        );
        assert_eq!(
            written.to_string(),
            "request `echo_hosts`, written, at .hosts[0].address: \
             marked-json has {\"V4\":[127,0,0,1]}, json has \"127.0.0.1\""
        );
        // What the type reads of it as JSON is nothing at all.
        assert_eq!((read.message, read.stage, &*read.path), ("response", Stage::Read, ""));
        assert!(read.in_json.starts_with("a refusal ("), "{read}");
        let served = served.take();
        let kinds: Vec<_> = served.iter().map(|found| (found.message, found.stage)).collect();
        assert_eq!(kinds, [("request", Stage::Read), ("response", Stage::Written)]);
        assert_eq!(&*served[1].name, "echo_hosts");
    });
}

#[test]
fn a_value_that_is_another_one_the_second_time_is_reported_and_the_first_one_sent() {
    bounded(|| {
        let endpoint = Transport::Shm.endpoint();
        let server = Peer::ready(PROGRAM, &["serve-in-shadow", &endpoint]);
        let reports = Reports::default();
        let client = connect(&endpoint, Setup::MSGPACK, &reports);
        let args = Echo { value: [Counts::default()] };
        let echoed: [u64; 1] = client.invoke("echo", args).wait().expect("an array");
        assert_eq!(echoed, [0], "what is sent does not change");
        let found = reports.one();
        assert_eq!((found.message, &*found.name), ("request", "echo"));
        assert_eq!((&*found.path, &*found.in_codec, &*found.in_json), (".value[0]", "0", "1"));
        // Awaited calls and events, too.
        let echoed: u64 =
            block_on(async { client.invoke("echo", Echo { value: Counts::default() }).await })
                .expect("a number");
        assert_eq!((echoed, &*reports.one().path), (0, ".value"));
        client.listen("down", |_| {}).wait().expect("allowed");
        client.emit("up", &Counts::default()).expect("sent");
        let found = reports.one();
        assert_eq!((found.message, &*found.name, &*found.path), ("event", "up", ""));
        // Once: what nobody listens to is not written at all.
        client.emit("nobody", &Counts::default()).expect("dropped");
        assert_eq!(reports.take(), []);
        // The server's own.
        let times: u64 =
            client.invoke("emit_expensive", json!({ "event": "down" })).wait().expect("a number");
        assert_eq!(times, 2, "in the codec and as JSON");
        assert_eq!(
            server.line().as_deref(),
            Some("event `down`, written: msgpack has 0, json has 1")
        );
    });
}

#[test]
fn whatever_goes_wrong_in_the_shadow_the_call_goes_on() {
    /// Panics when it is written once more.
    #[derive(Default)]
    struct Fragile(AtomicU64);
    impl Serialize for Fragile {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            assert_eq!(self.0.fetch_add(1, Ordering::SeqCst), 0, "on purpose");
            serializer.serialize_u64(7)
        }
    }
    /// Is refused when it is written once more.
    #[derive(Default)]
    struct Shy(AtomicU64);
    impl Serialize for Shy {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.0.fetch_add(1, Ordering::SeqCst) {
                0 => serializer.serialize_u64(8),
                _ => Err(serde::ser::Error::custom("on purpose")),
            }
        }
    }
    bounded(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload_as_str().is_none_or(|text| !text.contains("on purpose")) {
                hook(panic);
            }
        }));
        let endpoint = Transport::Shm.endpoint();
        let _server = serve_there(PROGRAM, &endpoint, &limits());
        let reports = Reports::default();
        let told = reports.closure();
        let connect = Client::connect(&endpoint).limits(limits());
        let connect = connect.shadow(move |found| {
            told(found);
            panic!("on purpose");
        });
        let client = connect.wait().expect("it serves");
        let echoed: u64 =
            client.invoke("echo", Echo { value: Fragile::default() }).wait().expect("a number");
        assert_eq!(echoed, 7);
        let echoed: u64 =
            client.invoke("echo", Echo { value: Shy::default() }).wait().expect("a number");
        assert_eq!(echoed, 8);
        let found = reports.one();
        assert_eq!((&*found.path, &*found.in_json), ("", "a refusal"));
        let echoed: u64 =
            client.invoke("echo", Echo { value: Counts::default() }).wait().expect("a number");
        assert_eq!((echoed, reports.take().len()), (0, 1));
        // Errors are the same ones as without a shadow.
        let large = Echo { value: "x".repeat(limits().max_message_len) };
        let refused = client.invoke::<Value, _>("echo", large).wait();
        assert_eq!(refused.expect_err("too large").code(), "message-too-large");
        let refused =
            client.invoke::<Value, _>("echo", tramline_tests::commands::Unserialisable).wait();
        assert_eq!(refused.expect_err("no value").code(), "encode-failed");
    });
}

/// Says that it was read.
struct Telltale;

static READ: AtomicU64 = AtomicU64::new(0);

impl<'de> Deserialize<'de> for Telltale {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        READ.fetch_add(1, Ordering::SeqCst);
        u8::deserialize(from).map(|_| Self)
    }
}

#[command(inline)]
fn take_telltale(value: Telltale) {
    let _ = value;
}

#[test]
fn arguments_of_a_refused_call_are_not_read_in_the_shadow_either() {
    bounded(|| {
        let endpoint = Transport::Mem.endpoint();
        let served = Reports::default();
        let server = Server::new().commands(commands![take_telltale]).shadow(served.closure());
        let _server = server.start(&endpoint).expect("it starts");
        let client = Client::connect(&endpoint).wait().expect("it serves");
        let refused = client.invoke::<(), _>("take_telltale", json!({ "value": 1 })).wait();
        assert!(matches!(refused, Err(InvokeError::Rejected(_))), "{refused:?}");
        assert_eq!((READ.load(Ordering::SeqCst), served.take()), (0, vec![]));
    });
}

#[test]
fn a_report_may_use_the_connection() {
    bounded(|| {
        let endpoint = Transport::Mem.endpoint();
        let server = Server::new().commands(commands![echo]).allow(Capabilities::all());
        let _server = server.start(&endpoint).expect("it starts");
        let (client, told) = (Arc::new(Mutex::new(None::<Client>)), Arc::new(AtomicU64::new(0)));
        let (own, count) = (Arc::clone(&client), Arc::clone(&told));
        let connect = Client::connect(&endpoint).shadow(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            let client = own.lock().expect("no test panics in here").clone().expect("connected");
            // It differs as well, and is not reported.
            let echoed = client.invoke::<u64, _>("echo", Echo { value: Counts::default() });
            assert_eq!(echoed.timeout(PATIENCE).wait().expect("a number"), 0);
        });
        let connected = connect.wait().expect("it serves");
        *client.lock().expect("no test panics in here") = Some(connected.clone());
        let echo = connected.invoke::<u64, _>("echo", Echo { value: Counts::default() });
        assert_eq!(echo.timeout(PATIENCE).wait().expect("a number"), 0);
        assert_eq!(told.load(Ordering::SeqCst), 1);
        *client.lock().expect("no test panics in here") = None;
    });
}
