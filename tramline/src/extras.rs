//! What goes with a call's arguments: headers, attachments, channels, the deadline.

use std::time::Duration;

use tramline_core::codec::AnyCodec;
use tramline_core::command::{RawBody, Reply};
use tramline_core::envelope::{BodyKind, DeadlineOnly, Extension, ExtensionBuf};
use tramline_core::{ConfigError, EncodeError, FrameWriter, Pages, SendError};

use crate::link::Brought;

/// Headers and attachments of one call.
#[derive(Default)]
pub(crate) struct Extras<'a> {
    extension: ExtensionBuf,
    attachments: Vec<RawBody<'a>>,
    /// The first thing that cannot be sent.
    wrong: Option<ConfigError>,
}

impl<'a> Extras<'a> {
    pub(crate) fn new(extension: ExtensionBuf) -> Self {
        Self { extension, ..Self::default() }
    }

    pub(crate) fn header(&mut self, name: &str, value: &str) {
        let added = self.extension.header(name, value);
        self.note(added);
    }

    pub(crate) fn attach(&mut self, name: &str, body: RawBody<'a>) {
        let added = self.extension.attachment(name, body.bytes().len());
        self.attachments.push(body);
        self.note(added);
    }

    #[cfg(feature = "layers")]
    pub(crate) fn extension(&self) -> Extension<'_> {
        self.extension.as_extension()
    }

    fn note(&mut self, added: Result<(), ConfigError>) {
        if let Err(error) = added {
            self.wrong.get_or_insert(error);
        }
    }
}

/// The extension of one call.
pub(crate) enum Written {
    Nothing,
    Deadline(DeadlineOnly),
    All(ExtensionBuf),
}

impl Written {
    pub(crate) fn new(
        extras: Option<&Extras<'_>>,
        timeout: Option<Duration>,
        brings: Option<&Brought>,
    ) -> Result<Self, SendError> {
        // Rounded up: the caller gives up by its own clock, and must not be told that it has before.
        let left_ms = timeout
            .map(|timeout| u32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(u32::MAX));
        if extras.is_none() && brings.is_none() {
            return Ok(left_ms.map_or(Self::Nothing, |ms| Self::Deadline(DeadlineOnly::new(ms))));
        }
        let mut extension = match extras {
            Some(Extras { wrong: Some(wrong), .. }) => return Err(wrong.clone().into()),
            Some(extras) => extras.extension.clone(),
            None => ExtensionBuf::default(),
        };
        if let Some(brought) = brings {
            brought.write(&mut extension)?;
        }
        if let Some(left_ms) = left_ms {
            extension.deadline(left_ms)?;
        }
        Ok(Self::All(extension))
    }

    pub(crate) fn as_extension(&self) -> Extension<'_> {
        match self {
            Self::Nothing => Extension::NONE,
            Self::Deadline(deadline) => deadline.as_extension(),
            Self::All(extension) => extension.as_extension(),
        }
    }
}

/// Arguments with what is attached to them.
pub(crate) struct Attached<'x, A> {
    pub(crate) args: &'x A,
    pub(crate) attachments: &'x [RawBody<'x>],
}

impl<'x, A> Attached<'x, A> {
    pub(crate) fn new(args: &'x A, extras: Option<&'x Extras<'x>>) -> Self {
        Self { args, attachments: extras.map_or(&[], |extras| &extras.attachments) }
    }
}

impl<A: Reply> Reply for Attached<'_, A> {
    const BODY: BodyKind = A::BODY;

    #[inline]
    fn len_hint(&self) -> usize {
        self.attachments.iter().fold(self.args.len_hint(), |sum, one| sum + one.bytes().len())
    }

    #[inline]
    fn encode(&self, codec: AnyCodec, out: &mut FrameWriter<'_>) -> Result<(), EncodeError> {
        self.encode_args(codec, out)
    }

    #[inline]
    fn encode_args(&self, codec: AnyCodec, out: &mut FrameWriter<'_>) -> Result<(), EncodeError> {
        self.args.encode_args(codec, out)?;
        self.attachments
            .iter()
            .try_for_each(|one| out.put(one.bytes()).map_err(|e| EncodeError::new("attachment", e)))
    }

    fn channels(&self, found: &mut dyn FnMut(u32)) {
        self.args.channels(found);
    }

    fn pages(&self) -> Option<std::sync::Arc<dyn Pages>> {
        self.args.pages()
    }
}
