use std::collections::HashMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::{AttributeLookup, AttributeRules, Attributes, Chunking, Compression, State};
use crate::ignore::tests::ask_git;
use crate::path::RepoPath;
use crate::rules_file::{FolderFiles, RulesError};

#[derive(Default)]
struct Files(HashMap<String, String>);

impl FolderFiles for Files {
    fn rules_file(&self, folder: Option<&RepoPath>, name: &str) -> Result<Option<Vec<u8>>, RulesError> {
        assert_eq!(name, ".ditsattributes");
        let folder = folder.map(ToString::to_string).unwrap_or_default();
        Ok(self.0.get(&folder).map(|text| text.clone().into_bytes()))
    }
}

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text.as_bytes()).unwrap()
}

fn of(content: &str, name: &str) -> Attributes {
    let rules = AttributeRules::new(None).unwrap().enter(None, Some(content.as_bytes())).unwrap();
    rules.attributes_of(&path(name))
}

fn refusal(content: &str) -> String {
    AttributeRules::new(None).unwrap().enter(None, Some(content.as_bytes())).unwrap_err().to_string()
}

#[test]
fn the_last_line_decides_for_each_attribute() {
    let found = of("*.mov a b=1 -c\nx.* !a b=2\n# x.mov a\n", "d/x.mov");
    let all: Vec<_> = found.iter().collect();
    assert_eq!(all, [("b", &State::Value("2".into())), ("c", &State::Unset)]);
    assert_eq!(of("a/ x\n", "a").iter().count(), 0, "a pattern for folders matches no file");
}

#[test]
fn deeper_files_and_info_win() {
    let info: (&Path, &[u8]) = (Path::new("info/attributes"), b"*.x top=info\n[attr]m from=info\n");
    let rules = AttributeRules::new(Some(info)).unwrap();
    let top = rules.enter(None, Some(b"*.x top=1 deep=1 m\n[attr]m from=top\n")).unwrap();
    let deep = top.enter(Some(&path("d")), Some(b"/a.x deep=2\n")).unwrap();
    let found = deep.attributes_of(&path("d/a.x"));
    let value = |name: &str| found.get(name).cloned();
    assert_eq!(value("top"), Some(State::Value("info".into())));
    assert_eq!(value("deep"), Some(State::Value("2".into())));
    assert_eq!(value("from"), Some(State::Value("info".into())), "macros of info/attributes win too");
}

#[test]
fn macros_are_spelled_out_where_they_are_set() {
    let found = of("[attr]media binary lockable\n*.mov media\n*.mov -lockable\n", "a.mov");
    assert_eq!(found.lockable(), Ok(Some(false)));
    assert_eq!(found.binary(), Some(true));
    assert_eq!(found.diff(), Some(&State::Unset));
    assert_eq!(of("* binary diff\n", "a").diff(), Some(&State::Set));
    assert_eq!(of("[attr]a b\n[attr]b a\n* a\n", "f").iter().count(), 2, "macros that name each other end");
}

#[test]
fn a_long_chain_of_macros_does_not_use_up_the_stack() {
    let mut content: String = (0..20_000).map(|i| format!("[attr]m{i} m{}\n", i + 1)).collect();
    content.push_str("* m0\n");
    assert_eq!(of(&content, "f").iter().count(), 20_001);
}

#[test]
fn quoted_patterns_hold_spaces_and_escapes() {
    assert_eq!(of("\"a b\\t\\303\\274\\\"\" x\n", "a b\t\u{fc}\"").iter().count(), 1);
    assert!(refusal("\"open x\n").contains("quoted"));
    assert!(refusal("\"a\"x y\n").contains("quoted"));
}

#[test]
fn mistakes_name_file_and_line() {
    for (content, part) in [
        ("a b\n!x y\n", "line 2: a pattern cannot be negated"),
        ("x a/b\n", "line 1: `a/b` is not the name"),
        ("x --a\n", "line 1"),
        ("[attr]\n", "needs the name"),
    ] {
        let text = refusal(content);
        assert!(text.starts_with(".ditsattributes line") && text.contains(part), "{text}");
    }
    let rules = AttributeRules::new(None).unwrap();
    let deep = rules.enter(Some(&path("a/b")), Some(b"[attr]x y\n")).unwrap_err().to_string();
    assert!(deep.starts_with("a/b/.ditsattributes line 1: macros"), "{deep}");
}

