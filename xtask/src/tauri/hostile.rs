//! Attacks on the core by a web process in foreign hands: what must come of each.

use std::path::Path;

use serde_json::{Value, json};

use super::build;

/// What becomes of the link, and of the call made behind the attack.
#[derive(Clone, Copy)]
enum Link {
    /// It ends. The call is lost, and its page told so, or goes Tauri's own way.
    Ends,
    /// It goes on.
    Lives,
    /// The page did not stay to see.
    Unseen,
}

/// The attacks, what becomes of their link, and the code of the line in the log, if there is one.
const ATTACKS: &[(&str, Link, Option<&str>)] = &[
    ("garbage everywhere", Link::Ends, Some("ring")),
    ("garbage behind the first page", Link::Ends, Some("ring")),
    ("a wrong key", Link::Ends, Some("key")),
    ("no key", Link::Ends, Some("key")),
    ("another version", Link::Ends, Some("version")),
    ("a hello that is too short", Link::Ends, Some("message")),
    ("a call before the hello", Link::Ends, Some("no-key")),
    ("an unknown kind", Link::Ends, Some("message")),
    ("a call that breaks off", Link::Ends, Some("message")),
    ("a callback that is no number", Link::Ends, Some("message")),
    ("a callback that is too large", Link::Ends, Some("message")),
    ("a command that is no text", Link::Ends, Some("message")),
    ("a length beyond the message", Link::Ends, Some("message")),
    ("a length inside a number", Link::Ends, Some("message")),
    ("a message without end", Link::Ends, Some("ring")),
    ("a message that is left unfinished", Link::Ends, Some("ring")),
    ("arguments that are no JSON", Link::Lives, Some("call")),
    ("arguments that are no text", Link::Lives, Some("call")),
    ("brackets without end", Link::Lives, Some("call")),
    ("100000 headers", Link::Lives, Some("call")),
    ("a header that is none", Link::Lives, Some("call")),
    ("headers that are no pairs", Link::Lives, Some("call")),
    ("a command that is refused", Link::Lives, None),
    ("a second link", Link::Lives, Some("second-link")),
    ("a forged label", Link::Lives, Some("hand-over")),
    ("no socket", Link::Lives, Some("hand-over")),
    ("calls without reading an answer", Link::Lives, None),
    ("a page that never reads", Link::Unseen, Some("unread")),
    ("a foreign page on its way to us", Link::Unseen, Some("origin")),
    ("sockets that nobody speaks on", Link::Unseen, None),
];

/// Runs them: how many ended as they must not.
pub(super) fn run(root: &Path) -> Result<usize, String> {
    let mut report = build(root, true)?.run("accelerated", "hostile")?;
    let found = report["results"].take();
    let mut wrong = 0;
    for (attack, link, code) in ATTACKS {
        let seen = &found[attack];
        if !is_as_it_must_be(seen, *link, *code) {
            eprintln!("attack: {attack}: {seen}");
            wrong += 1;
        }
    }
    if found["calls that ran twice"] != json!([]) {
        eprintln!("attacks: calls ran twice: {}", found["calls that ran twice"]);
        wrong += 1;
    }
    println!("{} attacks", ATTACKS.len());
    Ok(wrong)
}

fn is_as_it_must_be(seen: &Value, link: Link, code: Option<&str>) -> bool {
    let log = code.map_or(Value::Null, |code| json!([code]));
    let lived = match link {
        Link::Ends => seen["link"] == "ended" && seen["alive"] == true,
        Link::Lives => {
            seen["link"] == "lives" && seen["alive"] == true && seen["call"] == "answered"
        }
        Link::Unseen => true,
    };
    // What an attack says of its own: a call is refused, or a limit held.
    let answer = &seen["answer"];
    let refused = match code {
        Some("call") => answer["error"].is_string(),
        _ => answer.get("value").is_none() && answer["bounded"] != false,
    };
    let own = ["given up", "few threads", "handed"];
    let held = own.iter().all(|name| seen.get(*name).is_none_or(|value| *value == true));
    seen["log"] == log
        && lived
        && refused
        && held
        && seen["functions"] != true
        && seen["the next page"] == true
        && seen["ran what is forbidden"] == false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_counts_as_held_off_only_with_its_line_in_the_log_and_a_sound_page_after_it() {
        let good = json!({
            "log": ["key"], "link": "ended", "alive": true, "the next page": true,
            "ran what is forbidden": false,
        });
        assert!(is_as_it_must_be(&good, Link::Ends, Some("key")));
        assert!(!is_as_it_must_be(&good, Link::Lives, Some("key")));
        assert!(!is_as_it_must_be(&good, Link::Ends, Some("ring")));
        for name in ["log", "link", "alive", "the next page", "ran what is forbidden"] {
            let mut bad = good.clone();
            bad[name] = Value::Null;
            assert!(!is_as_it_must_be(&bad, Link::Ends, Some("key")), "{name}");
        }
        assert!(!is_as_it_must_be(&Value::Null, Link::Unseen, None));
    }
}
