//! Values for a type that asks what comes: guesses, and better ones from what is said of them.

use std::sync::LazyLock;

use super::error::{Complaint, Found};
use super::values::TEXTS;

/// A made-up value of no known type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Guess {
    /// Text that tells which part of the guess it is.
    Marked,
    Unit,
    Bool,
    Unsigned,
    Signed,
    Float,
    Text(&'static str),
    Bytes(&'static [u8]),
    Seq(Vec<Guess>),
    /// A key that is `None` is marked, too.
    Map(Vec<(Option<&'static str>, Guess)>),
    /// A map that stands for a struct.
    Object(Vec<(&'static str, Guess)>),
}

/// Parts of a guess that can be told apart. A choice: far more than a search gets to.
const MARKS: usize = 128;

static MARKED_TEXTS: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..MARKS).map(|part| format!("\u{1}text {part}")).collect());
static MARKED_KEYS: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..MARKS).map(|part| format!("\u{1}key {part}")).collect());

/// The words of serde for an untagged enum.
const NO_VARIANT: &str = "data did not match any variant";

/// The text that marks this part.
pub(super) fn marked_text(part: usize) -> &'static str {
    MARKED_TEXTS.get(part).map_or("", String::as_str)
}

/// The key that marks this part.
pub(super) fn marked_key(part: usize) -> &'static str {
    MARKED_KEYS.get(part).map_or("", String::as_str)
}

/// Bytes that are text, too, and such that are not; and the same as numbers.
pub(super) const ASCII_BYTES: Guess = Guess::Bytes(b"ab");
pub(super) const OTHER_BYTES: Guess = Guess::Bytes(&[200, 201]);

pub(super) fn numbers() -> Guess {
    Guess::Seq(vec![Guess::Unsigned, Guess::Unsigned])
}

/// What to begin with if nothing is known, the likeliest first.
pub(super) fn first_guesses() -> Vec<Guess> {
    vec![
        Guess::Marked,
        Guess::Object(vec![]),
        Guess::Map(vec![(None, Guess::Marked)]),
        Guess::Seq(vec![]),
        Guess::Seq(vec![Guess::Marked]),
        Guess::Unit,
        Guess::Bool,
        Guess::Unsigned,
        Guess::Signed,
        Guess::Float,
        numbers(),
        ASCII_BYTES,
        OTHER_BYTES,
    ]
}

impl Guess {
    /// How many parts it has, itself included.
    pub(super) fn parts(&self) -> usize {
        match self {
            Self::Seq(parts) => 1 + parts.iter().map(Self::parts).sum::<usize>(),
            Self::Map(parts) => 1 + parts.iter().map(|(_, part)| part.parts()).sum::<usize>(),
            Self::Object(parts) => 1 + parts.iter().map(|(_, part)| part.parts()).sum::<usize>(),
            _ => 1,
        }
    }

    /// Calls `look` with each part and its number.
    fn each<'g>(&'g self, number: &mut usize, look: &mut dyn FnMut(usize, &'g Self)) {
        look(*number, self);
        *number += 1;
        match self {
            Self::Seq(parts) => parts.iter().for_each(|part| part.each(number, look)),
            Self::Map(parts) => parts.iter().for_each(|(_, part)| part.each(number, look)),
            Self::Object(parts) => parts.iter().for_each(|(_, part)| part.each(number, look)),
            _ => {}
        }
    }

    /// The same with another part in this place.
    fn with(&self, place: usize, other: &Self) -> Self {
        fn walk(guess: &Guess, number: &mut usize, place: usize, other: &Guess) -> Guess {
            let own = *number;
            *number += 1;
            let mut part = |part: &Guess| walk(part, number, place, other);
            let same = match guess {
                Guess::Seq(parts) => Guess::Seq(parts.iter().map(part).collect()),
                Guess::Map(parts) => {
                    Guess::Map(parts.iter().map(|(key, value)| (*key, part(value))).collect())
                }
                Guess::Object(parts) => {
                    Guess::Object(parts.iter().map(|(key, value)| (*key, part(value))).collect())
                }
                leaf => leaf.clone(),
            };
            if own == place { other.clone() } else { same }
        }
        walk(self, &mut 0, place, other)
    }

