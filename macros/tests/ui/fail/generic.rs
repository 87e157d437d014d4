use tramline::command;

#[command]
fn types<T: serde::de::DeserializeOwned>(value: Vec<T>) {
    let _ = value;
}

#[command]
fn consts<const N: usize>() {}

#[command]
fn opaque(text: impl Into<String>, other: Option<impl Copy>) {
    let _ = (text.into(), other);
}

fn main() {}
