//! The script that takes the place of Tauri's in each page: the way to the core, in the order of speed.

/// One script of several files. They share one function, so the page sees nothing of it.
const SCRIPT: &str = concat!(
    ";(function () {\n",
    include_str!("stock.js"),
    include_str!("calls.js"),
    include_str!("items.js"),
    include_str!("ring.js"),
    include_str!("portable.js"),
    include_str!("chooser.js"),
    "})()\n",
);

/// The script; `no_ring` says why there is no ring for any page.
pub(crate) fn script(no_ring: Option<&'static str>) -> String {
    let no_ring = serde_json::Value::from(no_ring).to_string();
    SCRIPT
        .replace("__TRAMLINE_NO_RING__", &no_ring)
        .replace("__TRAMLINE_OS__", std::env::consts::OS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_becomes_a_literal_of_the_script() {
        assert!(script(None).contains("let noRing = null"));
        let script = script(Some("the app's \"choice\""));
        assert!(script.contains(r#"let noRing = "the app's \"choice\"""#));
    }
}
