//! Looks at the types of commands before a message is sent.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use tramline_core::AnyCodec;
use tramline_core::command::Commands;
use tramline_core::typed::{CommandTypes, Note, Style, Trait, ValueType};

use crate::difference::difference;
use crate::transcode::to_json;

/// Which of a command's types it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The argument of this name.
    Argument(&'static str),
    /// The result.
    Result,
    /// The value it fails with.
    Error,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(name) => write!(f, "argument `{name}`"),
            Self::Result => f.write_str("result"),
            Self::Error => f.write_str("error"),
        }
    }
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Some values are another one afterwards, or are refused; the type goes on working.
    Warning,
    /// The type, or a part of it, cannot be carried.
    Error,
}

/// Something about a type that does not survive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The command.
    pub command: &'static str,
    /// Which of its types.
    pub part: Part,
    /// Where in it: `.field`, `[]` for elements, `{}` for a map's values, `::Variant`.
    pub path: String,
    /// How much it matters.
    pub severity: Severity,
    /// What it is, and what to do.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, part, path, severity, what } = self;
        write!(f, "command `{command}`, {part}")?;
        if !path.is_empty() {
            write!(f, ", at {path}")?;
        }
        let warning = if *severity == Severity::Warning { " (warning)" } else { "" };
        write!(f, ": {what}{warning}")
    }
}

/// What was found, one a line; never nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    /// Only what cannot be carried, for who knows of the rest:
    /// `verify_json(commands![..]).or_else(Findings::ignore_warnings)`.
    ///
    /// # Errors
    ///
    /// Some of it cannot be carried.
    pub fn ignore_warnings(self) -> Result<(), Self> {
        let errors = self.0.into_iter().filter(|finding| finding.severity == Severity::Error);
        Self::or_ok(errors.collect())
    }

    fn or_ok(findings: Vec<Finding>) -> Result<(), Self> {
        if findings.is_empty() { Ok(()) } else { Err(Self(findings)) }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

/// Checks that the types of these commands survive as JSON, for one line in a test.
///
/// Each type is given made-up values: every variant, options both ways, one element of lists and
/// maps. What it takes is written and read again as JSON and as MessagePack, if the type can do both.
///
/// # What it cannot see
///
/// - Commands written by hand without [`Command::types`](tramline_core::command::Command::types),
///   and results that can only be written.
/// - Fields with a default inside tagged, untagged or flattened types that can only be read: such a
///   type does not say that it would take them.
/// - Untagged variants that never get a turn because an earlier one takes the same values.
/// - What a type does only with values that were not made up: a text in a form that was not guessed,
///   a number beyond a limit. If a type takes no value at all, that is a finding.
///
/// # Errors
///
/// [`Findings`]: each with command, argument and path, what it is and what to do.
///
/// # Examples
///
/// ```
/// use std::collections::HashMap;
/// use tramline_compat_json::verify_json;
/// use tramline_core::command::{Command, Commands, Handler};
/// use tramline_core::typed::{CommandTypes, ValueType};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// #[serde(tag = "kind")]
/// enum Change {
///     Scores { by_id: HashMap<u32, i64> },
/// }
///
/// enum Apply {}
/// impl Command for Apply {
///     const NAME: &'static str = "apply";
///     const ARGS: &'static [&'static str] = &["change"];
///     const HANDLER: Handler = Handler::Inline(|_| {});
///     fn types() -> Option<CommandTypes> {
///         Some(CommandTypes::new().arg("change", ValueType::of::<Change>()))
///     }
/// }
///
/// let findings = verify_json(Commands::new().with::<Apply>()).unwrap_err();
/// assert!(findings.to_string().starts_with("command `apply`, argument `change`, at .by_id: "));
/// ```
pub fn verify_json(commands: impl AsRef<Commands>) -> Result<(), Findings> {
    check(commands.as_ref(), None)
}

/// Checks that a codec can carry the types of these commands. Says nothing of a codec that is
/// [self-describing](tramline_core::Codec::SELF_DESCRIBING): see [`verify_json`].
///
/// A server checks the codecs that it offers when it starts.
///
/// # Errors
///
/// [`Findings`].
pub fn verify_codec(codec: AnyCodec, commands: &Commands) -> Result<(), Findings> {
    if codec.is_self_describing() { Ok(()) } else { check(commands, Some(codec)) }
}

fn check(commands: &Commands, codec: Option<AnyCodec>) -> Result<(), Findings> {
    let mut findings = Vec::new();
    for (command, types) in commands.types() {
        for (part, value) in types.iter().flat_map(parts) {
            let mut check = Check { command, part, value, codec, findings: &mut findings };
            check.run();
        }
    }
    Findings::or_ok(findings)
}

fn parts(types: &CommandTypes) -> impl Iterator<Item = (Part, ValueType)> {
    let args = types.args().iter().map(|(name, value)| (Part::Argument(name), *value));
    args.chain([(Part::Result, types.result_type()), (Part::Error, types.error_type())])
}

/// Values that are written and read again. A choice: enough for every variant of the types that
/// people write.
const MAX_SAMPLES: usize = 500;

/// The check of one type.
struct Check<'c> {
    command: &'static str,
    part: Part,
    value: ValueType,
    /// The codec that is checked, if it is one whose bytes do not tell what they are.
    codec: Option<AnyCodec>,
    findings: &'c mut Vec<Finding>,
}

