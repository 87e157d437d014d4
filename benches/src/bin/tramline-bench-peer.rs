//! The second process of the benches; started by them as a sidecar.

fn main() -> Result<(), tramline::Error> {
    tramline_benches::peer::serve_parent()
}
