//! Finds out what a type is made of by giving it made-up values, again and again.
//!
//! A type that says what it wants (`deserialize_struct`, `deserialize_enum`, ...) is followed part by
//! part. A type that asks what comes (tagged and untagged enums, flattened fields) is given guesses,
//! and better ones from what it says of them: `missing field`, `unknown variant`, `expected u32`.
//! Everything is bounded; what was not found is not claimed to be absent.

mod error;
mod guess;
mod key;
mod names;
mod parts;
mod prober;
mod state;
mod values;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use self::error::ProbeError;
pub use self::prober::Prober;
use self::state::State;
use super::See;

/// Parts of the made-up values of one type, all together. A choice: a second or two for types that
/// contain each other in every way, far more than others need.
const MAX_WORK: usize = 1_000_000;

/// How a made-up codec writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Style {
    /// Names and kinds are in the bytes, as in JSON.
    SelfDescribing,
    /// Nothing but values in declared order, as in postcard.
    Positional,
}

/// Something about a type that a codec may mind, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// `.field`, `[]` for an element, `{}` for a map's value, `::Variant`, from the outside in.
    pub path: String,
    /// What it is.
    pub what: Trait,
}

/// What a type does that a codec may mind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trait {
    /// It asks the bytes what comes; in brackets what it says it expects.
    Asks(Box<str>),
    /// It is flattened into the struct around it.
    Flattened,
    /// It asks for names where bytes have none, as adjacently tagged enums do.
    Names,
    /// Its names and values do not match by position: some names are aliases.
    Aliases,
    /// A map whose keys are this, where they have to be text: within a tag or a flattened field.
    BufferedKey(Box<str>),
    /// A map whose keys are this, which is no scalar.
    KeyNoScalar(&'static str),
    /// A map whose keys are options.
    OptionalKey,
    /// An option within an option.
    NestedOption,
    /// An option of nothing.
    OptionalUnit,
    /// An integer of 128 bits.
    Wide,
    /// A private type of serde_json's.
    Private(&'static str),
    /// Bytes and a sequence of the same numbers are different variants.
    BytesOrSequence,
    /// It borrows from what it is read from, and outlives it where it is wanted.
    Borrows,
    /// No made-up value was taken here.
    Unexplored(Box<str>),
}

/// What was found out about a type.
#[derive(Debug, Clone, Default)]
pub struct Explored {
    /// In the order in which it was found.
    pub notes: Vec<Note>,
    /// How many made-up values the type has taken.
    pub values: usize,
}

/// Gives a type made-up values, from which it may borrow if they are `lent`.
pub(super) fn explore(
    probe: fn(Prober<'_>, See<'_>) -> Result<(), ProbeError>,
    style: Style,
    lent: bool,
    see: See<'_>,
) -> Explored {
    let state = RefCell::new(State::new(style, lent));
    loop {
        state.borrow_mut().begin();
        error::listen();
        // Types may panic at values that their own programs never make.
        let mut names = Vec::new();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            probe(Prober::root(&state), &mut |value| {
                names = names::of(value);
                see(value);
            })
        }));
        let heard = error::heard();
        let mut state = state.borrow_mut();
        state.listen_for_notes(&heard);
        let more = match outcome {
            Ok(Ok(())) => state.taken(&heard, &names),
            Ok(Err(e)) => state.refused(&heard, &e.to_string()),
            Err(_) => state.refused(&heard, "it panicked"),
        };
        if !more || state.work > MAX_WORK {
            break;
        }
    }
    state.into_inner().explored()
}
