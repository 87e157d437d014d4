//! What a search knows so far, and what it tries next.

use std::collections::{HashMap, HashSet, VecDeque};

use super::error::{self, Complaint};
use super::guess::{self, Guess};
use super::{Explored, Note, Style, Trait};

/// Guesses at one place that asks. A choice: several hundred find their way through the tagged enums
/// that people write.
const MAX_GUESSES: usize = 1_500;

/// A type with a name: where it lies within itself the search goes no deeper.
pub(super) type TypeKey = (&'static str, usize, usize);

/// A place with several possible values.
#[derive(Debug)]
struct Choice {
    options: Options,
    /// The one that is tried now, or that was taken if there is nothing left to try.
    at: usize,
    /// The first that was taken.
    good: Option<usize>,
    /// There is nothing left to try.
    done: bool,
    /// Each of them leads somewhere else, so all are worth a try; otherwise one that is taken will
    /// do.
    all: bool,
}

#[derive(Debug)]
enum Options {
    /// So many of them.
    Count(usize),
    Guesses(Guesses),
}

/// Guesses at one place.
#[derive(Debug)]
struct Guesses {
    tried: Vec<Tried>,
    /// To be tried, the likeliest last.
    likely: Vec<Tried>,
    /// To be tried now and then, the likeliest first.
    unlikely: VecDeque<Tried>,
    /// All of them.
    known: HashSet<Guess>,
}

/// Every so many guesses an unlikely one is tried. A choice.
const UNLIKELY_EVERY: usize = 4;

impl Guesses {
    /// The likeliest first.
    fn new(first: Vec<Guess>) -> Self {
        let known = first.iter().cloned().collect();
        let mut unlikely: VecDeque<_> =
            first.into_iter().map(|guess| Tried { guess, answers: None }).collect();
        let tried = unlikely.pop_front().into_iter().collect();
        Self { tried, likely: Vec::new(), unlikely, known }
    }

    /// Adds what follows from a complaint, the likeliest last; true if any of it is new.
    fn add(&mut self, guesses: Vec<Guess>, complaint: &Complaint, is_likely: bool) -> bool {
        let mut new = false;
        for guess in guesses {
            if self.known.insert(guess.clone()) {
                new = true;
                let tried = Tried { guess, answers: Some(complaint.clone()) };
                if is_likely { self.likely.push(tried) } else { self.unlikely.push_back(tried) }
            }
        }
        new
    }

    /// On to the next one; false if there is none.
    fn advance(&mut self) -> bool {
        let unlikely_now = self.tried.len().is_multiple_of(UNLIKELY_EVERY);
        let next = if unlikely_now {
            self.unlikely.pop_front().or_else(|| self.likely.pop())
        } else {
            self.likely.pop().or_else(|| self.unlikely.pop_front())
        };
        let next = next.filter(|_| self.tried.len() < MAX_GUESSES);
        let more = next.is_some();
        self.tried.extend(next);
        more
    }
}

/// A guess, and what was said of the one before.
#[derive(Debug, Clone)]
struct Tried {
    guess: Guess,
    answers: Option<Complaint>,
}

impl Choice {
    /// On to the next one; false if there is none, and the one that was taken stays.
    fn advance(&mut self) -> bool {
        if self.done {
            return false;
        }
        let next = match &mut self.options {
            Options::Count(count) => Some(self.at + 1).filter(|next| next < count),
            Options::Guesses(guesses) => guesses.advance().then(|| guesses.tried.len() - 1),
        };
        if let Some(next) = next {
            self.at = next;
            return true;
        }
        self.done = true;
        self.at = self.good.unwrap_or(0);
        false
    }

    /// Whether the present value is known to be taken.
    fn is_settled(&self) -> bool {
        self.good == Some(self.at)
    }

    fn guess(&self) -> Option<&Guess> {
        match &self.options {
            Options::Guesses(guesses) => guesses.tried.get(self.at).map(|tried| &tried.guess),
            Options::Count(_) => None,
        }
    }
}

/// A choice that the present value needed, and how many complaints there were before.
#[derive(Debug, Clone)]
struct Asked {
    path: String,
    heard: usize,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) style: Style,
    pub(super) lent: bool,
    choices: HashMap<String, Choice>,
    /// Maps that turned out to be structs with flattened fields.
    pub(super) flat: HashSet<String>,
    /// Fields that come last in their struct, for they take nothing.
    pub(super) late: HashSet<String>,
    /// Names that are another field's, too.
    pub(super) aliases: HashSet<String>,
    /// Which variant a recursive enum is where it lies within itself.
    pub(super) endings: HashMap<TypeKey, usize>,
    /// At a place that asks: complaints before bytes were taken, bytes that are text, numbers.
    taken_as: HashMap<String, [Option<usize>; 3]>,
    notes: Vec<Note>,
    values: usize,
    /// Parts of all values so far.
    pub(super) work: usize,

    // Of the present value:
    asked: Vec<Asked>,
    /// How many parts it has.
    pub(super) parts: usize,
    /// The named types around the present part.
    pub(super) around: Vec<TypeKey>,
    /// The fields around the present part.
    pub(super) fields: Vec<String>,
    /// How many contents of adjacently tagged enums are around it.
    pub(super) adjacent: usize,
    /// The last variant that was given.
    pub(super) variant: &'static str,
    /// A field's name that was given, and its value not yet.
    pub(super) unanswered: Option<String>,
    /// Something was learned that no complaint tells: the same once more.
    pub(super) again: bool,
}

