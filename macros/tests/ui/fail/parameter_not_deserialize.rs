use tramline::command;

struct Opaque;

#[command]
fn plain(first: u8, second: Opaque) {
    let _ = (first, second);
}

#[command]
async fn later(many: Option<Opaque>) {
    let _ = many;
}

fn main() {}