    fn is(&self, found: &Found) -> bool {
        match self {
            Self::Marked | Self::Text(_) => false,
            Self::Unit => *found == Found::Unit,
            Self::Bool => *found == Found::Bool,
            Self::Unsigned | Self::Signed => *found == Found::Integer,
            Self::Float => *found == Found::Float,
            Self::Bytes(_) => *found == Found::Bytes,
            Self::Seq(_) => *found == Found::Seq,
            Self::Map(_) | Self::Object(_) => *found == Found::Map,
        }
    }

    /// The path of a part: `.name` in maps, `[]` in sequences.
    pub(super) fn path(&self, place: usize) -> String {
        fn walk(guess: &Guess, number: &mut usize, place: usize, path: &mut String) -> bool {
            if *number == place {
                return true;
            }
            *number += 1;
            let mut step = |step: &str, part: &Guess, number: &mut usize| {
                let len = path.len();
                path.push_str(step);
                let found = walk(part, number, place, path);
                if !found {
                    path.truncate(len);
                }
                found
            };
            match guess {
                Guess::Seq(parts) => parts.iter().any(|part| step("[]", part, number)),
                Guess::Map(parts) => parts.iter().any(|(key, part)| match key {
                    Some(key) => step(&format!(".{key}"), part, number),
                    None => step("{}", part, number),
                }),
                Guess::Object(parts) => {
                    parts.iter().any(|(key, part)| step(&format!(".{key}"), part, number))
                }
                _ => false,
            }
        }
        let mut path = String::new();
        walk(self, &mut 0, place, &mut path);
        path
    }

    /// Better guesses, the likeliest last, by what was said of this one.
    pub(super) fn better(&self, complaint: &Complaint) -> Vec<Self> {
        let mut better = Vec::new();
        // Of an untagged enum, after all of its variants have said what they mind.
        let is_sum = matches!(complaint, Complaint::Other(why) if why.starts_with(NO_VARIANT));
        if is_sum || self.parts() >= MARKS {
            return better;
        }
        let mut number = 0;
        self.each(&mut number, &mut |place, part| {
            for other in part.instead(place, complaint).into_iter().rev() {
                better.push(self.with(place, &other));
            }
        });
        better
    }

