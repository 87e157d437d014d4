use tramline::commands;

struct Data;

fn main() {
    let _ = commands![Data];
}
