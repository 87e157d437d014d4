//! Each side alone, then both together.

use std::sync::mpsc;

use example_testing::{NoPrice, Prices, Sale, Till, stock};
use tramline::json;
use tramline::test::{assert_ipc_response, mock_ipc, pair};

fn prices() -> Prices {
    Prices([("tea".to_owned(), 250)].into())
}

/// The till, with a stock made up by the test.
#[test]
fn the_till_sells_what_has_a_price_and_says_so() {
    let mock = mock_ipc(|call| match call.args()["item"].as_str() {
        Some("tea") => Ok(json!(250)),
        _ => Err(json!({ "item": "?" })),
    });
    let mock = mock.should_mock_events().start().expect("a mock");
    let (sold, events) = mpsc::channel();
    let listener = move |event: tramline::Event<'_>| {
        let _ = sold.send(event.payload::<String>());
    };
    mock.client().listen("sold", listener).wait().expect("listening");

    let till = Till::new(mock.client().clone());
    assert_eq!(till.sell("tea").expect("answered"), Sale::For(250));
    assert_eq!(till.sell("coal").expect("answered"), Sale::Unpriced);
    let sold: Vec<_> = events.try_iter().map(|item| item.expect("a name")).collect();
    assert_eq!(sold, ["tea"]);
}

/// Ten seconds of patience take no time.
#[test]
fn a_stock_that_does_not_answer_makes_the_customer_come_back() {
    let mock = mock_ipc(|call| Err(call.never_answered())).start().expect("a mock");
    let till = Till::new(mock.client().clone());
    assert_eq!(till.sell("tea").expect("given up"), Sale::Later);
}

/// The stock, without any client of the program's.
#[test]
fn the_stock_answers_with_prices_or_with_what_has_none() {
    let pair = pair(stock(prices())).expect("a pair");
    let server = pair.server();
    assert_ipc_response(server, "price", json!({ "item": "tea" }), Ok::<_, NoPrice>(250));
    let coal = NoPrice { item: "coal".into() };
    assert_ipc_response(server, "price", json!({ "item": "coal" }), Err::<u64, _>(coal));
}

/// Both, as in the program, but in one process.
#[test]
fn till_and_stock_agree_on_names_and_rights() {
    let (sold, events) = mpsc::channel();
    let server = stock(prices()).listen("sold", move |event| {
        let _ = sold.send(event.payload::<String>());
    });
    let pair = pair(server).expect("a pair");
    let till = Till::new(pair.client().clone());
    assert_eq!(till.sell("tea").expect("answered"), Sale::For(250));
    assert_eq!(events.recv().expect("an event").expect("a name"), "tea");
}
