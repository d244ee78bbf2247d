//! Holds `ARCHITECTURE.md` to the code: which crate may know which, and the purity line.
//!
//! Whoever changes an arrow changes it in three places at once: the manifest, the table below, the table in the
//! document. The code is asked through cargo itself, so a new dependency of a dependency is seen too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which of our crates each one knows; folders of `crates/`. Only normal dependencies count: tests may know more.
const ARROWS: [(&str, &[&str]); 15] = [
    ("model", &[]),
    ("photo", &["model"]),
    ("face", &["photo"]),
    ("locate", &["face", "model", "photo"]),
    ("align", &["photo"]),
    ("card", &["align", "photo"]),
    ("normalize", &["align", "photo"]),
    ("score", &["photo"]),
    ("assess", &["align", "card", "locate", "model", "normalize", "photo", "score"]),
    ("outcome", &["model"]),
    ("phantom", &["face"]),
    ("store", &["model"]),
    ("ledger", &["model"]),
    ("worker", &["assess", "ledger", "model", "outcome", "store"]),
    ("web", &["ledger", "model", "store"]),
];

/// Wires everything, so it may know all, and nobody may know it.
const BINARY: &str = "cicatrix";

/// The crates above the purity line: no input or output, no clock, no environment, no threads, no global state.
const PURE: [&str; 11] =
    ["model", "photo", "face", "locate", "align", "card", "normalize", "score", "assess", "outcome", "phantom"];

/// Ours, but below the line.
const SHELL: [&str; 5] = ["cicatrix", "cicatrix-ledger", "cicatrix-store", "cicatrix-web", "cicatrix-worker"];

/// Families of crates that a pure crate never needs, however deep down: `tokio` stands for `tokio-util` as well.
const IMPURE: [&str; 8] = ["aws", "hyper", "mio", "reqwest", "riverqueue", "socket2", "sqlx", "tokio"];

/// Modules of the standard library that reach outside.
const MODULES: [&str; 5] = ["env", "fs", "net", "process", "thread"];

/// The clock and state that outlives a call, by the words that fetch them.
const WORDS: [&str; 6] = ["Instant::now", "SystemTime", "Timestamp::now", "Zoned::now", "static mut", "thread_local!"];

#[test]
fn every_crate_knows_only_what_the_drawing_allows() {
    let declared = declared();
    for (name, allowed) in ARROWS {
        let known = declared.get(name).unwrap_or_else(|| panic!("crates/{name} is no member of the workspace"));
        assert_eq!(*known, set(allowed), "what {name} knows (left: its manifest, right: the drawing)");
    }
    let drawn: BTreeSet<String> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let beyond: Vec<&String> = declared[BINARY].difference(&drawn).collect();
    assert!(beyond.is_empty(), "the binary knows {beyond:?}, which the drawing does not have");
}

#[test]
fn the_document_draws_the_same_arrows() {
    let mut expected: BTreeMap<String, BTreeSet<String>> =
        ARROWS.iter().map(|(name, allowed)| ((*name).to_owned(), set(allowed))).collect();
    expected.insert(BINARY.to_owned(), set(&["all"]));
    assert_eq!(documented(), expected, "left: the crate table of ARCHITECTURE.md, right: the drawing");
}

#[test]
fn every_folder_is_a_member_and_is_documented() {
    let folders = folders();
    assert!(folders.len() > PURE.len(), "crates/ was not found: {folders:?}");
    let members: BTreeSet<String> = declared().into_keys().collect();
    assert_eq!(folders, members, "left: folders in crates/, right: members of the workspace");
    let documented: BTreeSet<String> = documented().into_keys().collect();
    assert_eq!(folders, documented, "left: folders in crates/, right: the crate table of ARCHITECTURE.md");
}

#[test]
fn pure_crates_are_built_without_an_impure_one() {
    for name in PURE {
        let package = package(name);
        let tree = cargo(&["tree", "--offline", "--locked", "-e", "normal", "--prefix", "none", "-p", &package]);
        let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(names.contains(package.as_str()), "cargo tree did not begin with {package}:\n{tree}");
        let impure: Vec<&&str> = names.iter().filter(|name| is_impure(name)).collect();
        assert!(impure.is_empty(), "{name} is pure and depends on {impure:?}");
    }
}

