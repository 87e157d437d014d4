//! Results of every shape: each command of the group, called once.

use serde_json::json;

use super::{Body, Case};
use crate::commands::results::NAMES;

pub(super) fn cases() -> Vec<Case> {
    NAMES
        .iter()
        .map(|name| {
            let about = name.trim_start_matches("give_").replace('_', " ");
            let rows: &'static [u8] = match *name {
                "give_nothing" | "give_unit" | "give_unwritable" | "give_unwritable_within" => {
                    &[32]
                }
                _ => &[30],
            };
            Case::new("results", rows, &about, name, Body::Json(json!({})))
        })
        .collect()
}
