//! `tramline inspect` as a user runs it, on this very process.
#![cfg(target_os = "linux")]

use std::process::{Command, Output};

use tramline::{Capabilities, Client, Server, command, commands, json};

#[command(inline)]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

fn inspect(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tramline")).arg("inspect").args(args).output().expect("starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// The system may let only root or a parent look into a process.
fn may_not_look(output: &Output) -> bool {
    text(&output.stderr).contains("this user may not trace it")
}

// One test: another one's link would be seen as well.
#[test]
fn inspect_shows_what_a_live_link_has_done() {
    let own = std::process::id().to_string();
    let output = inspect(&[&own]);
    assert_eq!(output.status.code(), Some(1));
    let line = format!("tramline: cannot inspect process {own}: it has no link over shared memory");
    assert_eq!((text(&output.stdout), text(&output.stderr).trim_end()), ("", &*line));

    let endpoint = format!("shm:inspect-{own}");
    let server = Server::new().commands(commands![add]).allow(Capabilities::none().command("add"));
    let server = server.start(&endpoint).expect("the name is free");
    let client = Client::connect(&endpoint).wait().expect("it serves");
    for a in 0..100_u64 {
        let sum: u64 = client.invoke("add", json!({ "a": a, "b": 1 })).wait().expect("a sum");
        assert_eq!(sum, a + 1);
    }

    let output = inspect(&[&own, "--json"]);
    if may_not_look(&output) {
        return;
    }
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines: Vec<serde_json::Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("one object a line"))
        .collect();
    // Both ends of the link are in this process: each direction is mapped twice.
    assert_eq!(lines.len(), 4, "{lines:?}");
    for line in &lines {
        assert_eq!(line["link"], lines[0]["link"]);
        assert_eq!((&line["pid"], &line["owner_pid"]), (&lines[0]["pid"], &lines[0]["pid"]));
        assert_eq!((&line["state"], &line["ring_capacity"]), (&json!(1), &json!(1 << 20)));
        // Hello and a hundred calls, or their answers.
        assert!(line["records"].as_u64() >= Some(101), "{line}");
        assert!(line["bytes"].as_u64() >= Some(2424), "{line}");
    }
    assert_eq!(lines.iter().filter(|line| line["own"] == true).count(), 2);

    let output = inspect(&[&own]);
    let table = text(&output.stdout);
    assert_eq!(table.lines().filter(|line| line.contains("open")).count(), 4, "{table}");
    client.close();
    server.stop();
}

#[test]
fn inspect_of_a_process_that_is_not_there_prints_one_line_and_exits_1() {
    // Above the largest process id of Linux.
    let output = inspect(&["4194305"]);
    assert_eq!(output.status.code(), Some(1));
    let line = "tramline: cannot inspect process 4194305: there is no such process\n";
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("", line));
}