/// Whether a place is part of another one.
fn lies_within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with(['.', '[', '{', ':', '?']))
}

impl State {
    pub(super) fn new(style: Style, lent: bool) -> Self {
        Self {
            style,
            lent,
            choices: HashMap::new(),
            flat: HashSet::new(),
            late: HashSet::new(),
            aliases: HashSet::new(),
            endings: HashMap::new(),
            taken_as: HashMap::new(),
            notes: Vec::new(),
            values: 0,
            work: 0,
            asked: Vec::new(),
            parts: 0,
            around: Vec::new(),
            fields: Vec::new(),
            adjacent: 0,
            variant: "",
            unanswered: None,
            again: false,
        }
    }

    /// Before a value.
    pub(super) fn begin(&mut self) {
        self.work += 1 + self.parts;
        self.asked.clear();
        self.around.clear();
        self.fields.clear();
        (self.parts, self.adjacent, self.unanswered, self.again) = (0, 0, None, false);
    }

    pub(super) fn note(&mut self, path: &str, what: Trait) {
        // Where an option was opened is for the search only.
        let note = Note { path: path.replace('?', ""), what };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Which of `count` options to take here; `all` if each leads somewhere else.
    pub(super) fn choose(&mut self, path: &str, count: usize, all: bool) -> usize {
        let new = || Choice { options: Options::Count(count), at: 0, good: None, done: false, all };
        self.ask(path, new).at
    }

    /// Which guess to take here.
    pub(super) fn guess(&mut self, path: &str, first: impl FnOnce() -> Vec<Guess>) -> Guess {
        let new = || {
            let options = Options::Guesses(Guesses::new(first()));
            Choice { options, at: 0, good: None, done: false, all: true }
        };
        self.ask(path, new).guess().cloned().unwrap_or(Guess::Unit)
    }

    fn ask(&mut self, path: &str, new: impl FnOnce() -> Choice) -> &Choice {
        self.asked.push(Asked { path: path.to_owned(), heard: error::count() });
        self.choices.entry(path.to_owned()).or_insert_with(new)
    }

    /// Notes that a map is a struct with flattened fields; false if that is known.
    pub(super) fn flatten(&mut self, path: &str) -> bool {
        self.choices.remove(path);
        self.flat.insert(path.to_owned())
    }

    /// The variant that a recursive enum is within itself; `None`, and another one the next time, if
    /// it leads back to the type once more.
    pub(super) fn ending(&mut self, key: TypeKey) -> Option<usize> {
        let within = self.around.iter().filter(|around| **around == key).count();
        let ending = self.endings.entry(key).or_default();
        if within <= 2 {
            return Some(*ending);
        }
        *ending += 1;
        self.again = *ending < key.2;
        None
    }

    /// Calls `look` with each place that asks and the complaints that are about it.
    fn each_guess(&self, heard: &[Complaint], mut look: impl FnMut(&str, &Guess, &[Complaint])) {
        for (index, asked) in self.asked.iter().enumerate() {
            let Some(guess) = self.choices.get(&asked.path).and_then(Choice::guess) else {
                continue;
            };
            // Parts of it may have been asked for, too; what comes after those is about it again.
            let after = &self.asked[index + 1..];
            let next = after.iter().find(|next| !lies_within(&next.path, &asked.path));
            let until = next.map_or(heard.len(), |next| next.heard);
            look(&asked.path, guess, heard.get(asked.heard..until).unwrap_or_default());
        }
    }

    /// Notes what complaints tell, also those that the type kept to itself.
    pub(super) fn listen_for_notes(&mut self, heard: &[Complaint]) {
        let mut notes = Vec::new();
        let borrows = |complaint: &Complaint| match complaint {
            Complaint::Expected { expected, .. } => expected.starts_with("a borrowed"),
            _ => false,
        };
        if !self.lent && heard.iter().any(borrows) {
            notes.push((String::new(), Trait::Borrows));
        }
        self.each_guess(heard, |path, guess, complaints| {
            for complaint in complaints {
                if let Some((part, expected)) = guess::refused_key(complaint, guess.parts()) {
                    let key = Trait::BufferedKey(expected.into());
                    notes.push((format!("{path}{}", guess.path(part)), key));
                }
                if matches!(complaint, Complaint::Other(why) if why.contains("128 is not supported"))
                {
                    notes.push((path.to_owned(), Trait::Wide));
                }
            }
        });
        for (path, what) in notes {
            self.note(&path, what);
        }
    }

    /// The type took the value, which has fields of these names. True if there is more to try.
    pub(super) fn taken(&mut self, heard: &[Complaint], names: &[&'static str]) -> bool {
        self.values += 1;
        for Asked { path, .. } in &self.asked {
            let Some(choice) = self.choices.get_mut(path) else { continue };
            let Some(present) = choice.guess().cloned() else { continue };
            if let Options::Guesses(guesses) = &mut choice.options {
                let taken = Complaint::Other("it was taken".into());
                guesses.add(present.with_fields(names), &taken, true);
            }
        }
        let mut taken_as = Vec::new();
        self.each_guess(heard, |path, guess, complaints| {
            let kinds = [guess::OTHER_BYTES, guess::ASCII_BYTES, guess::numbers()];
            if let Some(kind) = kinds.iter().position(|kind| kind == guess) {
                taken_as.push((path.to_owned(), kind, complaints.len()));
            }
        });
        for (path, kind, complaints) in taken_as {
            self.taken_as.entry(path).or_default()[kind] = Some(complaints);
        }
        let mut busy: Vec<String> = Vec::new();
        for Asked { path, .. } in std::mem::take(&mut self.asked).into_iter().rev() {
            let Some(choice) = self.choices.get_mut(&path) else { continue };
            choice.good.get_or_insert(choice.at);
            // What lies within the present option comes first.
            let more = choice.all
                && !choice.done
                && (busy.iter().any(|inner| lies_within(inner, &path)) || choice.advance());
            if more {
                busy.push(path);
            }
        }
        !busy.is_empty()
    }

    /// The type did not take the value. True if there is more to try.
    pub(super) fn refused(&mut self, heard: &[Complaint], why: &str) -> bool {
        if self.again {
            return true;
        }
        if let (Some(name), Some(Complaint::DuplicateField(_))) = (&self.unanswered, heard.last())
            && self.aliases.insert(name.clone())
        {
            return true;
        }
        let Some(last) = self.asked.last().cloned() else {
            self.note("", Trait::Unexplored(why.into()));
            return false;
        };
        let after = heard.get(last.heard..).unwrap_or_default();
        self.learn(&last.path, after, false)
            || self.next_at(&last.path)
            || self.learn(&last.path, after, true)
            || self.try_another(&last.path, why)
    }

    /// Tries another value at this place, or comes back to the one that was taken.
    fn next_at(&mut self, path: &str) -> bool {
        let Some(choice) = self.choices.get_mut(path) else { return false };
        !choice.done && !choice.is_settled() && (choice.advance() || choice.good.is_some())
    }

    /// Has better guesses made for the place that asks, at or around the one that was asked last.
    /// Only if `all` also by complaints that may be about that place's own value.
    fn learn(&mut self, last: &str, complaints: &[Complaint], all: bool) -> bool {
        for Asked { path, .. } in self.asked.iter().rev() {
            if path != last && !lies_within(last, path) {
                continue;
            }
            let Some(choice) = self.choices.get_mut(path) else { continue };
            let Some(present) = choice.guess().cloned() else { continue };
            let all = all || path == last;
            let Options::Guesses(guesses) = &mut choice.options else { continue };
            let answers = guesses.tried.get(choice.at).and_then(|tried| tried.answers.clone());
            let mut new = false;
            for complaint in complaints {
                if !all && matches!(complaint, Complaint::Other(_) | Complaint::Expected { .. }) {
                    continue;
                }
                // What follows from words that can mean anything, or once more from a complaint that
                // this guess was to answer, is not likely.
                let is_likely = !matches!(complaint, Complaint::Other(_))
                    && answers.as_ref() != Some(complaint);
                new |= guesses.add(present.better(complaint), complaint, is_likely);
            }
            if new && !choice.done {
                return choice.advance();
            }
        }
        false
    }

    /// Tries something else where the type said no: at the last place, then around it, then at all
    /// other places.
    fn try_another(&mut self, last: &str, why: &str) -> bool {
        let (around, others): (Vec<_>, Vec<_>) = self
            .asked
            .iter()
            .rev()
            .map(|asked| asked.path.clone())
            .partition(|path| path == last || lies_within(last, path));
        if around.iter().chain(&others).any(|path| self.next_at(path)) {
            return true;
        }
        self.note(last, Trait::Unexplored(why.into()));
        // Whatever comes after it in its struct can still be looked at.
        while let Some(field) = self.fields.pop() {
            if self.late.insert(field) {
                return true;
            }
        }
        false
    }

    pub(super) fn explored(mut self) -> Explored {
        for (path, [bytes, text, numbers]) in std::mem::take(&mut self.taken_as) {
            let differs = |other: Option<usize>| other.is_some() && other != bytes;
            if bytes.is_some() && (differs(text) || differs(numbers)) {
                self.note(&path, Trait::BytesOrSequence);
            }
        }
        if self.values > 0 {
            // A place that takes nothing one way may take something another way: whether all was
            // seen cannot be told, only that something was.
            self.notes.retain(|note| !matches!(note.what, Trait::Unexplored(_)));
        }
        Explored { notes: self.notes, values: self.values }
    }
}
