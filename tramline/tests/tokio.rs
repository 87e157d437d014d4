//! The tokio adapter: async commands run on the runtime the server was made in.

#![cfg(feature = "tokio")]

use std::time::Duration;

use tramline::{
    Capabilities, Channel, ChannelReader, Client, RecvError, SendError, Server, command, commands,
    json,
};

#[command]
async fn nap(ms: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    ms
}

#[tokio::test]
async fn async_commands_run_on_the_servers_tokio_runtime() -> Result<(), tramline::Error> {
    let endpoint = format!("auto:tokio-{}", std::process::id());
    let server = Server::new()
        .commands(commands![nap])
        .allow(Capabilities::all())
        .on_tokio()
        .start(&endpoint)?;
    let client = Client::connect(&endpoint).await?;
    let naps = (0..20).map(|ms| {
        let client = client.clone();
        tokio::spawn(async move { client.invoke::<u64, _>("nap", json!({ "ms": ms })).await })
    });
    for (ms, nap) in naps.enumerate().collect::<Vec<_>>() {
        let answer = nap.await.expect("the task ran");
        assert_eq!(answer?, ms as u64);
    }
    tokio::task::spawn_blocking(move || server.stop()).await.expect("the server stopped");
    Ok(())
}

#[command]
async fn double(mut from: ChannelReader<u64>, to: Channel<u64>) -> Result<(), String> {
    while let Some(number) = from.recv_async().await {
        let number = number.map_err(|e| e.to_string())?;
        to.send_async(&(2 * number)).await.map_err(|e| e.to_string())?;
    }
    Ok(())
}

#[tokio::test]
async fn channels_stream_both_ways_between_tasks() -> Result<(), tramline::Error> {
    // More than a window on either side.
    const COUNT: u64 = 10_000;
    let endpoint = format!("auto:tokio-channels-{}", std::process::id());
    let server = Server::new()
        .commands(commands![double])
        .allow(Capabilities::all())
        .on_tokio()
        .start(&endpoint)?;
    let client = Client::connect(&endpoint).await?;
    let (from, sender) = client.channel_to::<u64>();
    let (to, mut reader) = client.channel::<u64>();
    let sending = tokio::spawn(async move {
        for number in 0..COUNT {
            sender.send_async(&number).await?;
        }
        Ok::<_, SendError>(())
    });
    let reading = tokio::spawn(async move {
        for number in 0..COUNT {
            assert_eq!(reader.recv_async().await.expect("no end")?, 2 * number);
        }
        assert!(reader.recv_async().await.is_none());
        Ok::<_, RecvError>(())
    });
    client.invoke::<(), _>("double", json!({ "from": from, "to": to })).await?;
    sending.await.expect("the task ran")?;
    reading.await.expect("the task ran")?;
    tokio::task::spawn_blocking(move || server.stop()).await.expect("the server stopped");
    Ok(())
}

