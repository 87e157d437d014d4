//! The story the demo tells: one scan, one file, then everything again over every link.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar};
use tramline::{AnyCodec, BodyKind, Client, ConnectError, Raw, Scheme, Sidecar, compat_json, json};
use tramline_core::envelope::{Head, Kind};

use crate::failure::Failure;
use crate::folder::{Digest, FileEntry, Folder, Progress, Scan};
use crate::measure;
use crate::report::{self, Row, Same};

/// The file that is brought back has at most so many bytes: a choice, half of what a message takes.
const FITTING_LEN: u64 = 8 << 20;

/// How often a folder may change under a comparison before it is given up.
const ATTEMPTS: u32 = 3;

const LINKS: [(Scheme, AnyCodec); 4] = [
    (Scheme::Shm, AnyCodec::MSGPACK),
    (Scheme::Shm, AnyCodec::JSON),
    (Scheme::Pipe, AnyCodec::MSGPACK),
    (Scheme::Pipe, AnyCodec::JSON),
];

/// Everything the worker said about the folder.
#[derive(Debug, PartialEq, Eq)]
struct Findings {
    scan: Scan,
    file: Option<BroughtBack>,
}

/// One file: what its bytes are here, and what the worker says they are there.
#[derive(Debug, PartialEq, Eq)]
struct BroughtBack {
    here: Digest,
    there: Digest,
}

pub(crate) fn run(path: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let folder = Folder::open(path).map_err(|e| Failure::path(path, &e))?;
    let mut first = tell_of_the_folder(&folder, out)?;

    writeln!(out, "\nThe same over every link, each with a worker of its own:")?;
    let mut rows = Vec::with_capacity(LINKS.len());
    for (scheme, codec) in LINKS {
        rows.push(measure_link(&folder, scheme, codec, &mut first)?);
    }
    writeln!(out, "{}", report::table(&rows))?;
    writeln!(out, "{}", report::about_the_numbers())?;

    writeln!(out, "\nThe request for the scan, as JSON:")?;
    writeln!(out, "{}", scan_request_as_json()?)?;
    out.flush()?;
    report::verdict(&rows)
}

/// The first part: a scan with its progress, and one file.
fn tell_of_the_folder(folder: &Folder, out: &mut impl Write) -> Result<Findings, Failure> {
    let worker = spawn(folder, Scheme::Auto, AnyCodec::MSGPACK)?.map_err(Failure::Worker)?;
    let (transport, codec) = (worker.server().transport(), worker.server().codec().name());
    writeln!(out, "A second process, {}, answers over {transport} in {codec}.\n", worker.id())?;
    let start = Instant::now();
    let scan = scan_with_progress(&worker)?;
    report::scan(out, folder.path(), &scan, start.elapsed())?;
    writeln!(out)?;

    let file = match &scan.fitting {
        None => {
            let limit = HumanBytes(FITTING_LEN);
            writeln!(out, "No file of at most {limit} can be brought back: none is here.")?;
            None
        }
        Some(entry) => {
            let (file, elapsed) = bring_back(&worker, entry)?;
            report::brought_back(out, entry, elapsed, file.here == file.there)?;
            Some(file)
        }
    };
    Ok(Findings { scan, file })
}

/// Starts this program a second time, as the worker.
fn spawn(
    folder: &Folder,
    scheme: Scheme,
    codec: AnyCodec,
) -> Result<Result<Sidecar, ConnectError>, Failure> {
    let mut command = Command::new(std::env::current_exe().map_err(Failure::OwnFile)?);
    command.arg("worker").arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
    Ok(Sidecar::spawn(command).scheme(scheme).codec(codec).wait())
}

fn scan(client: &Client) -> Result<Scan, Failure> {
    Ok(client.invoke("scan", SCAN_ARGUMENTS).wait()?)
}

/// A struct and not `json!({..})`, for `json!` sorts by name.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ScanArguments {
    path: &'static str,
    fitting_len: u64,
}

const SCAN_ARGUMENTS: ScanArguments = ScanArguments { path: ".", fitting_len: FITTING_LEN };

