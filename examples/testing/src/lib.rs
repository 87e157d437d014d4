//! A program worth testing: a till that asks a stock for prices. `cargo test -p example-testing` runs
//! its tests; read `tests/till.rs`.

#![forbid(unsafe_code)]

mod stock;
mod till;

pub use stock::{NoPrice, Prices, stock};
pub use till::{Sale, Till};
