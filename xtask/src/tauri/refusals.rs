//! Windows with different capability files are refused the same, stock and accelerated.

use serde_json::Value;

use super::{App, cases_of};

/// Windows, and how many of the questions must be refused in each: else the table would say nothing.
const WINDOWS: &[(&str, usize)] = &[("main", 16), ("limited", 20), ("remote", 22)];

/// Asks the same in all windows, both ways: how many answers differ.
pub(super) fn compare(app: &App) -> Result<usize, String> {
    let stock = app.run("stock", "refusals")?;
    let accelerated = app.run("accelerated", "refusals")?;
    // The third is of another origin.
    for (report, on_ring) in [(&stock, 0), (&accelerated, 2)] {
        if report["on the ring"] != on_ring {
            return Err(format!("{} windows on the ring, not {on_ring}", report["on the ring"]));
        }
    }
    let mut wrong = 0;
    for (window, refused_at_least) in WINDOWS {
        let (stock, accelerated) = (&stock["results"][window], &accelerated["results"][window]);
        let questions = cases_of(stock);
        let refused = questions.iter().filter(|name| stock[**name].get("error").is_some()).count();
        println!("window '{window}': {} questions, {refused} refused", questions.len());
        if refused < *refused_at_least {
            eprintln!("window '{window}': {refused_at_least} refusals were expected: {stock}");
            wrong += 1;
        }
        for name in questions.union(&cases_of(accelerated)) {
            let (stock, other) = (&stock[*name], &accelerated[*name]);
            if stock != other || *stock == Value::Null {
                eprintln!("window '{window}': {name}\n  stock: {stock}\n  accelerated: {other}");
                wrong += 1;
            }
        }
    }
    Ok(wrong)
}
