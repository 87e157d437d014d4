//! Who may depend on whom, which crates forbid `unsafe`, and one compiler version for all.
//!
//! [`findings`] reads the files; what decides is pure and tested below. A crate that no table here
//! names is refused, so that a new one is given its place on purpose.

use cargo_metadata::semver::Version;
use cargo_metadata::{DependencyKind, Metadata, TargetKind};

/// Crates that others build on: each with the ones it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("tramline-core", &[]),
    ("tramline-macros", &[]),
    ("tramline-transport-shm", &["tramline-core"]),
    ("tramline-transport-pipe", &["tramline-core"]),
    ("tramline-compat-json", &["tramline-core"]),
    (
        "tramline",
        &[
            "tramline-core",
            "tramline-transport-shm",
            "tramline-transport-pipe",
            "tramline-compat-json",
            "tramline-macros",
        ],
    ),
];

/// Crates that may depend on anything and on which nothing depends; examples are such crates too.
const ENDS: &[&str] = &["tramline-cli", "tramline-tests", "tramline-benches", "xtask"];

/// The exceptions: the benches use the test kit.
const BETWEEN_ENDS: &[(&str, &str)] = &[("tramline-benches", "tramline-tests")];

/// Crates in which every library and program starts with `#![forbid(unsafe_code)]`.
const WITHOUT_UNSAFE: &[&str] =
    &["tramline-core", "tramline-compat-json", "tramline-macros", "tramline", "tramline-cli"];

/// The file that names the compiler everyone uses.
const TOOLCHAIN_FILE: &str = "rust-toolchain.toml";

/// A crate of the workspace, with what the rules look at.
#[derive(Debug)]
pub(crate) struct Member {
    /// The package's name.
    pub(crate) name: String,
    /// The packages it needs to be built: normal and build dependencies, not those of tests.
    pub(crate) needs: Vec<String>,
}

/// Reads the workspace and says what breaks a rule.
///
/// # Errors
///
/// A file that must be there cannot be read.
pub(crate) fn findings(metadata: &Metadata) -> Result<Vec<String>, String> {
    let read = |path: &cargo_metadata::camino::Utf8Path| {
        let shown = path.strip_prefix(&metadata.workspace_root).unwrap_or(path).to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok((shown, text)),
            Err(error) => Err(format!("{shown}: {error}")),
        }
    };

    let mut findings = forbidden_arrows(&members(metadata));

    for package in metadata.workspace_packages() {
        if !WITHOUT_UNSAFE.contains(&package.name.as_str()) {
            continue;
        }
        for target in &package.targets {
            let ships = |kind: &TargetKind| {
                matches!(kind, TargetKind::Lib | TargetKind::ProcMacro | TargetKind::Bin)
            };
            if target.kind.iter().any(ships) {
                let (shown, source) = read(&target.src_path)?;
                if !forbids_unsafe(&source) {
                    findings.push(format!("{shown} must say #![forbid(unsafe_code)]"));
                }
            }
        }
    }

    let (_, toolchain) = read(&metadata.workspace_root.join(TOOLCHAIN_FILE))?;
    for package in metadata.workspace_packages() {
        if let Err(why) = same_compiler(&toolchain, package.rust_version.as_ref()) {
            findings.push(format!("{}: {why}", package.name));
        }
    }
    Ok(findings)
}

/// Compares what `rustc --version` printed with the `rust-version` of the workspace.
///
/// # Errors
///
/// The compiler is older, or one of the two says no version.
pub(crate) fn compare_compiler(metadata: &Metadata, printed: &str) -> Result<String, String> {
    let oldest = metadata.workspace_packages().iter().find_map(|p| p.rust_version.clone());
    let oldest = oldest.ok_or("no crate of the workspace states a rust-version")?;
    judge_compiler(&oldest, printed)
}

fn members(metadata: &Metadata) -> Vec<Member> {
    let packages = metadata.workspace_packages();
    let members = packages.iter().map(|package| Member {
        name: package.name.to_string(),
        needs: package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != DependencyKind::Development)
            .map(|dependency| dependency.name.clone())
            .collect(),
    });
    members.collect()
}