impl Check<'_> {
    fn run(&mut self) {
        let style = match self.codec {
            None => Style::SelfDescribing,
            Some(_) => Style::Positional,
        };
        let mut broken = BTreeSet::new();
        let mut samples = 0;
        let (codec, value) = (self.codec.unwrap_or(AnyCodec::MSGPACK), self.value);
        let explored = value.explore(style, &mut |sample| {
            samples += 1;
            if samples <= MAX_SAMPLES
                && let Err(fault) = survives(sample, value, codec)
            {
                broken.insert(fault);
            }
        });
        if explored.notes.iter().any(|note| note.what == Trait::Borrows) {
            // It can only be written, like a type that cannot be read at all.
            return;
        }
        let before = self.findings.len();
        let mut unexplored = None;
        // It is not given a value, so none was taken.
        let private = explored.notes.iter().any(|note| matches!(note.what, Trait::Private(_)));
        for Note { path, what } in explored.notes {
            let said = match self.codec {
                None => about_json(&what),
                Some(codec) => about_codec(&what, codec.name()),
            };
            match said {
                Some((_, said)) if matches!(what, Trait::Unexplored(_)) => {
                    unexplored.get_or_insert((path, said));
                }
                Some((severity, said)) => self.find(path, severity, said),
                None => {}
            }
        }
        // Whatever does not survive for a reason that is known by now needs no other.
        let is_error = |finding: &Finding| finding.severity == Severity::Error;
        if self.findings[before..].iter().any(is_error) {
            return;
        }
        for (path, what) in broken {
            self.find(path, Severity::Error, what);
        }
        if let Some((path, what)) = unexplored.filter(|_| !private) {
            self.find(path, Severity::Warning, what);
        }
    }

    fn find(&mut self, path: String, severity: Severity, what: String) {
        let (command, part) = (self.command, self.part.clone());
        self.findings.push(Finding { command, part, path, severity, what });
    }
}

