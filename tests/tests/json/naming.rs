//! Over a connection: whoever made the mistake learns in which call, and where.

use std::collections::BTreeMap;

use serde_json::Value;
use tramline::{InvokeError, SendError, json};
use tramline_tests::prices::{Price, Prices};
use tramline_tests::{Fixture, Setup, Transport, conformance};

conformance! {
    nan_is_refused_naming_command_and_field,
    a_result_that_is_not_a_number_is_refused_naming_command_and_field,
    an_event_that_is_not_a_number_is_refused_naming_event_and_field,
    a_mistyped_part_of_an_argument_is_refused_naming_command_and_field,
    a_key_that_stands_twice_among_the_arguments_is_refused,
}

/// Four rows, of which the last one has this price.
fn prices(last: f64) -> Prices {
    let row = |price| Price { name: "a".into(), price };
    Prices { rows: vec![row(1.0), row(2.5), row(-0.0), row(last)] }
}

fn total(f: &Fixture, last: f64) -> Result<f64, InvokeError> {
    f.client.invoke("total", BTreeMap::from([("prices", prices(last))])).wait()
}

fn nan_is_refused_naming_command_and_field(setup: &Setup) {
    let f = setup.open();
    for (last, word) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")] {
        let refused = total(&f, last).expect_err("no JSON form");
        let InvokeError::Send(SendError::Encode(error)) = &refused else {
            panic!("{refused:?}");
        };
        assert_eq!(&*error.path, ".prices.rows[3].price");
        assert_eq!(
            refused.to_string(),
            format!(
                "arguments of command `total` cannot be encoded as {}: `.prices.rows[3].price`: \
                 {word} has no JSON form",
                error.codec
            )
        );
    }
    assert_eq!(total(&f, 0.5).expect("a number"), 4.0);
}

fn a_result_that_is_not_a_number_is_refused_naming_command_and_field(setup: &Setup) {
    let f = setup.open();
    let refused = f.client.invoke::<Prices, _>("no_prices", json!({})).wait().expect_err("NaN");
    assert_eq!(refused.code(), "result-not-encodable");
    let words = refused.to_string();
    assert!(words.contains("result of command `no_prices`"), "{words}");
    assert!(words.contains("`.rows[3].price`: NaN has no JSON form"), "{words}");
    assert_eq!(total(&f, 0.5).expect("it lives"), 4.0);
}

fn an_event_that_is_not_a_number_is_refused_naming_event_and_field(setup: &Setup) {
    let f = setup.open();
    let refused = f.client.emit("up", &prices(f64::NAN)).expect_err("no JSON form").to_string();
    assert!(refused.contains("payload of event `up` cannot be encoded"), "{refused}");
    assert!(refused.contains("`.rows[3].price`: NaN has no JSON form"), "{refused}");
    assert_eq!(total(&f, 0.5).expect("it lives"), 4.0);
}

fn a_mistyped_part_of_an_argument_is_refused_naming_command_and_field(setup: &Setup) {
    let f = setup.open();
    let rows = json!([{ "name": "a", "price": 1 }, { "name": "b", "price": "2" }]);
    let args = json!({ "prices": { "rows": rows } });
    let refused = f.client.invoke::<Value, _>("total", args).wait().expect_err("a text");
    assert_eq!(refused.code(), "bad-arguments");
    let words = refused.to_string();
    // Tauri's words, and where.
    let tauri =
        "invalid args `prices` for command `total`: invalid type: string \"2\", expected f64";
    let place = words.strip_prefix(tauri).unwrap_or_else(|| panic!("{words}"));
    assert!(place.starts_with(", at `.prices.rows[1].price`, byte "), "{words}");
    assert_eq!(total(&f, 0.5).expect("it lives"), 4.0);
}

/// Writes a key twice: the arguments of a program that does not know better.
struct Twice(&'static str);

impl serde::Serialize for Twice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;

        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("a", &1)?;
        map.serialize_entry("b", &2)?;
        map.serialize_entry(self.0, &1)?;
        map.serialize_entry(self.0, &1)?;
        map.end()
    }
}

fn a_key_that_stands_twice_among_the_arguments_is_refused(setup: &Setup) {
    let f = setup.open();
    // One of the command's, and one that nobody asked for.
    for key in ["c", "b"] {
        let refused = f.client.invoke::<Value, _>("add", Twice(key)).wait().expect_err("twice");
        if setup.transport == Transport::ShmGuarded {
            // A guard lets nothing pass that it cannot show as JSON.
            assert_eq!(refused.code(), "guard-refused");
            continue;
        }
        assert_eq!(refused.code(), "bad-arguments");
        let words = refused.to_string();
        assert!(words.contains("command `add`") && words.contains("stands twice"), "{words}");
    }
    assert_eq!(total(&f, 0.5).expect("it lives"), 4.0);
}
