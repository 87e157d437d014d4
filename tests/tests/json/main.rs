//! Every value is what it is in JSON, whatever codec carries it.

mod cases;
mod disagreements;
mod encode;
mod exact;
mod features;
mod hostile;
mod laws;
mod mapping;
mod model;
mod naming;
mod numbers;
mod properties;
mod reading;
mod types;
