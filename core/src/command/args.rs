//! Arguments: decoded from the body by name, or injected.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use bytes::Bytes;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::faults::{Again, Refused, bad, shown_name, without_value};
use super::{Call, Raw};
use crate::cancel::CancelToken;
use crate::codec::{AnyCodec, Listed};
use crate::envelope::BodyKind;
use crate::error::Rejection;
use crate::peer::Peer;
use crate::state::State;

/// Where a parameter's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgSource {
    /// The body, under the parameter's name.
    Body,
    /// The call itself.
    Call,
}

/// A type that a command may have as a parameter.
///
/// Everything that implements `Deserialize` is one, taken from the body. Implement it for a type of
/// your own, which must not implement `Deserialize`, to inject something.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a command",
    label = "this command's parameter",
    note = "a parameter is `State<T>`, `Peer`, `Request`, `CancelToken`, `Channel<T>`, `ChannelReader<T>`, `Attachment`, `Raw`, `&str`, `&[u8]` or a type that implements `serde::Deserialize`"
)]
pub trait CommandArg<'a>: Sized {
    /// Where the value comes from.
    const SOURCE: ArgSource;

    /// Reads the value from the body.
    ///
    /// # Errors
    ///
    /// The codec's refusal.
    fn from_body<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        let _ = deserializer;
        Err(de::Error::custom("this parameter is not part of the body"))
    }

    /// Makes what was read from the body fit for use, with the help of the call.
    ///
    /// # Errors
    ///
    /// Why that cannot be, in words for the caller.
    #[inline]
    fn bind(self, call: &Call<'a>, name: &str) -> Result<Self, String> {
        let _ = (call, name);
        Ok(self)
    }

    /// Takes the value from the call.
    ///
    /// # Errors
    ///
    /// Why the call cannot give it, in words for the caller.
    fn from_call(call: Call<'a>, name: &str) -> Result<Self, String> {
        let _ = call;
        Err(format!("parameter `{name}` comes from the body"))
    }
}

impl<'a, T: Deserialize<'a>> CommandArg<'a> for T {
    const SOURCE: ArgSource = ArgSource::Body;

    #[inline(always)]
    fn from_body<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer)
    }
}

impl<'a, T: Send + Sync + 'static> CommandArg<'a> for State<'a, T> {
    const SOURCE: ArgSource = ArgSource::Call;

    fn from_call(call: Call<'a>, name: &str) -> Result<Self, String> {
        call.states().get().ok_or_else(|| {
            format!(
                "state not managed for field `{name}` on command `{}`. \
                 You must call `.manage()` before using this command",
                shown_name(&call)
            )
        })
    }
}

impl<'a> CommandArg<'a> for Peer {
    const SOURCE: ArgSource = ArgSource::Call;

    fn from_call(call: Call<'a>, _: &str) -> Result<Self, String> {
        Ok(call.peer().clone())
    }
}

impl<'a> CommandArg<'a> for CancelToken {
    const SOURCE: ArgSource = ArgSource::Call;

    fn from_call(call: Call<'a>, _: &str) -> Result<Self, String> {
        Ok(call.cancel_token())
    }
}

/// Bytes that came beside the arguments, under the parameter's name. Derefs to the bytes.
///
/// It must be there; for one that may be missing take a [`Request`] and look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment(pub Bytes);

impl Deref for Attachment {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> CommandArg<'a> for Attachment {
    const SOURCE: ArgSource = ArgSource::Call;

    fn from_call(call: Call<'a>, name: &str) -> Result<Self, String> {
        let missing = || format!("command {} missing required attachment {name}", call.command());
        let found = call.attachments().find(|(known, _)| *known == name);
        found.map(|(_, bytes)| Self(call.keep(bytes))).ok_or_else(missing)
    }
}

/// The whole request: headers, attachments, the body as it came, and how long the caller waits.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a>(Call<'a>);

impl<'a> Deref for Request<'a> {
    type Target = Call<'a>;

    fn deref(&self) -> &Call<'a> {
        &self.0
    }
}

impl<'a> Request<'a> {
    /// The value of the first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

impl<'a> CommandArg<'a> for Request<'a> {
    const SOURCE: ArgSource = ArgSource::Call;

    fn from_call(call: Call<'a>, _: &str) -> Result<Self, String> {
        Ok(Self(call))
    }
}

impl<'a> CommandArg<'a> for Raw {
    const SOURCE: ArgSource = ArgSource::Call;

    fn from_call(call: Call<'a>, name: &str) -> Result<Self, String> {
        if call.body_kind() == BodyKind::Raw {
            return Ok(Self(call.to_body()));
        }
        // A peer that speaks nothing but JSON has no raw bodies: their JSON view is an array of
        // numbers.
        if call.codec() == AnyCodec::JSON
            && call.body().first() == Some(&b'[')
            && let Ok(BytesArg(bytes)) = call.codec().decode(call.body())
        {
            return Ok(Self(bytes.into_owned().into()));
        }
        Err(format!(
            "command {} expected raw bytes for key {name} but the IPC call used a structured \
             payload",
            shown_name(&call)
        ))
    }
}

