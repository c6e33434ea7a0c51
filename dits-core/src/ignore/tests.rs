use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::{IgnoreLookup, IgnoreRules};
use crate::path::RepoPath;
use crate::rules_file::{FolderFiles, RulesError};

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text.as_bytes()).unwrap()
}

#[derive(Default)]
struct Files(HashMap<String, String>);

impl FolderFiles for Files {
    fn rules_file(&self, folder: Option<&RepoPath>, name: &str) -> Result<Option<Vec<u8>>, RulesError> {
        assert_eq!(name, ".ditsignore");
        let folder = folder.map(ToString::to_string).unwrap_or_default();
        Ok(self.0.get(&folder).map(|text| text.clone().into_bytes()))
    }
}

fn lookup(files: &[(&str, &str)]) -> IgnoreLookup<Files> {
    let files = files.iter().map(|(folder, text)| ((*folder).to_owned(), (*text).to_owned())).collect();
    IgnoreLookup::new(Files(files), IgnoreRules::default())
}

fn ignored(rules: &IgnoreLookup<Files>, text: &str, is_dir: bool) -> bool {
    rules.matched(&path(text), is_dir).unwrap().is_some_and(|found| !found.negated)
}

#[test]
fn the_last_rule_and_the_deepest_file_decide() {
    let rules = lookup(&[("", "*.tmp\n!keep.tmp\nbuild/\n"), ("a", "keep.tmp\n!x.tmp\n"), ("build", "!*\n")]);
    assert!(ignored(&rules, "x.tmp", false));
    assert!(!ignored(&rules, "keep.tmp", false));
    assert!(ignored(&rules, "a/keep.tmp", false));
    assert!(!ignored(&rules, "a/x.tmp", false));
    assert!(ignored(&rules, "build", true));
    assert!(!ignored(&rules, "build", false));
    assert!(ignored(&rules, "build/deep/file", false), "nothing below an ignored folder comes back");
}

#[test]
fn a_match_says_where_it_is_from() {
    let rules = lookup(&[("a/b", "# comment\n\n!x*  \n")]);
    let found = rules.matched(&path("a/b/c/x1"), false).unwrap().unwrap();
    assert_eq!(found.source.as_ref(), Path::new("a/b/.ditsignore"));
    assert_eq!((found.line, found.pattern.as_slice(), found.negated), (3, &b"!x*"[..], true));
    assert_eq!(rules.matched(&path("a/x1"), false).unwrap(), None);
}

#[test]
fn global_files_are_weaker_than_folders_and_ordered() {
    let global = IgnoreRules::new(&[(Path::new("excludes"), b"*.a\n*.b\n"), (Path::new("info/exclude"), b"!x.a\n")]);
    let top = global.enter(None, Some(b"!x.b\n"));
    assert!(top.is_ignored(&path("y.a"), false));
    assert!(!top.is_ignored(&path("x.a"), false));
    assert!(!top.is_ignored(&path("x.b"), false));
    assert!(global.enter(None, None).is_ignored(&path("x.b"), false));
}

#[test]
fn lines_are_read_like_git_reads_them() {
    let rules = lookup(&[("", "\u{feff}crlf\r\n\\#hash\n\\!bang\nspace\\ \nspaces   \n   \n!\n/\n#no\nlast")]);
    for name in ["crlf", "#hash", "!bang", "space ", "spaces", "last"] {
        assert!(ignored(&rules, name, false), "{name:?}");
    }
    for name in ["space", "#no", "x"] {
        assert!(!ignored(&rules, name, false), "{name:?}");
    }
}

const NAMES: [&str; 5] = ["a", "b", "ab", "a.mov", "#b"];

