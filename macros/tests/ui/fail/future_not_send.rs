use std::rc::Rc;

use tramline::command;

#[command]
async fn later(count: u8) -> u8 {
    let held = Rc::new(count);
    std::future::ready(()).await;
    *held
}

fn main() {}