/// Writes a value in the codec and as JSON, and reads both again.
fn survives(
    sample: &(impl Serialize + ?Sized),
    value: ValueType,
    codec: AnyCodec,
) -> Result<(), (String, String)> {
    let fault = |what: String| (String::new(), what);
    let name = codec.name();
    let json = AnyCodec::JSON.to_vec(sample);
    let json = json.map_err(|e| fault(format!("it cannot be written as JSON: {}", e.cause)))?;
    let text = String::from_utf8_lossy(&json);
    let packed = codec.to_vec(sample);
    let packed =
        packed.map_err(|e| fault(format!("it cannot be written as {name}: {}", e.cause)))?;
    let shown = if codec.is_self_describing() {
        to_json(codec, &packed)
    } else {
        value.to_json(codec, &packed)
    };
    let shown = shown.map_err(|e| fault(format!("{name} cannot be shown: {}", e.cause)))?;
    let differs = |other: &str, way: &str| match difference(other, &text) {
        Ok(None) => Ok(()),
        Ok(Some(at)) => {
            let found = [at.left, at.right].map(|side| side.unwrap_or_else(|| "nothing".into()));
            Err((at.path, format!("{way} is {}, JSON is {}", found[0], found[1])))
        }
        Err(e) => Err(fault(e.to_string())),
    };
    differs(&shown, name)?;
    for (way, input) in [(AnyCodec::JSON, &json), (codec, &packed)] {
        let (mut again, mut again_text) = (None, None);
        let read = value.read(way, input, &mut |other| {
            again = codec.to_vec(other).ok();
            again_text = AnyCodec::JSON.to_vec(other).ok();
        });
        let way = way.name();
        read.map_err(|e| {
            fault(format!("what it writes as {way} it cannot read again: {}", e.cause))
        })?;
        if let Some(other) = again_text {
            differs(&String::from_utf8_lossy(&other), &format!("read again from {way} it"))?;
        }
        if again.is_some_and(|again| again != packed) {
            return Err(fault(format!("read again from {way} it is another value in {name}")));
        }
    }
    Ok(())
}

/// What it means for the way through JSON.
fn about_json(what: &Trait) -> Option<(Severity, String)> {
    use Severity::{Error, Warning};
    Some(match what {
        Trait::BufferedKey(kind) => (
            Error,
            format!(
                "a map whose keys are {kind}, within a tagged or untagged enum or a flattened \
                 field: in JSON keys are text and cannot be read back there; use text keys, or \
                 move the map out of it"
            ),
        ),
        Trait::KeyNoScalar(kind) => (
            Error,
            format!("a map whose keys are {kind}: JSON has no such keys; use a list of pairs"),
        ),
        Trait::OptionalKey => (
            Warning,
            "a map whose keys are options: the key `None` is refused; use another one for it"
                .into(),
        ),
        Trait::Private(name) => (
            Warning,
            format!(
                "`{name}` is serde_json's own: carried as JSON and MessagePack, but not within tagged \
                 or untagged enums and flattened fields; use `serde_json::Value`"
            ),
        ),
        Trait::NestedOption => (
            Warning,
            "an option in an option: Some(None) is null and comes back as None; use an enum".into(),
        ),
        Trait::OptionalUnit => (
            Warning,
            "an option of nothing: Some(()) is null and comes back as None; use a bool".into(),
        ),
        Trait::Wide => (
            Warning,
            "an integer of 128 bits: values beyond 64 bits are refused; write it as text".into(),
        ),
        Trait::BytesOrSequence => (
            Warning,
            "an untagged enum in which bytes are one variant and numbers or text another: in JSON \
             bytes are numbers and come back as the first variant that takes them; use a tag"
                .into(),
        ),
        Trait::Unexplored(why) => (
            Warning,
            format!("not looked at: it took none of the values that were made up ({why})"),
        ),
        _ => return None,
    })
}

/// What it means for a codec whose bytes do not tell what they are.
fn about_codec(what: &Trait, codec: &str) -> Option<(Severity, String)> {
    let why = match what {
        Trait::Asks(says) => format!(
            "the type ({says}) asks the bytes what they are, and {codec} does not tell: no \
             `untagged`, no `tag`, no `serde_json::Value`"
        ),
        Trait::Flattened => format!("a flattened field, whose names are not in {codec}'s bytes"),
        Trait::Names => {
            format!("the type (adjacently tagged) asks for names that are not in {codec}'s bytes")
        }
        Trait::Aliases => {
            "some names are aliases, so it cannot be told which value has which name".to_owned()
        }
        Trait::Private(name) => format!("`{name}` means something to serde_json alone"),
        Trait::KeyNoScalar(_) => return about_json(what),
        _ => return None,
    };
    Some((Severity::Error, why))
}
