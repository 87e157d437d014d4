use tramline::command;

#[command(inline)]
async fn later() {}

fn main() {}
