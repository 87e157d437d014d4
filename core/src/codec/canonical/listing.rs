//! Arrays and maps whose length may be known only when they are over.

use std::collections::HashSet;
use std::marker::PhantomData;

use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq};

use super::key::with_text;
use super::parts::{FAILED, Tally};
use super::path::Segment;
use super::private::write_number;
use super::refusal::Written;
use super::ser::Serializer;
use super::{Format, PRIVATE, PRIVATE_NUMBER, Refusal};
use crate::frame::FrameWriter;

/// An array or a map whose length may be unknown until it is over.
struct Listing<'o, 'f, F> {
    out: &'o mut FrameWriter<'f>,
    depth: u8,
    tally: Tally,
    unknown: Option<Box<Unknown>>,
    format: PhantomData<F>,
}

/// What takes the place of a length.
struct Unknown {
    /// The parts, where their number must stand in front of them.
    parts: FrameWriter<'static>,
    /// A map's keys: they may come from two sources, as with `flatten`. Whoever knows the number of
    /// entries has a map already; should a key stand there twice all the same, the reader refuses
    /// it.
    keys: HashSet<String>,
    /// The text of a number, where a map turned out to be one.
    number: Option<String>,
}

impl<'o, 'f, F: Format> Listing<'o, 'f, F> {
    #[inline]
    fn new(out: &'o mut FrameWriter<'f>, depth: u8, len: Option<usize>) -> Self {
        let unknown = match len {
            Some(_) => None,
            None => {
                let (parts, keys) = (out.aside(), HashSet::new());
                Some(Box::new(Unknown { parts, keys, number: None }))
            }
        };
        Self { out, depth, tally: Tally::new(len.unwrap_or(0)), unknown, format: PhantomData }
    }

    #[inline]
    fn write(&mut self, write: impl FnOnce(&mut FrameWriter<'_>) -> Written) -> Written {
        match &mut self.unknown {
            Some(unknown) if F::COUNTED => write_aside(self.out, &mut unknown.parts, write),
            _ => write(self.out),
        }
    }

    #[inline]
    fn end(
        mut self,
        begin: fn(&mut FrameWriter<'_>, usize) -> Written,
    ) -> Result<&'o mut FrameWriter<'f>, Refusal> {
        if let Some(unknown) = self.unknown {
            self.tally.len = self.tally.count;
            if F::COUNTED && self.tally.count != FAILED {
                begin(self.out, usize::try_from(self.tally.count).unwrap_or(usize::MAX))?;
                self.out.put(&unknown.parts.into_bytes())?;
            }
        }
        self.tally.end()?;
        Ok(self.out)
    }
}

#[cold]
fn write_aside(
    out: &mut FrameWriter<'_>,
    parts: &mut FrameWriter<'static>,
    write: impl FnOnce(&mut FrameWriter<'_>) -> Written,
) -> Written {
    write(parts).inspect_err(|_| out.overflowed_by(parts))
}

/// An array.
pub(super) struct Array<'o, 'f, F>(Listing<'o, 'f, F>);

impl<'o, 'f, F: Format> Array<'o, 'f, F> {
    #[inline]
    pub(super) fn begin(
        out: &'o mut FrameWriter<'f>,
        depth: u8,
        len: Option<usize>,
    ) -> Result<Self, Refusal> {
        if !F::COUNTED || len.is_some() {
            F::array(out, len.unwrap_or(0))?;
        }
        Ok(Self(Listing::new(out, depth, len)))
    }
}

impl<F: Format> SerializeSeq for Array<'_, '_, F> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        let Self(listing) = self;
        let (first, depth) = (listing.tally.begin()?, listing.depth);
        let written = listing.write(|out| {
            F::element(out, first)?;
            value.serialize(Serializer::<F>::new(out, depth))
        });
        listing.tally.wrote(written, Segment::Index)
    }

    #[inline]
    fn end(self) -> Written {
        F::array_end(self.0.end(F::array)?)
    }
}

/// A map. One of unknown length may turn out to be a number whose digits serde_json kept: that is
/// how its own deserializer shows it to whoever writes on what it reads.
pub(super) struct Map<'o, 'f, F> {
    listing: Listing<'o, 'f, F>,
    /// The key, where it comes apart from its value: for the place of a refusal.
    key: String,
}

impl<'o, 'f, F: Format> Map<'o, 'f, F> {
    #[inline]
    pub(super) fn begin(
        out: &'o mut FrameWriter<'f>,
        depth: u8,
        len: Option<usize>,
    ) -> Result<Self, Refusal> {
        if let Some(len) = len {
            F::map(out, len)?;
        }
        Ok(Self { listing: Listing::new(out, depth, len), key: String::new() })
    }