/// Says which arrows between crates of the workspace are not allowed.
pub(crate) fn forbidden_arrows(members: &[Member]) -> Vec<String> {
    let mut findings = Vec::new();
    for Member { name, needs } in members {
        let allowed = ARROWS.iter().find(|(from, _)| from == name).map(|(_, to)| *to);
        if allowed.is_none() && !is_end(name) {
            findings.push(format!("{name} has no place yet: add it to xtask/src/arrows.rs"));
        }
        for target in needs {
            if !members.iter().any(|member| member.name == *target) {
                continue;
            }
            let from_end = is_end(name)
                && (!is_end(target) || BETWEEN_ENDS.contains(&(name.as_str(), target.as_str())));
            if !from_end && !allowed.is_some_and(|to| to.contains(&target.as_str())) {
                findings.push(format!("{name} must not depend on {target}"));
            }
        }
    }
    findings
}

fn is_end(name: &str) -> bool {
    ENDS.contains(&name) || name.starts_with("example-")
}

/// Whether a source file forbids `unsafe` for the whole crate.
pub(crate) fn forbids_unsafe(source: &str) -> bool {
    source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("#![forbid(")?.split_once(")]"))
        .any(|(lints, _)| lints.split(',').any(|lint| lint.trim() == "unsafe_code"))
}

/// Whether a crate's `rust-version` is the compiler of `rust-toolchain.toml`, by major and minor.
///
/// # Errors
///
/// The two differ, or one of them names no version.
pub(crate) fn same_compiler(toolchain: &str, rust_version: Option<&Version>) -> Result<(), String> {
    let found = rust_version.ok_or("states no rust-version")?;
    let table: toml::Table =
        toolchain.parse().map_err(|error| format!("{TOOLCHAIN_FILE}: {error}"))?;
    let channel = table.get("toolchain").and_then(|toolchain| toolchain.get("channel"));
    let channel = channel.and_then(toml::Value::as_str).unwrap_or_default();
    let mut numbers = channel.split('.').map_while(|part| part.parse::<u64>().ok());
    let wanted = (numbers.next(), numbers.next());
    if wanted == (Some(found.major), Some(found.minor)) {
        return Ok(());
    }
    Err(format!(
        "rust-version is {}.{}, {TOOLCHAIN_FILE} says channel \"{channel}\"",
        found.major, found.minor
    ))
}

