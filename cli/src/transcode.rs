//! MessagePack to JSON text and back, standard input to standard output.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::sync::Arc;

use clap::CommandFactory as _;
use clap::error::ErrorKind;
use tramline::compat_json::{Integers, JsonForm, TranscodeError, TranscodeFault, Transcoder};

use crate::failure::Failure;

/// JSON text of one value that is held back in memory, in bytes; more goes to a file. A choice: far
/// more than a message has, far less than a machine has.
const HELD_LEN: usize = 8 << 20;

/// `tramline transcode`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What standard input holds.
    #[arg(long, value_enum)]
    from: Format,
    /// What standard output is to hold.
    #[arg(long, value_enum)]
    to: Format,
    /// For people: a line for each member, two spaces for each level.
    #[arg(long)]
    pretty: bool,
    /// What becomes of an integer beyond 2^53 - 1, which JavaScript would round.
    #[arg(long, value_enum, default_value_t = Wish::Exact)]
    integers: Wish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Msgpack,
    Json,
}

/// As [`Integers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Wish {
    /// It stays a number.
    Exact,
    /// It becomes a string.
    String,
    /// It is bad input.
    Refuse,
}

impl Args {
    /// Refuses what this way has no use for.
    pub(crate) fn check(&self) -> Result<(), clap::Error> {
        let refuse =
            |text| Err(crate::Arguments::command().error(ErrorKind::ArgumentConflict, text));
        match (self.from, self.to) {
            (Format::Msgpack, Format::Msgpack) => refuse("msgpack to msgpack is no transcoding"),
            (_, Format::Msgpack) if self.pretty => refuse("--pretty is for JSON"),
            (_, Format::Msgpack) if self.integers != Wish::Exact => {
                refuse("--integers is for JSON, MessagePack has them all")
            }
            _ => Ok(()),
        }
    }
}

/// Transcodes all values of `input`.
///
/// # Errors
///
/// [`Failure::BadInput`] when `input` breaks a rule: then what stood before the bad value is written
/// out, and nothing of the bad value.
pub(crate) fn run(args: &Args, input: impl Read, out: impl Write) -> Result<(), Failure> {
    let integers = match args.integers {
        Wish::Exact => Integers::Exact,
        Wish::String => Integers::String,
        Wish::Refuse => Integers::Refuse,
    };
    let form = JsonForm { pretty: args.pretty, integers };
    let out = RefCell::new(Output {
        whole: BufWriter::new(out),
        value: Vec::new(),
        file: None,
        failure: None,
        hold: args.to == Format::Json,
    });
    let input = FlushFirst { input, out: &out };
    let mut values = match (args.from, args.to) {
        (Format::Msgpack, _) => Transcoder::msgpack_to_json(input, form),
        (Format::Json, Format::Json) => Transcoder::json_to_json(input, form),
        (Format::Json, Format::Msgpack) => Transcoder::json_to_msgpack(input),
    };
    loop {
        let next = values.next_value(&mut Shared(&out));
        let mut out = out.borrow_mut();
        match next {
            Ok(true) => out.end_value()?,
            Ok(false) => return Ok(out.whole.flush()?),
            Err(error) => {
                let failure = out.failure.take().unwrap_or_else(|| failure(error));
                // The output's end is told first: whoever has closed it is not interested in more.
                if !matches!(failure, Failure::Output(_)) {
                    out.whole.flush()?;
                }
                return Err(failure);
            }
        }
    }
}

fn failure(error: TranscodeError) -> Failure {
    let own = |error: Arc<io::Error>| Arc::try_unwrap(error).unwrap_or_else(|e| e.kind().into());
    match error.what {
        TranscodeFault::Read(error) => Failure::Input(own(error)),
        TranscodeFault::Write(error) => Failure::Output(own(error)),
        _ => Failure::BadInput(error),
    }
}

/// Where values are written.
struct Output<W: Write> {
    /// Values that are complete.
    whole: BufWriter<W>,
    /// One that is not, as far as it is.
    value: Vec<u8>,
    /// The same, once it is too large for that.
    file: Option<File>,
    /// What went wrong here, for a transcoder knows only that something did.
    failure: Option<Failure>,
    /// Whether values come piece by piece. MessagePack does not.
    hold: bool,
}

impl<W: Write> Output<W> {
    fn hold_back(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.file.is_none() && self.value.len() + piece.len() > HELD_LEN {
            let mut file = tempfile::tempfile()?;
            file.write_all(&self.value)?;
            self.value.clear();
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(piece),
            None => self.value.write_all(piece),
        }
    }

    /// The value is complete: out with it.
    fn end_value(&mut self) -> Result<(), Failure> {
        if !self.hold {
            return Ok(());
        }
        match self.file.take() {
            None => self.whole.write_all(&self.value)?,
            Some(mut file) => {
                file.rewind().map_err(Failure::Spool)?;
                io::copy(&mut file, &mut self.whole)?;
            }
        }
        self.value.clear();
        Ok(self.whole.write_all(b"\n")?)
    }
}

/// The output, lent to the transcoder for one value.
struct Shared<'a, W: Write>(&'a RefCell<Output<W>>);

impl<W: Write> Write for Shared<'_, W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let mut out = self.0.borrow_mut();
        if !out.hold {
            return out.whole.write(piece);
        }
        out.hold_back(piece).map(|()| piece.len()).map_err(|error| {
            let kind = error.kind();
            out.failure = Some(Failure::Spool(error));
            kind.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The input. Before it is waited for, what is complete is written out.
struct FlushFirst<'a, R, W: Write> {
    input: R,
    out: &'a RefCell<Output<W>>,
}

impl<R: Read, W: Write> Read for FlushFirst<'_, R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut out = self.out.borrow_mut();
        if let Err(error) = out.whole.flush() {
            let kind = error.kind();
            out.failure = Some(Failure::Output(error));
            return Err(kind.into());
        }
        self.input.read(buffer)
    }
}