/// A `&str` parameter: borrowed from the frame wherever the codec allows, unescaped otherwise.
#[derive(Debug, Clone)]
pub struct TextArg<'a>(Cow<'a, str>);

impl Deref for TextArg<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for TextArg<'de> {
    #[inline(always)]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = TextArg<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a borrowed string")
            }
            #[inline(always)]
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<TextArg<'de>, E> {
                Ok(TextArg(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TextArg<'de>, E> {
                Ok(TextArg(Cow::Owned(text.to_owned())))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<TextArg<'de>, E> {
                Ok(TextArg(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A `&[u8]` parameter: borrowed from the frame where the codec has a form for bytes, gathered from
/// an array of numbers where it has not (JSON).
#[derive(Debug, Clone)]
pub struct BytesArg<'a>(Cow<'a, [u8]>);

impl Deref for BytesArg<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for BytesArg<'de> {
    #[inline(always)]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl<'de> Visitor<'de> for BytesVisitor {
            type Value = BytesArg<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a borrowed byte array")
            }
            #[inline(always)]
            fn visit_borrowed_bytes<E: de::Error>(
                self,
                bytes: &'de [u8],
            ) -> Result<BytesArg<'de>, E> {
                Ok(BytesArg(Cow::Borrowed(bytes)))
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<BytesArg<'de>, E> {
                Ok(BytesArg(Cow::Owned(bytes.to_vec())))
            }
            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<BytesArg<'de>, E> {
                Ok(BytesArg(Cow::Owned(bytes)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<BytesArg<'de>, A::Error> {
                // A stated length is the peer's word: reserve no more than a page on it.
                let mut bytes = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(4096));
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(BytesArg(Cow::Owned(bytes)))
            }
        }
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

/// All parameters of one command. Implemented for tuples of up to 12.
pub trait Args<'a>: Sized {
    /// Decodes and injects, in declared order.
    ///
    /// # Errors
    ///
    /// The first parameter that is missing or mistyped.
    fn take(call: &Call<'a>, names: &'static [&'static str]) -> Result<Self, Rejection>;
}

impl<'a> Args<'a> for () {
    #[inline]
    fn take(_: &Call<'a>, _: &'static [&'static str]) -> Result<Self, Rejection> {
        Ok(())
    }
}

/// Where decoded arguments go until all are there.
trait Slots<'de>: Default {
    /// How many arguments are taken from the body.
    const COUNT: usize;

    /// Reads all of them from a map that has them in declared order; `None` if it has not.
    fn read_listed(&mut self, names: &'static [&'static str], map: &mut Listed<'de>) -> Option<()>;

    /// Reads the value of argument `index` from the map; false if it is not taken from the body.
    fn read<A: MapAccess<'de>>(&mut self, index: usize, map: &mut A) -> Result<bool, A::Error>;

    /// Reads the next body argument of a positional call; `None` when `index` is past the end.
    fn read_next<A: SeqAccess<'de>>(&mut self, index: usize, seq: &mut A)
    -> Result<bool, A::Error>;
}

struct ArgSeed<T>(PhantomData<T>);

impl<'de, T: CommandArg<'de>> DeserializeSeed<'de> for ArgSeed<T> {
    type Value = T;

    #[inline(always)]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::from_body(deserializer)
    }
}

/// Reads the whole body into slots; remembers which argument was being read when it failed.
struct BodySeed<'s, S> {
    names: &'static [&'static str],
    slots: &'s mut S,
    at: &'s mut Option<usize>,
    form: Form,
}

/// How a body is to be asked for.
#[derive(Clone, Copy)]
enum Form {
    /// Whatever it is.
    Any,
    /// It does not tell that it is a map.
    Map,
    /// It is a map, and the reader expects the names in their order.
    Names,
}

impl<'de, S: Slots<'de>> DeserializeSeed<'de> for BodySeed<'_, S> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.form {
            Form::Any => deserializer.deserialize_any(self),
            Form::Map => deserializer.deserialize_map(self),
            Form::Names => deserializer.deserialize_struct("arguments", self.names, self),
        }
    }
}

impl<'de, S: Slots<'de>> Visitor<'de> for BodySeed<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("named arguments")
    }

    // Only an object has arguments; whatever else a body is, it has none, as in Tauri.
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) =
            map.next_key_seed(KeySeed(self.names, matches!(self.form, Form::Map)))?
        {
            *self.at = key;
            let taken = match key {
                Some(index) => self.slots.read(index, &mut map)?,
                None => false,
            };
            if !taken {
                *self.at = None;
                map.next_value::<IgnoredAny>()?;
            }
            *self.at = None;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for index in 0..self.names.len() {
            *self.at = Some(index);
            if !self.slots.read_next(index, &mut seq)? {
                break;
            }
        }
        *self.at = None;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// An argument's place among the names, or `None` for a key nobody asked for. Text rather than an
/// identifier for a codec that has no identifiers in its bytes.
struct KeySeed(&'static [&'static str], bool);

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Option<usize>;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.1 {
            deserializer.deserialize_str(self)
        } else {
            deserializer.deserialize_identifier(self)
        }
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an argument name")
    }

    #[inline]
    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        // A codec that expected this name gives it back itself.
        let same = |name: &&str| {
            name.len() == key.len()
                && (std::ptr::eq(name.as_ptr(), key.as_ptr()) || name.as_bytes() == key.as_bytes())
        };
        Ok(self.0.iter().position(same))
    }
}

