use tramline::__private::{Command, Handler};
use tramline::command;

#[command]
fn plain() {}

#[command()]
async fn later() -> u8 {
    std::future::ready(1).await
}

#[command(inline)]
fn at_once() -> u8 {
    2
}

#[command]
const fn constant() -> u8 {
    3
}

fn main() {
    assert!(matches!(plain::HANDLER, Handler::Blocking(_)));
    assert!(matches!(later::HANDLER, Handler::Async(_)));
    assert!(matches!(at_once::HANDLER, Handler::Inline(_)));
    // They are still functions.
    plain();
    const THREE: u8 = constant();
    assert_eq!(at_once() + 1, THREE);
}
