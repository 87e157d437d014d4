use tramline::command;

#[command]
fn tuple((a, b): (u8, u8)) {
    let _ = (a, b);
}

#[command]
fn wild(_: u8) {}

#[command]
fn underscores(__: u8) {}

#[command]
fn bound(all @ 0..: u8) {
    let _ = all;
}

fn main() {}