/// Whether the compiler that runs is old enough to prove something and new enough to build.
///
/// # Errors
///
/// It is older than `oldest`, or `printed` is not what `rustc --version` prints.
pub(crate) fn judge_compiler(oldest: &Version, printed: &str) -> Result<String, String> {
    let number = printed.split_whitespace().nth(1).and_then(|word| Version::parse(word).ok());
    let found = number.ok_or_else(|| format!("not a rustc version: {printed}"))?;
    if (found.major, found.minor) == (oldest.major, oldest.minor) {
        Ok(format!("equals rust-version {oldest}"))
    } else if found > *oldest {
        Ok(format!("newer than rust-version {oldest}: the oldest compiler was not tried"))
    } else {
        Err(format!("{found} is older than rust-version {oldest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each member as its name and what it needs.
    fn workspace(members: &[(&str, &[&str])]) -> Vec<Member> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        members
            .iter()
            .map(|(name, needs)| Member { name: (*name).to_owned(), needs: owned(needs) })
            .collect()
    }

    #[test]
    fn every_arrow_of_the_design_is_allowed() {
        let members = workspace(&[
            ("tramline-core", &["serde"]),
            ("tramline-macros", &["syn"]),
            ("tramline-transport-shm", &["tramline-core", "rustix"]),
            ("tramline-transport-pipe", &["tramline-core"]),
            ("tramline-compat-json", &["tramline-core"]),
            (
                "tramline",
                &[
                    "tramline-core",
                    "tramline-transport-shm",
                    "tramline-transport-pipe",
                    "tramline-compat-json",
                    "tramline-macros",
                ],
            ),
            ("tramline-cli", &["tramline", "tramline-core"]),
            ("tramline-tests", &["tramline", "tramline-transport-shm"]),
            ("tramline-benches", &["tramline", "tramline-tests"]),
            ("example-calc", &["tramline"]),
            ("xtask", &["clap"]),
        ]);
        assert_eq!(forbidden_arrows(&members), Vec::<String>::new());
    }

    #[test]
    fn core_is_refused_an_arrow_to_a_transport() {
        let members = workspace(&[
            ("tramline-core", &["tramline-transport-shm"]),
            ("tramline-transport-shm", &[]),
        ]);
        assert_eq!(
            forbidden_arrows(&members),
            ["tramline-core must not depend on tramline-transport-shm"]
        );
    }

    #[test]
    fn transports_do_not_know_each_other() {
        let members = workspace(&[
            ("tramline-transport-shm", &["tramline-transport-pipe"]),
            ("tramline-transport-pipe", &[]),
        ]);
        assert_eq!(
            forbidden_arrows(&members),
            ["tramline-transport-shm must not depend on tramline-transport-pipe"]
        );
    }

    #[test]
    fn macros_depend_on_nothing_of_ours() {
        let members = workspace(&[("tramline-macros", &["tramline-core"]), ("tramline-core", &[])]);
        assert_eq!(
            forbidden_arrows(&members),
            ["tramline-macros must not depend on tramline-core"]
        );
    }

    #[test]
    fn nothing_depends_on_the_ends_except_the_benches_on_the_test_kit() {
        let members = workspace(&[
            ("tramline", &["tramline-tests"]),
            ("tramline-tests", &["tramline-cli"]),
            ("tramline-benches", &["tramline-tests", "example-calc"]),
            ("tramline-cli", &["xtask"]),
            ("example-calc", &["tramline-tests"]),
            ("xtask", &[]),
        ]);
        assert_eq!(
            forbidden_arrows(&members),
            [
                "tramline must not depend on tramline-tests",
                "tramline-tests must not depend on tramline-cli",
                "tramline-benches must not depend on example-calc",
                "tramline-cli must not depend on xtask",
                "example-calc must not depend on tramline-tests",
            ]
        );
    }

    #[test]
    fn a_crate_without_a_place_is_refused_until_it_gets_one() {
        let members = workspace(&[("tramline-new", &["tramline-core"]), ("tramline-core", &[])]);
        assert_eq!(
            forbidden_arrows(&members),
            [
                "tramline-new has no place yet: add it to xtask/src/arrows.rs",
                "tramline-new must not depend on tramline-core",
            ]
        );
    }

    #[test]
    fn forbid_counts_only_as_an_attribute_of_the_crate() {
        assert!(forbids_unsafe("//! Text.\n\n#![forbid(unsafe_code)]\n"));
        assert!(forbids_unsafe("#![forbid(missing_docs, unsafe_code)]"));
        assert!(!forbids_unsafe("// #![forbid(unsafe_code)]"));
        assert!(!forbids_unsafe("#![deny(unsafe_code)]"));
        assert!(!forbids_unsafe("#[forbid(unsafe_code)]\nmod inner {}"));
    }

    #[test]
    fn rust_version_and_channel_agree_by_major_and_minor() {
        let toolchain = "[toolchain]\nchannel = \"1.95.0\"\n";
        assert_eq!(same_compiler(toolchain, Some(&Version::new(1, 95, 0))), Ok(()));
        assert_eq!(
            same_compiler(toolchain, Some(&Version::new(1, 94, 0))),
            Err("rust-version is 1.94, rust-toolchain.toml says channel \"1.95.0\"".to_owned())
        );
        assert!(same_compiler(toolchain, None).is_err());
        let named = "[toolchain]\nchannel = \"stable\"\n";
        assert!(same_compiler(named, Some(&Version::new(1, 95, 0))).is_err());
    }

    #[test]
    fn a_compiler_older_than_rust_version_is_refused() {
        let oldest = Version::new(1, 95, 0);
        assert!(judge_compiler(&oldest, "rustc 1.95.0 (0123abcd 2026-04-14)").is_ok());
        assert!(judge_compiler(&oldest, "rustc 1.96.0-nightly (0123abcd 2026-05-01)").is_ok());
        assert!(judge_compiler(&oldest, "rustc 1.94.1 (0123abcd 2026-03-01)").is_err());
        assert!(judge_compiler(&oldest, "something else").is_err());
    }
}
