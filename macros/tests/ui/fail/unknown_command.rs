use tramline::commands;

mod files {}

fn plain() {}

fn main() {
    let _ = commands![missing, files::scan];
    let _ = commands![plain];
}
