use tramline::command;

#[command]
fn twice(user_id: u8, userId: u8) {
    let _ = (user_id, userId);
}

fn main() {}
