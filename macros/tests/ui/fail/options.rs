use tramline::command;

#[command(root = "crate")]
fn unknown() {}

#[command(async)]
fn tauri() {}

#[command("name")]
fn no_option() {}

#[command(rename)]
fn no_value() {}

#[command(rename = 1)]
fn no_text() {}

#[command(rename = "")]
fn no_name() {}

#[command(rename_all = "kebab-case")]
fn other_case() {}

#[command(inline, inline)]
fn stands_twice() {}

#[command(inline rename = "x")]
fn no_comma() {}

fn main() {
    // A refused command is no second mistake here.
    tramline::commands![unknown, tauri];
}