    /// The same with fields of these names, once in each object that lacks some.
    pub(super) fn with_fields(&self, names: &[&'static str]) -> Vec<Self> {
        let mut more = Vec::new();
        if self.parts() + names.len() >= MARKS {
            return more;
        }
        self.each(&mut 0, &mut |place, part| {
            let Self::Object(fields) = part else { return };
            let new: Vec<_> = names.iter().filter(|name| !has_field(fields, name)).collect();
            if !new.is_empty() {
                let new = new.into_iter().map(|name| (*name, Self::Marked));
                let all = Self::Object(fields.iter().cloned().chain(new).collect());
                more.push(self.with(place, &all));
            }
        });
        more
    }

    /// What may stand instead of this part, the likeliest first.
    fn instead(&self, place: usize, complaint: &Complaint) -> Vec<Self> {
        match (complaint, self) {
            (Complaint::Expected { found: Found::Text(text), expected }, Self::Marked)
                if text == marked_text(place) =>
            {
                by_expectation(expected)
            }
            (Complaint::Expected { found: Found::Text(text), .. }, Self::Map(entries))
                if text == marked_key(place) =>
            {
                // A char, perhaps; otherwise no text at all is a key here.
                vec![with_key(entries, Some("a")), without_key(entries)]
            }
            (Complaint::Expected { found: Found::UnitVariant, expected }, Self::Text(name)) => {
                let content = match expected.as_str() {
                    "tuple variant" => Self::Seq(vec![Self::Marked]),
                    "struct variant" => Self::Object(vec![]),
                    _ => Self::Marked,
                };
                vec![Self::Object(vec![(name, content)])]
            }
            (Complaint::Expected { found, expected }, part) if part.is(found) => {
                by_expectation(expected).into_iter().filter(|other| other != part).collect()
            }
            (Complaint::UnknownVariant { found, known }, Self::Marked)
                if found == marked_text(place) =>
            {
                known.iter().map(|name| Self::Text(name)).collect()
            }
            (Complaint::UnknownVariant { found, known }, Self::Map(entries))
                if found == marked_key(place) =>
            {
                known.iter().map(|name| with_key(entries, Some(name))).collect()
            }
            (Complaint::UnknownField { known, .. }, Self::Object(fields)) => {
                let new = known.iter().filter(|name| !has_field(fields, name));
                new.map(|name| with_field(fields, name)).collect()
            }
            (Complaint::MissingField(name), Self::Object(fields)) if !has_field(fields, name) => {
                vec![with_field(fields, name)]
            }
            (Complaint::DuplicateField(name), Self::Object(fields)) if has_field(fields, name) => {
                vec![without_field(fields, name)]
            }
            (Complaint::Length { too_long: true }, Self::Seq(parts)) if !parts.is_empty() => {
                vec![Self::Seq(parts[1..].to_vec())]
            }
            (Complaint::Length { too_long: false }, Self::Seq(parts)) => {
                vec![Self::Seq([&parts[..], &[Self::Marked]].concat())]
            }
            (Complaint::Other(_), Self::Marked) => {
                TEXTS.iter().map(|text| Self::Text(text)).collect()
            }
            (Complaint::Other(_), Self::Map(entries))
                if entries.iter().any(|(k, _)| k.is_none()) =>
            {
                let keys = TEXTS.iter().map(|text| with_key(entries, Some(text)));
                keys.chain([without_key(entries)]).collect()
            }
            _ => Vec::new(),
        }
    }
}

type Entry = (Option<&'static str>, Guess);

/// The marked key replaced.
fn with_key(entries: &[Entry], key: Option<&'static str>) -> Guess {
    Guess::Map(entries.iter().map(|(old, part)| (old.or(key), part.clone())).collect())
}

fn without_key(entries: &[Entry]) -> Guess {
    Guess::Map(entries.iter().filter(|(key, _)| key.is_some()).cloned().collect())
}

type Field = (&'static str, Guess);

fn has_field(fields: &[Field], name: &str) -> bool {
    fields.iter().any(|(known, _)| *known == name)
}

fn with_field(fields: &[Field], name: &'static str) -> Guess {
    Guess::Object(fields.iter().cloned().chain([(name, Guess::Marked)]).collect())
}

fn without_field(fields: &[Field], name: &str) -> Guess {
    Guess::Object(fields.iter().filter(|(known, _)| *known != name).cloned().collect())
}

/// What to try where somebody expected something in these words, which are serde's.
fn by_expectation(expected: &str) -> Vec<Guess> {
    let begins = |with: &[&str]| with.iter().any(|start| expected.starts_with(start));
    let map = Guess::Map(vec![(None, Guess::Marked)]);
    let object = Guess::Object(vec![]);
    let seq = Guess::Seq(vec![Guess::Marked]);
    let empty_seq = Guess::Seq(vec![]);
    if begins(&["a map"]) {
        vec![map, object]
    } else if begins(&["struct", "internally", "adjacently"]) {
        vec![object]
    } else if begins(&["a sequence", "a tuple", "tuple", "an array"]) {
        vec![seq, empty_seq]
    } else if begins(&["u", "i", "a nonzero"]) && !begins(&["unit", "identifier"]) {
        vec![Guess::Unsigned, Guess::Signed, Guess::Unit]
    } else if begins(&["f32", "f64"]) {
        vec![Guess::Float]
    } else if begins(&["a boolean"]) {
        vec![Guess::Bool]
    } else if begins(&["unit", "()"]) {
        vec![Guess::Unit]
    } else if begins(&["bytes", "byte", "a byte"]) {
        vec![OTHER_BYTES, seq]
    } else {
        let texts = TEXTS.iter().map(|text| Guess::Text(text));
        let others = [
            object,
            map,
            seq,
            empty_seq,
            Guess::Unit,
            Guess::Bool,
            Guess::Unsigned,
            Guess::Signed,
            Guess::Float,
            OTHER_BYTES,
        ];
        others.into_iter().chain(texts).collect()
    }
}

/// Whether this is about the key that marks a part, and which: no text is a key there. A char would
/// be: of text that is one.
pub(super) fn refused_key(complaint: &Complaint, parts: usize) -> Option<(usize, &str)> {
    let Complaint::Expected { found: Found::Text(text), expected } = complaint else { return None };
    if expected.starts_with("a character") {
        return None;
    }
    let part = (0..parts).find(|part| text == marked_key(*part))?;
    Some((part, expected))
}
