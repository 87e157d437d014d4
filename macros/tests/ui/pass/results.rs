use serde::Serialize;
use tramline::{Raw, command, commands};

#[derive(Serialize)]
struct Fault {
    code: u8,
}

type Outcome<T> = Result<T, Fault>;

#[command]
fn unit() -> () {}

#[command]
fn value() -> Option<Vec<u8>> {
    None
}

#[command]
fn result() -> Result<(), Fault> {
    Err(Fault { code: 1 })
}

#[command]
fn alias() -> Outcome<u8> {
    Ok(1)
}

#[command]
fn raw() -> Raw {
    vec![1].into()
}

#[command]
fn raw_result() -> std::result::Result<Raw, String> {
    Ok(vec![1].into())
}

#[command]
fn raw_alias() -> Outcome<Raw> {
    Ok(vec![1].into())
}

#[command]
fn opaque() -> impl Serialize {
    1
}

#[command]
async fn opaque_result() -> Result<impl Serialize, impl Serialize + use<>> {
    if true { Ok(1) } else { Err("no") }
}

fn main() {
    let all = commands![
        unit, value, result, alias, raw, raw_result, raw_alias, opaque, opaque_result
    ];
    assert_eq!(all.into_entries().count(), 9);
}
