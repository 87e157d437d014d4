//! Errors of every shape: each command of the group, called once.

use serde_json::json;

use super::{Body, Case};
use crate::commands::errors::NAMES;

pub(super) fn cases() -> Vec<Case> {
    NAMES
        .iter()
        .map(|name| {
            Case::new("errors", &[31], &name.replace('_', " "), name, Body::Json(json!({})))
        })
        .collect()
}
