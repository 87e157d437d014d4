//! The filter program: one question a line, one answer a line, one at a time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use tramline::guard::{GuardMessage, Verdict};

use crate::complain;

/// Longest answer, in bytes. A choice: the largest message of the default limits, as number arrays.
const MAX_ANSWER_LEN: u64 = 64 << 20;

/// What the program answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    verdict: Word,
    #[serde(default)]
    text: Option<String>,
    #[serde(default, deserialize_with = "present")]
    args: Option<serde_json::Value>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Allow,
    Refuse,
    Rewrite,
}

/// A `null` that is there is something else than nothing.
fn present<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(from).map(Some)
}

/// A filter program. Once it has ended, been late or talked nonsense, it is killed and everything is
/// refused: nobody knows any more which answer belongs to which question.
pub(super) struct Program {
    running: Mutex<Option<Running>>,
    timeout: Duration,
}

struct Running {
    child: Child,
    questions: Sender<String>,
    answers: Receiver<io::Result<Vec<u8>>>,
    /// How long the next answer may take.
    patience: Duration,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The threads end with its pipes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// Starts it. Its first answer may take `first`, each later one `timeout`.
    pub(super) fn start(
        path: &str,
        args: &[String],
        first: Duration,
        timeout: Duration,
    ) -> io::Result<Self> {
        let mut command = Command::new(path);
        let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (questions, asked) = channel();
        let (answered, answers) = sync_channel(1);
        // From here on it is killed if anything goes wrong.
        let running = Running { child, questions, answers, patience: first };
        let (stdin, stdout) = pipes.ok_or(io::ErrorKind::BrokenPipe)?;
        // A program that does not read must not keep the guard from noticing that time is up.
        thread::Builder::new().name("filter-write".into()).spawn(move || write(stdin, &asked))?;
        thread::Builder::new().name("filter-read".into()).spawn(move || read(stdout, &answered))?;
        Ok(Self { running: Mutex::new(Some(running)), timeout })
    }

    /// Asks it about a message.
    pub(super) fn judge(&self, message: &GuardMessage<'_>) -> Verdict {
        let mut slot = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = slot.as_mut() else {
            return Verdict::refuse("the filter program has ended");
        };
        match running.ask(message.to_line()) {
            Ok(verdict) => {
                running.patience = self.timeout;
                verdict
            }
            Err(why) => {
                *slot = None;
                complain(&format!("{why}; everything is refused from now on"));
                Verdict::refuse(why)
            }
        }
    }
}

impl Running {
    fn ask(&mut self, question: String) -> Result<Verdict, &'static str> {
        if self.answers.try_recv().is_ok_and(|line| line.is_ok()) {
            return Err("the filter program answers what nobody has asked");
        }
        self.questions.send(question).map_err(|_| "the filter program has ended")?;
        let line = self.answers.recv_timeout(self.patience).map_err(|e| match e {
            std::sync::mpsc::RecvTimeoutError::Timeout => "the filter program takes too long",
            std::sync::mpsc::RecvTimeoutError::Disconnected => "the filter program has ended",
        })?;
        let line = line.map_err(|_| "the filter program's answer is too long")?;
        verdict(&line).ok_or("the filter program talks nonsense")
    }
}

/// What a line says; `None` if that is nothing.
fn verdict(line: &[u8]) -> Option<Verdict> {
    let Answer { verdict, text, args } = serde_json::from_slice(line).ok()?;
    Some(match (verdict, args) {
        (Word::Allow, None) => Verdict::Allow,
        (Word::Refuse, None) => Verdict::refuse(text.as_deref().unwrap_or("refused by the filter")),
        (Word::Rewrite, Some(args)) => Verdict::rewrite(&args.to_string()),
        _ => return None,
    })
}

fn write(mut stdin: ChildStdin, questions: &Receiver<String>) {
    for mut question in questions {
        question.push('\n');
        if stdin.write_all(question.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(stdout: ChildStdout, answers: &SyncSender<io::Result<Vec<u8>>>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        let read = (&mut stdout).take(MAX_ANSWER_LEN).read_until(b'\n', &mut line);
        let answer = match read {
            Ok(0) | Err(_) => return,
            Ok(_) if line.ends_with(b"\n") => Ok(line),
            Ok(_) => Err(io::ErrorKind::FileTooLarge.into()),
        };
        let over = answer.is_err();
        if answers.send(answer).is_err() || over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_verdict_is_a_verdict() {
        for (line, expected) in [
            (r#"{"verdict":"allow"}"#, Some(Verdict::Allow)),
            (r#"{"verdict":"refuse"}"#, Some(Verdict::refuse("refused by the filter"))),
            (r#"{"verdict":"refuse","text":"no"}"#, Some(Verdict::refuse("no"))),
            (r#"{"verdict":"rewrite","args":{"a":1}}"#, Some(Verdict::rewrite(r#"{"a":1}"#))),
            (r#"{"verdict":"rewrite","args":null}"#, Some(Verdict::rewrite("null"))),
            (r#"{"verdict":"rewrite"}"#, None),
            (r#"{"verdict":"allow","args":{}}"#, None),
            (r#"{"verdict":"Allow"}"#, None),
            (r#"{"verdict":"allow","verdict":"allow"}"#, None),
            (r#"{"verdict":"allow","and":1}"#, None),
            (r#"{"verdict":"allow"} {"verdict":"allow"}"#, None),
            ("allow", None),
            ("true", None),
            ("", None),
        ] {
            assert_eq!(verdict(line.as_bytes()), expected, "{line}");
        }
        assert_eq!(verdict(&[0xff, 0xfe]), None);
    }
}
