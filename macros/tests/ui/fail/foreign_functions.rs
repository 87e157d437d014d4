use tramline::command;

#[command]
unsafe fn dangerous() {}

#[command]
extern "C" fn foreign() {}

#[command]
unsafe extern "C" fn variadic(first: u8, _: ...) {
    let _ = first;
}

fn main() {}