    #[inline]
    fn key<K: Serialize + ?Sized>(
        &mut self,
        key: &K,
        seen: impl FnOnce(&mut String, &str),
    ) -> Written {
        let Self { listing, key: known } = self;
        let first = listing.tally.begin()?;
        let written = with_text(key, |key| {
            seen(known, key);
            if listing.unknown.is_some() {
                return listing.unknown_key(first, key);
            }
            if key.starts_with(PRIVATE) {
                return Err(private());
            }
            F::key(listing.out, first, key)
        });
        // The map is where a key is wrong: there is no name for its place.
        if written.is_err() {
            listing.tally.count = FAILED;
        }
        written
    }

    #[inline]
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        let Self { listing, .. } = self;
        if let Some(unknown) = &mut listing.unknown
            && let Some(number) = &mut unknown.number
        {
            *number = with_text(value, |text| Ok(text.to_owned()))?;
            return Ok(());
        }
        let depth = listing.depth;
        listing.write(|out| value.serialize(Serializer::<F>::new(out, depth)))
    }
}

impl<F: Format> Listing<'_, '_, F> {
    fn unknown_key(&mut self, first: bool, key: &str) -> Written {
        let Some(unknown) = &mut self.unknown else {
            return Ok(());
        };
        if unknown.number.is_some() || (key.starts_with(PRIVATE) && key != PRIVATE_NUMBER) {
            return Err(private());
        }
        if !unknown.keys.insert(key.to_owned()) {
            return Err(Refusal::custom(format_args!("the key `{key}` stands twice")));
        }
        if key == PRIVATE_NUMBER {
            unknown.number = Some(String::new());
            return if first { Ok(()) } else { Err(private()) };
        }
        if first && !F::COUNTED {
            F::map(self.out, 0)?;
        }
        self.write(|out| F::key(out, first, key))
    }
}

#[cold]
fn private() -> Refusal {
    Refusal::custom("a key that is private to serde_json")
}

impl<F: Format> SerializeMap for Map<'_, '_, F> {
    type Ok = ();
    type Error = Refusal;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        self.key(key, |known, key| {
            known.clear();
            known.push_str(key);
        })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.listing.tally.begin()?;
        let written = self.value(value);
        let Self { listing, key } = self;
        listing.tally.wrote(written, |_| Segment::Key(key.as_str().into()))
    }

    #[inline]
    fn serialize_entry<K: Serialize + ?Sized, T: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &T,
    ) -> Written {
        self.key(key, |_, _| {})?;
        let written = self.value(value);
        self.listing.tally.wrote(written, |_| {
            Segment::Key(with_text(key, |key| Ok(key.into())).unwrap_or_default())
        })
    }

    #[inline]
    fn end(self) -> Written {
        let Self { mut listing, .. } = self;
        if let Some(unknown) = &mut listing.unknown {
            if let Some(number) = unknown.number.take() {
                listing.tally.begin()?;
                return write_number(&number, Serializer::<F>::new(listing.out, listing.depth));
            }
            if listing.tally.count == 0 && !F::COUNTED {
                F::map(listing.out, 0)?;
            }
        }
        F::map_end(listing.end(F::map)?)
    }
}
