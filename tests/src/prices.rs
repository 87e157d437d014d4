//! A value with parts, of which one may be wrong.

use serde::{Deserialize, Serialize};
use tramline::command;

/// A list of prices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// One after the other.
    pub rows: Vec<Price>,
}

/// What something costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// Of what.
    pub name: String,
    /// How much.
    pub price: f64,
}

#[command]
pub(crate) fn total(prices: Prices) -> f64 {
    prices.rows.iter().map(|row| row.price).sum::<f64>() + 0.0
}

/// The fourth price is not a number.
#[command]
pub(crate) fn no_prices() -> Prices {
    let prices = [1.0, 2.0, 3.0, f64::NAN];
    Prices { rows: prices.map(|price| Price { name: "a".into(), price }).into() }
}
