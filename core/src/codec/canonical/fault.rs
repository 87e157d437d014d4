//! Why a value cannot be read, where in the bytes, and in which part of the value.

use std::fmt::{self, Display};

use serde::de;

use super::path::{Path, Segment, Words};
use crate::error::DecodeError;

/// A refusal on its way out.
#[derive(Debug)]
pub(crate) struct Fault(Box<Inner>);

#[derive(Debug)]
struct Inner {
    what: Words,
    at: Option<usize>,
    path: Path,
}

impl Fault {
    /// A fault at a byte of the input.
    #[cold]
    pub(crate) fn new(at: usize, what: impl Display) -> Self {
        Self(Box::new(Inner { what: Words::new(what), at: Some(at), path: Path::default() }))
    }

    /// The same, in this part of the value around it.
    #[cfg(feature = "postcard")]
    #[cold]
    pub(crate) fn inside(mut self, segment: Segment) -> Self {
        self.0.path.push(segment);
        self
    }

    /// The same, at this byte unless it is known more precisely.
    #[cold]
    pub(crate) fn at(mut self, at: usize) -> Self {
        self.0.at.get_or_insert(at);
        self
    }

    /// The same, with what was seen of it on its way.
    #[cold]
    pub(super) fn behind(mut self, trail: Option<Box<Trail>>) -> Self {
        match trail {
            Some(trail) => (self.0.at, self.0.path) = (Some(trail.at), trail.path),
            // It was never in a part.
            None => self = self.at(0),
        }
        self
    }

    #[cold]
    pub(crate) fn into_error(self, codec: &'static str) -> DecodeError {
        let Inner { what, at, path } = *self.0;
        DecodeError { codec, at, path: path.to_string().into(), cause: what.as_str().into() }
    }
}

/// Where a fault has come by. The deserializer keeps it, for on its way through a type's own code,
/// or through erased-serde, a fault is no more than words.
#[derive(Debug)]
pub(super) struct Trail {
    at: usize,
    path: Path,
    /// What was left of the depth where it came by last: more and more on the way out.
    depth: u8,
}

impl Trail {
    /// A fault comes by in a part that begins at `at`. Only the first fault leaves a trail: whatever
    /// follows a fault that was passed over is read from the wrong place.
    #[cold]
    pub(super) fn follow(
        trail: &mut Option<Box<Self>>,
        fault: &Fault,
        at: usize,
        depth: u8,
        segment: Segment,
    ) {
        match trail {
            None => {
                let mut path = Path::default();
                path.push(segment);
                *trail = Some(Box::new(Self { at: fault.0.at.unwrap_or(at), path, depth }));
            }
            Some(trail) if trail.depth < depth => {
                trail.depth = depth;
                trail.path.push(segment);
            }
            Some(_) => {}
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.what.as_str())
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    #[cold]
    fn custom<T: Display>(what: T) -> Self {
        Self(Box::new(Inner { what: Words::new(what), at: None, path: Path::default() }))
    }
}
