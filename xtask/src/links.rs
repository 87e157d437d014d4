//! Relative links in Markdown pages, and the files that `ARCHITECTURE.md` names, must exist.
//!
//! [`findings`] reads the files; what decides is pure and tested below. Headings behind `#` and
//! addresses on the web are not looked at.

use std::io;
use std::path::Path;
use std::process::Command;

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag};

/// The page in which file names between back quotes are checked as well.
const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// Something a page points to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// The line it stands on, from 1.
    pub(crate) line: usize,
    /// The text as it stands in the page.
    pub(crate) target: String,
}

/// Looks at every tracked page below `root`; `None` if git does not know `root`.
///
/// # Errors
///
/// Git did not start, or a page cannot be read.
pub(crate) fn findings(root: &Path) -> io::Result<Option<Vec<String>>> {
    let output =
        Command::new("git").args(["ls-files", "-z", "--", "*.md"]).current_dir(root).output()?;
    if !output.status.success() {
        return Ok(None);
    }
    let listed = String::from_utf8_lossy(&output.stdout);
    let exists = |path: &str| root.join(path).exists();
    let mut findings = Vec::new();
    // A page that is tracked but deleted has nothing left to check.
    for page in listed.split('\0').filter(|page| !page.is_empty() && exists(page)) {
        let text = std::fs::read_to_string(root.join(page))?;
        findings.extend(missing(page, &text, &exists));
    }
    Ok(Some(findings))
}

/// Says which pointers of one page lead nowhere. `page` is relative to the repository's root, and so
/// is what `exists` is asked.
pub(crate) fn missing(page: &str, text: &str, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for Pointer { line, target } in relative_links(text) {
        match resolve(page, &target) {
            None => findings.push(format!("{page}:{line}: {target} leaves the repository")),
            Some(path) if !exists(&path) => {
                findings.push(format!("{page}:{line}: {target} does not exist"));
            }
            Some(_) => {}
        }
    }
    if page == ARCHITECTURE {
        let gone = named_files(text).into_iter().filter(|pointer| !exists(&pointer.target));
        findings.extend(
            gone.map(|Pointer { line, target }| format!("{page}:{line}: no file `{target}`")),
        );
    }
    findings
}

/// The relative links and images of a page, without what follows `#` or `?`.
pub(crate) fn relative_links(text: &str) -> Vec<Pointer> {
    pointers(text, |event| match event {
        Event::Start(Tag::Link { link_type: LinkType::Email, .. }) => None,
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            let target = dest_url.split(['#', '?']).next().unwrap_or_default();
            let elsewhere = has_scheme(dest_url) || dest_url.starts_with("//");
            (!target.is_empty() && !elsewhere).then(|| target.to_owned())
        }
        _ => None,
    })
}

/// The code spans of a page that look like a file from the root of the repository:
/// `core/src/gate.rs`, `tests/tests/crash.rs` or `docs/WIRE-FORMAT.md`.
///
/// What follows `:` is left out, so `core/src/gate.rs::allow` and `core/src/gate.rs:12` name that file.
pub(crate) fn named_files(text: &str) -> Vec<Pointer> {
    pointers(text, |event| match event {
        Event::Code(code) => {
            let target = code.split(':').next().unwrap_or_default();
            looks_like_a_file(target).then(|| target.to_owned())
        }
        _ => None,
    })
}

