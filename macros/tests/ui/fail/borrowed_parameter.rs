use tramline::command;

#[command]
fn string(text: &String) {
    let _ = text;
}

#[command]
fn numbers(numbers: &[u32], maybe: Option<&u8>) {
    let _ = (numbers, maybe);
}

#[command]
fn mutable(text: &mut str, bytes: &mut [u8]) {
    let _ = (text, bytes);
}

#[command]
fn inside(texts: Vec<&str>) {
    let _ = texts;
}

#[command]
fn for_ever(text: &'static str) {
    let _ = text;
}

fn main() {}
