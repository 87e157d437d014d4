use tramline::command;

#[command]
struct Data;

#[command]
const LIMIT: u8 = 1;

trait Service {
    #[command]
    fn bodiless();
}

fn main() {
    let _ = (Data, LIMIT);
}