#[test]
fn pure_sources_reach_for_nothing_outside() {
    for name in PURE {
        let sources = sources(&root().join("crates").join(name).join("src"));
        assert!(!sources.is_empty(), "no sources of {name} were found");
        for path in sources {
            let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let found = reaches(&text);
            assert!(found.is_empty(), "{name} is pure and {} uses {found:?}", path.display());
        }
    }
}

#[test]
fn what_reaches_outside_is_seen_in_every_spelling() {
    assert_eq!(reaches("let text = std::fs::read(path);"), ["std::fs"]);
    assert_eq!(reaches("use std::{collections::{BTreeMap, BTreeSet}, env, fmt};"), ["std::env"]);
    assert_eq!(reaches("use std::{\n    fmt,\n    thread::{self, JoinHandle},\n};"), ["std::thread"]);
    assert_eq!(
        reaches("static mut COUNT: u32 = 0;\nlet t = std::time::Instant::now();"),
        ["Instant::now", "static mut"]
    );
    assert!(reaches("//! std::fs::write(path, bytes)\nuse std::io::Cursor;").is_empty());
    assert!(reaches("fn pure() {}\n\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}").is_empty());
}

fn is_impure(package: &str) -> bool {
    let is_of = |rest: &str| rest.is_empty() || rest.starts_with('-');
    SHELL.contains(&package) || IMPURE.iter().any(|family| package.strip_prefix(family).is_some_and(is_of))
}

/// Everything in a source, tests and comments aside, that a pure crate must not use.
fn reaches(text: &str) -> Vec<String> {
    let code = code(text);
    let modules = std_modules(&code).into_iter().filter(|m| MODULES.contains(m)).map(|m| format!("std::{m}"));
    let words = WORDS.iter().filter(|word| code.contains(**word)).map(|word| (*word).to_owned());
    modules.chain(words).collect()
}

/// A source without its comment lines, up to its module of tests.
fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    before_tests.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// Modules of the standard library that are named: `fs` in `std::fs::read` and in `std::{fs, io::Read}`.
fn std_modules(code: &str) -> BTreeSet<&str> {
    let paths = code.split("std::").skip(1);
    paths.flat_map(|path| path.strip_prefix('{').map_or_else(|| vec![first_word(path)], group_members)).collect()
}

/// First words of the members of a group, from behind its opening brace.
fn group_members(group: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' | ',' if depth == 0 => {
                found.push(first_word(&group[begin..at]));
                begin = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// What the manifests declare: our crates among each member's normal dependencies.
fn declared() -> BTreeMap<String, BTreeSet<String>> {
    let text = cargo(&["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&text).expect("cargo metadata writes JSON");
    let packages = metadata["packages"].as_array().expect("cargo metadata lists packages");
    let knows = |package: &serde_json::Value| -> BTreeSet<String> {
        let dependencies = package["dependencies"].as_array().expect("a package lists its dependencies");
        let normal = dependencies.iter().filter(|d| d["kind"].is_null() && d["path"].is_string());
        normal.filter_map(|d| d["name"].as_str()).map(folder).collect()
    };
    packages.iter().map(|p| (folder(p["name"].as_str().expect("a package has a name")), knows(p))).collect()
}

/// What the crate table of ARCHITECTURE.md says: folder in the first column, the crates it knows in the third.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md can be read");
    let section = text.split("\n## ").find(|section| section.starts_with("Crates")).expect("it has a section Crates");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split('|').map(quoted).collect::<Vec<_>>());
    cells.map(|cells| (cells[1].first().cloned().unwrap_or_default(), cells[3].clone())).collect()
}

/// The words of a text that stand in backticks.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn folders() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("crates")).expect("crates/ can be read");
    let paths = entries.map(|entry| entry.expect("an entry of crates/ can be read").path());
    paths.filter(|p| p.is_dir()).filter_map(|p| Some(p.file_name()?.to_str()?.to_owned())).collect()
}

/// Rust sources below a folder; a file `tests.rs` is a module of tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.expect("an entry of a source folder can be read").path()) {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
    found
}

fn package(folder: &str) -> String {
    if folder == BINARY { folder.to_owned() } else { format!("cicatrix-{folder}") }
}

fn folder(package: &str) -> String {
    package.strip_prefix("cicatrix-").unwrap_or(package).to_owned()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn cargo(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo can be started");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {} failed:\n{words}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}