/// The straight way for what nearly all callers send: each argument once, in declared order. `None`
/// is anything else, of which nothing is kept.
#[inline(always)]
fn read_listed<'a, S: Slots<'a>>(
    call: &Call<'a>,
    names: &'static [&'static str],
    slots: &mut S,
) -> Option<()> {
    if call.body_kind() != BodyKind::Structured {
        return None;
    }
    let mut map = call.codec().listed(call.body(), S::COUNT)?;
    let read = slots.read_listed(names, &mut map).filter(|()| map.end());
    if read.is_none() {
        *slots = S::default();
    }
    read
}

#[inline]
fn read_body<'a, S: Slots<'a>>(
    call: &Call<'a>,
    names: &'static [&'static str],
    slots: &mut S,
) -> Result<(), Refused> {
    if call.body_kind() != BodyKind::Structured {
        return Ok(());
    }
    let mut at = None;
    let codec = call.codec();
    let form = if codec.begins_with_map(call.body()) {
        Form::Names
    } else if codec.is_self_describing() {
        Form::Any
    } else {
        Form::Map
    };
    let seed = BodySeed { names, slots, at: &mut at, form };
    codec
        .decode_seed(seed, call.body())
        .map_err(|error| Refused { name: at.map(|index| names[index]), error })
}

#[inline]
fn finish<'a, T: CommandArg<'a>>(
    call: &Call<'a>,
    name: &'static str,
    slot: Option<T>,
) -> Result<T, Rejection> {
    match slot {
        Some(value) => value.bind(call, name).map_err(bad),
        None => without_value(call, name),
    }
}

macro_rules! args_for_tuple {
    ($($type:ident $index:tt),+) => {
        impl<'de, $($type: CommandArg<'de>),+> Slots<'de> for ($(Option<$type>,)+) {
            const COUNT: usize = 0 $(+ ($type::SOURCE as usize == ArgSource::Body as usize) as usize)+;

            #[inline(always)]
            fn read_listed(
                &mut self,
                names: &'static [&'static str],
                map: &mut Listed<'de>,
            ) -> Option<()> {
                $(if $type::SOURCE == ArgSource::Body {
                    self.$index = Some(map.value(names[$index], ArgSeed::<$type>(PhantomData))?);
                })+
                Some(())
            }

            #[inline]
            fn read<MA: MapAccess<'de>>(
                &mut self,
                index: usize,
                map: &mut MA,
            ) -> Result<bool, MA::Error> {
                match index {
                    $($index if $type::SOURCE == ArgSource::Body => {
                        if self.$index.is_some() {
                            return Err(de::Error::custom("the key stands twice"));
                        }
                        self.$index = Some(map.next_value_seed(ArgSeed::<$type>(PhantomData))?);
                        Ok(true)
                    })+
                    _ => Ok(false),
                }
            }

            fn read_next<SA: SeqAccess<'de>>(
                &mut self,
                index: usize,
                seq: &mut SA,
            ) -> Result<bool, SA::Error> {
                match index {
                    $($index if $type::SOURCE == ArgSource::Body => {
                        self.$index = seq.next_element_seed(ArgSeed::<$type>(PhantomData))?;
                        Ok(self.$index.is_some())
                    })+
                    // An injected parameter takes no place in a positional call.
                    _ => Ok(true),
                }
            }
        }

        impl<'a, $($type: CommandArg<'a>),+> Args<'a> for ($($type,)+) {
            #[inline]
            fn take(call: &Call<'a>, names: &'static [&'static str]) -> Result<Self, Rejection> {
                let mut slots = ($(None::<$type>,)+);
                if ($($type::SOURCE == ArgSource::Body)||+)
                    && read_listed(call, names, &mut slots).is_none()
                    && let Err(refused) = read_body(call, names, &mut slots)
                {
                    let mut again = Again::read(call, refused);
                    $(again.check::<$type>(names[$index]);)+
                    return Err(again.found());
                }
                Ok(($(finish(call, names[$index], slots.$index)?,)+))
            }
        }
    };
}

args_for_tuple!(A 0);
args_for_tuple!(A 0, B 1);
args_for_tuple!(A 0, B 1, C 2);
args_for_tuple!(A 0, B 1, C 2, D 3);
args_for_tuple!(A 0, B 1, C 2, D 3, E 4);
args_for_tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
args_for_tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
args_for_tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
args_for_tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
args_for_tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
args_for_tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
args_for_tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
