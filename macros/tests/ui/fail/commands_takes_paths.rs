use tramline::{command, commands};

#[command]
fn add(a: u8) -> u8 {
    a
}

fn main() {
    let _ = commands![add()];
    let _ = commands!["add"];
    let _ = commands![add add];
}