fn pattern_strategy() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => proptest::sample::select(vec!["a", "b", "ab", "a.mov", "\\#b", "#b", "[ab]", "[!a]", "[^b]*", "?", "a\\b"]),
        4 => proptest::sample::select(vec!["*", "a*", "*b", "*.mov", "?b", "*a*", "[a-b]?"]),
    ];
    let part = prop_oneof![9 => part.prop_map(str::to_owned), 2 => Just("**".to_owned())];
    let parts = proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    (proptest::bool::weighted(0.3), proptest::bool::weighted(0.25), parts, proptest::bool::weighted(0.25), 0..6)
        .prop_map(|(negated, anchored, parts, dir, spaces)| {
            let mut text = String::new();
            text.push_str(if negated { "!" } else { "" });
            text.push_str(if anchored { "/" } else { "" });
            text.push_str(&parts);
            text.push_str(if dir { "/" } else { "" });
            text.push_str(if spaces == 0 { "  " } else { "" });
            text
        })
}

/// Every path of a small tree: two levels of folders, each with all the names as files, and some as folders.
fn tree(top: &str) -> Vec<(String, bool)> {
    let mut paths = vec![(top.to_owned(), true)];
    let mut folders = vec![top.to_owned()];
    for level in 0..3 {
        for folder in std::mem::take(&mut folders) {
            for name in NAMES {
                let is_dir = level < 2 && (name == "a" || name == "ab");
                let path = format!("{folder}/{name}");
                paths.push((path.clone(), is_dir));
                folders.extend(is_dir.then_some(path));
            }
        }
    }
    paths
}

fn git(dir: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").env("HOME", dir);
    git
}

/// Runs git with `input` on stdin and returns its NUL-separated answer; `None` when there is no git.
pub(crate) fn ask_git(dir: &Path, args: &[&str], input: Vec<u8>) -> Option<Vec<Vec<u8>>> {
    if git(dir).args(["init", "-q"]).status().ok().filter(std::process::ExitStatus::success).is_none() {
        eprintln!("SKIPPED: git is not installed, nothing to compare with");
        return None;
    }
    let mut child = git(dir).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    let mut fields: Vec<Vec<u8>> = output.stdout.split(|b| *b == 0).map(<[u8]>::to_vec).collect();
    fields.pop();
    Some(fields)
}

#[test]
fn random_rules_mean_what_they_mean_to_git() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::deterministic();
    let rules = proptest::collection::vec(pattern_strategy(), 1..6).prop_map(|lines| lines.join("\n") + "\n");
    let mut files = HashMap::new();
    let mut paths = Vec::new();
    for case in 0..150 {
        let top = format!("case{case}");
        for (path, is_dir) in tree(&top) {
            let full = dir.path().join(&path);
            if is_dir {
                fs::create_dir(&full).unwrap()
            } else {
                fs::write(&full, "").unwrap()
            }
            paths.push((path, is_dir));
        }
        for folder in [top.clone(), format!("{top}/a")] {
            let text = rules.new_tree(&mut runner).unwrap().current();
            fs::write(dir.path().join(&folder).join(".gitignore"), &text).unwrap();
            files.insert(folder, text);
        }
    }
    let input: Vec<u8> = paths.iter().flat_map(|(path, _)| [path.as_bytes(), b"\0"].concat()).collect();
    let args = ["check-ignore", "--stdin", "-z", "-v", "-n", "--no-index"];
    let Some(answer) = ask_git(dir.path(), &args, input) else { return };
    assert_eq!(answer.len(), 4 * paths.len());
    let lookup = IgnoreLookup::new(Files(files), IgnoreRules::default());
    let mut matched = 0;
    for (fields, (name, is_dir)) in answer.chunks(4).zip(&paths) {
        let ours = lookup.matched(&path(name), *is_dir).unwrap();
        let (mut source, mut line) = (PathBuf::new(), String::new());
        if let Some(found) = &ours {
            source = found.source.with_file_name(".gitignore");
            write!(line, "{}", found.line).unwrap();
            matched += 1;
        }
        let theirs = (String::from_utf8_lossy(&fields[0]), String::from_utf8_lossy(&fields[1]));
        assert_eq!((source.to_string_lossy(), line.as_str().into()), theirs, "{name}: {ours:?}");
    }
    assert!(matched > paths.len() / 10 && matched < paths.len(), "the comparison must see both answers: {matched}");
}