#[test]
fn what_dits_acts_on_is_checked() {
    let content = "a preset=16K/64K/256K compression=19 lock=exclusive release=push\nb preset=video compression=off\n\
                   c -compression lockable=false text\nd preset=huge compression=23 lockable=maybe\n";
    let a = of(content, "a");
    assert_eq!(a.preset(), Ok(Some(Chunking::Sizes { min: 16 << 10, avg: 64 << 10, max: 256 << 10 })));
    assert_eq!(a.compression(), Ok(Some(Compression::Level(19))));
    assert_eq!((a.lock(), a.release()), (Some("exclusive"), Some("push")));
    let b = of(content, "b");
    assert_eq!((b.preset(), b.compression()), (Ok(Some(Chunking::Video)), Ok(Some(Compression::Off))));
    let c = of(content, "c");
    assert_eq!((c.compression(), c.lockable()), (Ok(Some(Compression::Off)), Ok(Some(false))));
    assert_eq!((c.text(), c.binary()), (Some(true), Some(false)));
    let d = of(content, "d");
    assert!(d.preset().unwrap_err().to_string().contains("16K/64K/256K"));
    assert!(d.compression().unwrap_err().to_string().contains("0 to 22"));
    assert!(d.lockable().is_err());
    for bad in ["", "1K/2K", "1K/2K/3K/4K", "1K/x/3K", "9G/9G/9G", "/"] {
        assert_eq!(Chunking::parse(bad), None, "{bad}");
    }
}

fn line_strategy() -> impl Strategy<Value = String> {
    let pattern = proptest::sample::select(vec![
        "*", "*.mov", "a", "/a", "b/*", "b/**", "**/a.mov", "b/c/", "c/a", "[ab]", "\"a\"", "b/**/a", "?.mov",
    ]);
    let attribute = proptest::sample::select(vec![
        "x",
        "-x",
        "!x",
        "x=1",
        "y",
        "-y",
        "!y",
        "y=2=3",
        "binary",
        "-binary",
        "!binary",
        "diff",
        "m",
        "!m",
        "-m",
        "n",
        "text=auto",
    ]);
    (pattern, proptest::collection::vec(attribute, 1..5)).prop_map(|(p, list)| format!("{p} {}", list.join("  ")))
}

#[test]
fn random_attributes_mean_what_they_mean_to_git() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::deterministic();
    let content = proptest::collection::vec(line_strategy(), 1..6).prop_map(|lines| lines.join("\n") + "\n");
    let mut files = HashMap::from([(String::new(), "[attr]m x=macro n -z\n[attr]n y -x\n".to_owned())]);
    let mut paths = Vec::new();
    for case in 0..150 {
        for folder in [format!("case{case}"), format!("case{case}/b")] {
            files.insert(folder, content.new_tree(&mut runner).unwrap().current());
        }
        for name in ["a", "b/a", "b/c", "b/c/a", "b/c/a.mov", "a.mov", "c/a", "b/a.mov"] {
            paths.push(format!("case{case}/{name}"));
        }
    }
    for (folder, text) in &files {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
        fs::write(dir.path().join(folder).join(".gitattributes"), text).unwrap();
    }
    let input: Vec<u8> = paths.iter().flat_map(|path| [path.as_bytes(), b"\0"].concat()).collect();
    let Some(answer) = ask_git(dir.path(), &["check-attr", "--stdin", "-z", "-a"], input) else { return };
    let mut theirs: Vec<Vec<String>> =
        answer.chunks(3).map(|f| f.iter().map(|b| String::from_utf8(b.clone()).unwrap()).collect()).collect();
    let lookup = AttributeLookup::new(Files(files), AttributeRules::new(None).unwrap());
    let mut ours = Vec::new();
    for name in &paths {
        for (attribute, state) in lookup.attributes_of(&path(name)).unwrap().iter() {
            let state = match state {
                State::Set => "set",
                State::Unset => "unset",
                State::Value(text) => text,
            };
            ours.push(vec![name.clone(), attribute.to_owned(), state.to_owned()]);
        }
    }
    theirs.sort();
    ours.sort();
    assert!(ours.len() > paths.len());
    assert_eq!(ours, theirs);
}
