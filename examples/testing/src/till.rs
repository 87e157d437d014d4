//! The side that calls.

use std::time::Duration;

use tramline::{Client, InvokeError, json};

/// How long a customer waits for a price.
const PATIENCE: Duration = Duration::from_secs(10);

/// How asking for a price went.
#[derive(Debug, PartialEq)]
pub enum Sale {
    /// Sold, for this many cents.
    For(u64),
    /// The stock knows no price: ask a person.
    Unpriced,
    /// The stock does not answer: the customer is asked to come back.
    Later,
}

/// A till at work.
#[derive(Debug)]
pub struct Till {
    stock: Client,
}

impl Till {
    /// A till of this stock.
    #[must_use]
    pub fn new(stock: Client) -> Self {
        Self { stock }
    }

    /// Sells one thing and says so in an event.
    ///
    /// # Errors
    ///
    /// What is neither a price nor its absence.
    pub fn sell(&self, item: &str) -> Result<Sale, InvokeError> {
        let price = self.stock.invoke::<u64, _>("price", json!({ "item": item }));
        match price.timeout(PATIENCE).wait() {
            Ok(price) => {
                self.stock.emit("sold", item)?;
                Ok(Sale::For(price))
            }
            Err(InvokeError::Failed(_)) => Ok(Sale::Unpriced),
            Err(InvokeError::Deadline(_)) => Ok(Sale::Later),
            Err(e) => Err(e),
        }
    }
}