#[cfg(target_os = "linux")]
mod connections {
    use std::fs;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, mpsc};

    use tramline::{Admission, Capability, InvokeError, LinkError, Quota, Rate};

    use super::*;

    #[command(inline)]
    fn add(a: u64, b: u64) -> u64 {
        a + b
    }

    fn name() -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        format!("tokio-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Threads of this process that serve one connection.
    fn connection_threads() -> usize {
        let tasks = fs::read_dir("/proc/self/task").expect("it runs");
        let names =
            tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.trim() == "tramline-server").count()
    }

    /// A server on this runtime; calls and events of many clients in threads of their own; its end.
    async fn serves_many() {
        const CLIENTS: u64 = 30;
        let endpoint = format!("shm:{}", name());
        let (told, ended) = mpsc::channel();
        let told = std::sync::Mutex::new(told);
        let server = Server::new()
            .commands(commands![add, nap])
            .allow(Capabilities::all())
            .listen("up", |event| {
                let number: u64 = event.payload().expect("a number");
                event.peer().emit("down", &number).expect("sent");
            })
            .on_ended(move |_, why| {
                // The test may be over.
                let _ = told.lock().expect("not poisoned").send(why.clone());
            })
            .on_tokio()
            .start(&endpoint)
            .expect("the name is free");
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let endpoint = endpoint.clone();
                // Blocking calls, hence on threads that sleep on futexes.
                tokio::task::spawn_blocking(move || {
                    let client = Client::connect(&endpoint).wait().expect("it serves");
                    let (told, events) = mpsc::channel();
                    let told = std::sync::Mutex::new(told);
                    let listener = move |event: tramline::Event<'_>| {
                        let number: u64 = event.payload().expect("a number");
                        let _ = told.lock().expect("not poisoned").send(number);
                    };
                    client.listen("down", listener).wait().expect("allowed");
                    for count in 0..50 {
                        let sum =
                            client.invoke::<u64, _>("add", json!({ "a": number, "b": count }));
                        assert_eq!(sum.wait().expect("a sum"), number + count);
                        client.emit("up", &count).expect("sent");
                    }
                    for count in 0..50 {
                        let event = events.recv_timeout(Duration::from_secs(30));
                        assert_eq!(event.expect("an event"), count);
                    }
                    let napped = client.invoke::<u64, _>("nap", json!({ "ms": 1 })).wait();
                    assert_eq!(napped.expect("a nap"), 1);
                    client
                })
            })
            .collect();
        let mut open = Vec::new();
        for client in clients {
            open.push(client.await.expect("it was served"));
        }
        assert_eq!(server.clients().list().len(), open.len());
        // Those of other tests, too, which say hello on a thread.
        let started = std::time::Instant::now();
        while connection_threads() > 0 {
            assert!(started.elapsed() < Duration::from_secs(30), "a connection has a thread");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Half of them leave by themselves.
        open.truncate(open.len() / 2);
        while server.clients().list().len() > open.len() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // On the very thread that runs the connections, if there is only one.
        server.stop();
        let open = Arc::new(open);
        let ends = tokio::task::spawn_blocking(move || {
            for _ in 0..CLIENTS {
                let why = ended.recv_timeout(Duration::from_secs(30)).expect("it ends");
                assert!(matches!(why, LinkError::Closed), "{why}");
            }
            for client in open.iter() {
                assert!(client.invoke::<u64, _>("add", json!({ "a": 1, "b": 1 })).wait().is_err());
            }
        });
        ends.await.expect("they ended");
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_serves_many_connections() {
        serves_many().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_runtime_of_many_threads_serves_many_connections() {
        serves_many().await;
    }

    /// The codes of some sums; none where there is a sum.
    fn codes(client: &Client, count: usize) -> Vec<Option<String>> {
        let sum = || client.invoke::<u64, _>("add", json!({ "a": 1, "b": 2 })).wait();
        let code = |error: InvokeError| error.code().to_owned();
        (0..count).map(|_| sum().err().map(code)).collect()
    }

    #[tokio::test]
    async fn a_runtimes_connections_are_judged_gated_and_metered() {
        let endpoint = format!("shm:{}", name());
        let adding = Capability::new("adding").label("adder").command("add");
        let server = Server::new()
            .commands(commands![add])
            .allow(Capabilities::none().with(adding))
            .admit(|visitor| match visitor.label() {
                Some("stranger") => Admission::refuse("no strangers"),
                Some("greedy") => {
                    let an_hour = Duration::from_secs(3600);
                    let quota = Quota::none().messages(Rate::new(2, an_hour));
                    Admission::local().label("adder").quota(quota)
                }
                _ => Admission::local(),
            })
            .on_tokio()
            .start(&endpoint)
            .expect("the name is free");
        let live = server.capabilities();
        let asked = tokio::task::spawn_blocking(move || {
            let connect = |label: &str| Client::connect(&endpoint).label(label).wait();
            let refused = connect("stranger").expect_err("not admitted").to_string();
            assert!(refused.contains("no strangers"), "{refused}");
            let denied = [Some("capability-denied".to_owned())];
            let adder = connect("adder").expect("admitted");
            assert_eq!(codes(&adder, 1), [None]);
            assert_eq!(codes(&connect("other").expect("admitted"), 1), denied);
            let over = Some("over-quota".to_owned());
            let greedy = connect("greedy").expect("admitted");
            assert_eq!(codes(&greedy, 4), [None, None, over.clone(), over]);
            assert!(live.revoke("adding"));
            assert_eq!(codes(&adder, 1), denied);
        });
        asked.await.expect("it was served");
        server.stop();
    }

    #[test]
    fn connections_end_with_the_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let endpoint = format!("shm:{}", name());
        let server = runtime.block_on(async {
            let server = Server::new().commands(commands![add]).allow(Capabilities::all());
            let server = server.on_tokio().start(&endpoint).expect("the name is free");
            let client = tokio::task::spawn_blocking(move || {
                let client = Client::connect(&endpoint).wait().expect("it serves");
                let sum = client.invoke::<u64, _>("add", json!({ "a": 1, "b": 2 })).wait();
                assert_eq!(sum.expect("a sum"), 3);
                client
            });
            (server, client.await.expect("it was served"))
        });
        drop(runtime);
        let (server, client) = server;
        assert!(client.invoke::<u64, _>("add", json!({ "a": 1, "b": 2 })).wait().is_err());
        server.stop();
    }

    #[test]
    #[should_panic(expected = "enable_io")]
    fn a_runtime_that_watches_no_sockets_is_refused_at_once() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let _ = Server::new().on_tokio();
        });
    }
}
