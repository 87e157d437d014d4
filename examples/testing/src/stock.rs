//! The side that offers a command.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tramline::{Capabilities, Server, State, command, commands};

/// What things cost, in cents.
#[derive(Debug, Default)]
pub struct Prices(pub HashMap<String, u64>);

/// There is nothing of that name.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct NoPrice {
    /// The name.
    pub item: String,
}

#[command]
fn price(item: String, prices: State<'_, Prices>) -> Result<u64, NoPrice> {
    prices.0.get(&item).copied().ok_or(NoPrice { item })
}

/// The server, not started yet: a program starts it on an endpoint, a test in a pair.
#[must_use]
pub fn stock(prices: Prices) -> Server {
    Server::new()
        .commands(commands![price])
        .manage(prices)
        .allow(Capabilities::none().command("price").event("sold"))
}