/// The scan, with a line on standard error that follows its events, if that is a terminal.
fn scan_with_progress(client: &Client) -> Result<Scan, Failure> {
    let bar = ProgressBar::new_spinner();
    let line = bar.clone();
    let listener = client.listen("scan-progress", move |event| {
        if let Ok(Progress { files, bytes }) = event.payload() {
            line.set_message(format!("{} files, {}", HumanCount(files), HumanBytes(bytes)));
        }
    });
    let listener = listener.wait()?;
    let found = scan(client);
    client.unlisten(listener);
    bar.finish_and_clear();
    found
}

/// One file's bytes, raw, and what both sides say about them; how long the bytes took.
fn bring_back(client: &Client, entry: &FileEntry) -> Result<(BroughtBack, Duration), Failure> {
    let path = json!({ "path": entry.path });
    let start = Instant::now();
    let Raw(bytes) = client.invoke("read_file", &path).wait()?;
    let elapsed = start.elapsed();
    let here = digest_of(&bytes);
    let there = client.invoke("digest", &path).wait()?;
    Ok((BroughtBack { here, there }, elapsed))
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest { len: bytes.len() as u64, blake3: blake3::hash(bytes).to_hex().to_string() }
}

/// A fresh worker on this link: is everything the same, and how fast is it?
fn measure_link(
    folder: &Folder,
    scheme: Scheme,
    codec: AnyCodec,
    expected: &mut Findings,
) -> Result<Row, Failure> {
    let transport = if scheme == Scheme::Shm { "shm" } else { "pipe" };
    let codec_name = codec.name();
    let worker = match spawn(folder, scheme, codec)? {
        Ok(worker) => worker,
        Err(ConnectError::Transport { why, .. }) => {
            return Ok(Row { transport, codec: codec_name, outcome: Err(why.into()) });
        }
        Err(e) => return Err(Failure::Worker(e)),
    };
    let same = compare(folder, &worker, expected)?;
    let speed = measure::speed(&worker)?;
    Ok(Row { transport, codec: codec_name, outcome: Ok((speed, same)) })
}

/// Asks the worker for everything and compares. What differs is looked up here, without a worker:
/// the folder itself may have changed.
fn compare(folder: &Folder, client: &Client, expected: &mut Findings) -> Result<Same, Failure> {
    for _ in 0..ATTEMPTS {
        match ask(client) {
            Ok(found) if found == *expected => return Ok(Same::Yes),
            // A refusal is a difference, too: the file may be gone.
            Ok(_) | Err(Failure::Refused(_)) => {}
            Err(e) => return Err(e),
        }
        match look_up(folder) {
            Ok(now) if now == *expected => return Ok(Same::No),
            Ok(now) => *expected = now,
            Err(Failure::Refused(_)) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(Same::FolderChanges)
}

fn ask(client: &Client) -> Result<Findings, Failure> {
    let scan = scan(client)?;
    let file = match &scan.fitting {
        Some(entry) => Some(bring_back(client, entry)?.0),
        None => None,
    };
    Ok(Findings { scan, file })
}

/// What [`ask`] asks for, without another process.
fn look_up(folder: &Folder) -> Result<Findings, Failure> {
    let scan = folder.scan(".", FITTING_LEN, |_| Ok(())).map_err(Failure::Refused)?;
    let file = match &scan.fitting {
        Some(entry) => {
            let there = folder.digest(&entry.path).map_err(Failure::Refused)?;
            let here = folder.read(&entry.path, usize::MAX - 1);
            let here = digest_of(&here.map_err(Failure::Refused)?);
            Some(BroughtBack { here, there })
        }
        None => None,
    };
    Ok(Findings { scan, file })
}

/// The message that asks for the scan, as MessagePack carries it, shown as JSON.
fn scan_request_as_json() -> Result<String, Failure> {
    let codec = AnyCodec::MSGPACK;
    let head = Head::new(Kind::Request, BodyKind::Structured, 1, "scan");
    let mut frame = head.to_bytes().to_vec();
    frame.extend_from_slice(head.name.as_bytes());
    frame.extend(codec.to_vec(&SCAN_ARGUMENTS)?);
    Ok(compat_json::message_to_json(codec, &frame)?)
}
