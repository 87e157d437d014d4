use tramline::command;

struct Opaque;

#[command]
fn plain() -> Result<u8, Opaque> {
    Err(Opaque)
}

#[command]
async fn later() -> Result<Opaque, std::io::Error> {
    Ok(Opaque)
}

fn main() {}
