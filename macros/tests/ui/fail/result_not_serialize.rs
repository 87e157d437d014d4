use tramline::command;

struct Opaque;

#[command]
fn plain() -> Opaque {
    Opaque
}

#[command]
async fn later() -> Vec<Opaque> {
    vec![Opaque]
}

fn main() {}
