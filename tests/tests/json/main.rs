//! The JSON guarantee: every value is what it is in JSON, whatever codec carries it.

mod cases;
mod disagreements;
mod encode;
mod exact;
mod features;
mod hostile;
mod laws;
mod mapping;
#[cfg(feature = "postcard")]
mod mapping_postcard;
mod model;
mod naming;
mod numbers;
mod properties;
#[cfg(feature = "postcard")]
mod properties_typed;
mod reading;
mod shadow;
#[cfg(feature = "postcard")]
mod typed;
mod types;
mod verify;