fn pointers(text: &str, pick: impl Fn(&Event<'_>) -> Option<String>) -> Vec<Pointer> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
    let events = Parser::new_ext(text, options).into_offset_iter();
    let found = events.filter_map(|(event, range)| {
        let line = text[..range.start].matches('\n').count() + 1;
        pick(&event).map(|target| Pointer { line, target })
    });
    found.collect()
}

fn has_scheme(target: &str) -> bool {
    let is_scheme = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    target.split_once(':').is_some_and(|(name, _)| is_scheme(name))
}

fn looks_like_a_file(code: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    if !code.chars().all(plain) {
        return false;
    }
    let parts: Vec<&str> = code.split('/').collect();
    let inside = parts.get(1..parts.len().saturating_sub(1)).unwrap_or_default();
    let source = code.ends_with(".rs") && (inside.contains(&"src") || inside.contains(&"tests"));
    let page = parts.len() == 2 && parts[0] == "docs" && code.ends_with(".md");
    !code.starts_with('/') && (source || page)
}

/// A link's target as a path from the root; `None` if it climbs out of the repository.
fn resolve(page: &str, target: &str) -> Option<String> {
    let mut path: Vec<&str> = page.split('/').collect();
    path.pop();
    let from_root = target.strip_prefix('/');
    if from_root.is_some() {
        path.clear();
    }
    for part in from_root.unwrap_or(target).split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop()?;
            }
            name => path.push(name),
        }
    }
    Some(path.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &[&str] =
        &["README.md", "docs/WIRE-FORMAT.md", "docs/ERRORS.md", "core/src/gate.rs"];

    fn exists(path: &str) -> bool {
        path.is_empty() || FILES.iter().any(|file| *file == path || file.starts_with(path))
    }

    fn targets(pointers: Vec<Pointer>) -> Vec<String> {
        pointers.into_iter().map(|pointer| pointer.target).collect()
    }

    #[test]
    fn link_to_a_file_that_is_gone_is_found_with_its_line() {
        let text =
            "# Title\n\nSee [the errors](docs/ERRORS.md) and\n[the plan](docs/PLAN.md#now).\n";
        assert_eq!(
            missing("README.md", text, &exists),
            ["README.md:4: docs/PLAN.md does not exist"]
        );
    }

    #[test]
    fn links_start_at_the_folder_of_their_page() {
        let text = "[a](ERRORS.md) [b](../README.md) [c](/docs/ERRORS.md) [d](..) [e](README.md)";
        assert_eq!(
            missing("docs/WIRE-FORMAT.md", text, &exists),
            ["docs/WIRE-FORMAT.md:1: README.md does not exist"]
        );
    }

    #[test]
    fn link_that_climbs_out_of_the_repository_is_refused() {
        let text = "[issues](../../issues)";
        assert_eq!(
            missing("README.md", text, &exists),
            ["README.md:1: ../../issues leaves the repository"]
        );
    }

    #[test]
    fn images_references_and_table_cells_are_links_too() {
        let text = "![i](a.png)\n\n[text][key]\n\n[key]: b.md\n\n| x |\n| - |\n| [c](c.md) |\n";
        assert_eq!(targets(relative_links(text)), ["a.png", "b.md", "c.md"]);
    }

    #[test]
    fn web_addresses_mail_anchors_and_code_are_not_looked_at() {
        let text = "[w](https://example.org/a.md) [m](mailto:a@example.org) <a@example.org>\n\
                    [anchor](#below) `[code](no.md)`\n\n```md\n[block](no.md)\n```\n";
        assert_eq!(relative_links(text), []);
    }

    #[test]
    fn architecture_may_not_name_a_source_file_that_is_gone() {
        let text = "`core/src/gate.rs` before `core/src/gone.rs`, see `docs/NOTES.md`.";
        assert_eq!(
            missing("ARCHITECTURE.md", text, &exists),
            [
                "ARCHITECTURE.md:1: no file `core/src/gone.rs`",
                "ARCHITECTURE.md:1: no file `docs/NOTES.md`",
            ]
        );
        assert_eq!(missing("README.md", text, &exists), Vec::<String>::new());
    }

    #[test]
    fn only_whole_paths_from_the_root_look_like_files() {
        let text = "`core/src/gate.rs::allow` `tests/tests/crash.rs` `docs/X.md` \
                    `gate.rs` `segment/{unix,windows}.rs` `core/src/*.rs` `core/src` `std::fs`";
        assert_eq!(
            targets(named_files(text)),
            ["core/src/gate.rs", "tests/tests/crash.rs", "docs/X.md"]
        );
    }
}
