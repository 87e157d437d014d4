//! A macro for tauri-plugin-tramline: the web-process extension that cargo has built beside it, as
//! bytes.
//!
//! The extension is an ordinary dependency of the plugin whose crate is a dynamic library as well.
//! So it is built with everything else, for the same target, from the same lock file, online or not,
//! and it is linked before the plugin is compiled, for cargo lets nothing start early that depends on
//! a dynamic library. All that is missing is the name of the file: cargo hands that to the compiler,
//! and the macro reads it there.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use proc_macro::{Literal, TokenStream};

/// The extension's crate, as it is called in code.
const CRATE: &str = "tramline_web_extension";

/// The library's content: `&'static [u8; N]`.
///
/// Empty where nothing is linked, as for `cargo check` or in an editor: then there is no library.
///
/// # Errors
///
/// Does not compile if something is linked, and the library is not there.
#[proc_macro]
pub fn library(_: TokenStream) -> TokenStream {
    let arguments: Vec<String> = std::env::args().collect();
    let library = file_of(&arguments).map(|file| file.with_extension("so"));
    match library.filter(|library| library.is_file()) {
        Some(library) => call("include_bytes", &library.display().to_string()),
        None if links(&arguments) => call(
            "compile_error",
            "the library of the crate tramline-web-extension is not where cargo puts it; without \
             the feature `embed` it is not wanted",
        ),
        None => "&[0_u8; 0]".parse().unwrap_or_default(),
    }
}

/// `::core::name!("text")`
fn call(name: &str, text: &str) -> TokenStream {
    let text = Literal::string(text);
    format!("::core::{name}!({text})").parse().unwrap_or_default()
}

/// The file in which the compiler finds the extension's crate: `--extern options:name=path`.
fn file_of(arguments: &[String]) -> Option<PathBuf> {
    let values = values(arguments, "--extern");
    let named = values.filter_map(|value| value.split_once('='));
    let mut ours = named.filter(|(name, _)| name.rsplit(':').next() == Some(CRATE));
    // What is included is looked for from the source that includes it.
    ours.find_map(|(_, path)| std::path::absolute(Path::new(path)).ok())
}

/// Whether the compiler makes something that can be linked: `--emit=dep-info,metadata,link`.
fn links(arguments: &[String]) -> bool {
    values(arguments, "--emit").any(|kinds| kinds.split(',').any(|kind| kind == "link"))
}

/// The values of an option, in either form.
fn values<'a>(arguments: &'a [String], option: &'a str) -> impl Iterator<Item = &'a str> {
    arguments.iter().enumerate().filter_map(move |(at, argument)| {
        let rest = argument.strip_prefix(option)?;
        if rest.is_empty() {
            return arguments.get(at + 1).map(String::as_str);
        }
        rest.strip_prefix('=')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_file_is_found_in_every_form_that_the_compiler_takes() {
        for line in [
            "rustc --extern a=/x/a.rlib --extern tramline_web_extension=/d/libt-1.rlib --cfg b",
            "rustc --extern=tramline_web_extension=/d/libt-1.rlib",
            "rustc --extern noprelude:tramline_web_extension=/d/libt-1.rlib",
        ] {
            let found = file_of(&arguments(line));
            assert_eq!(found.as_deref(), Some(Path::new("/d/libt-1.rlib")), "{line}");
        }
        assert_eq!(file_of(&arguments("rustc --extern tramline_web_extension")), None);
        assert_eq!(file_of(&arguments("rustc --extern")), None);
    }

    #[test]
    fn a_check_links_nothing() {
        assert!(links(&arguments("rustc --emit=dep-info,metadata,link")));
        assert!(links(&arguments("rustc --emit dep-info,link")));
        assert!(!links(&arguments("rustc --emit=dep-info,metadata")));
        assert!(!links(&arguments("rustdoc --crate-name x")));
    }
}
