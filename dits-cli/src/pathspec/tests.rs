use super::*;

fn specs(prefix: &str, given: &[&str]) -> Result<Pathspecs, CliError> {
    let place = Place { root: "/repo".into(), prefix: prefix.as_bytes().to_vec() };
    Pathspecs::parse(&given.iter().map(OsString::from).collect::<Vec<_>>(), &place)
}

/// Which of some files are selected.
fn selected(prefix: &str, given: &[&str]) -> String {
    const FILES: [&str; 8] =
        ["a.mp4", "a.wav", "shots/a.mp4", "shots/b/c.MP4", "shots/b/d.mp4", "shots2/x", "we[i]rd/x", "weird/x"];
    let specs = specs(prefix, given).unwrap();
    let path = |file: &&&str| RepoPath::parse(file.as_bytes()).unwrap();
    FILES.iter().filter(|file| specs.matches(&path(file), false)).copied().collect::<Vec<_>>().join(" ")
}

#[test]
fn names_select_themselves_and_what_is_below() {
    assert_eq!(selected("", &["shots"]), "shots/a.mp4 shots/b/c.MP4 shots/b/d.mp4");
    assert_eq!(selected("", &["shots/"]), "shots/a.mp4 shots/b/c.MP4 shots/b/d.mp4");
    assert_eq!(selected("", &["a.mp4/"]), "");
    assert_eq!(selected("shots", &["b", "../a.wav"]), "a.wav shots/b/c.MP4 shots/b/d.mp4");
    assert_eq!(selected("shots/b", &["."]), "shots/b/c.MP4 shots/b/d.mp4");
    assert_eq!(selected("shots", &["/repo/shots2/x"]), "shots2/x");
    assert!(specs("shots", &[":/"]).unwrap().is_all() && specs("", &[]).unwrap().is_all());
    assert!(!specs("shots", &["."]).unwrap().is_all());
}

#[test]
fn patterns_cross_folders_unless_told_not_to() {
    assert_eq!(selected("", &["*.mp4"]), "a.mp4 shots/a.mp4 shots/b/d.mp4");
    assert_eq!(selected("", &[":(glob)*.mp4"]), "a.mp4");
    assert_eq!(selected("", &[":(glob)shots/**/*.mp4"]), "shots/a.mp4 shots/b/d.mp4");
    assert_eq!(selected("shots", &["*.mp4"]), "shots/a.mp4 shots/b/d.mp4");
    assert_eq!(selected("shots", &[":/*.mp4"]), "a.mp4 shots/a.mp4 shots/b/d.mp4");
    assert_eq!(selected("", &[":(icase)SHOTS/B/*.mp4"]), "shots/b/c.MP4 shots/b/d.mp4");
    assert_eq!(selected("", &[":(literal)we[i]rd"]), "we[i]rd/x");
    assert_eq!(selected("", &["we[i]rd/x"]), "weird/x");
    // The folder the user is in is never a pattern.
    assert_eq!(selected("we[i]rd", &["*"]), "we[i]rd/x");
}

#[test]
fn exclusions_take_away() {
    assert_eq!(selected("", &["shots", ":!shots/b"]), "shots/a.mp4");
    assert_eq!(selected("", &[":(exclude)*.mp4", ":^we*", ":!*.MP4"]), "a.wav shots2/x");
}

#[test]
fn a_walk_knows_what_to_leave_out() {
    let below = |given: &[&str], folder: &str| {
        specs("", given).unwrap().may_match_below(&RepoPath::parse(folder.as_bytes()).unwrap())
    };
    assert!(below(&["shots/b/c"], "shots"));
    assert!(below(&["shots/b"], "shots/b/x"));
    assert!(!below(&["shots/b"], "shots2"));
    assert!(!below(&["shots/b"], "shots/bc"));
    assert!(!below(&["shots/b"], "sho"));
    assert!(below(&["*.mp4"], "anything"));
    assert!(below(&["shots/x*"], "shots/xy"));
    assert!(!below(&["shots/x*"], "other"));
    assert!(!below(&["shots", ":!shots/b"], "shots/b/deep"));
    assert!(below(&[":!*.wav"], "shots"));
}

#[test]
fn what_matches_nothing_is_known() {
    let specs = specs("", &["a.mp4", "nothing*", "."]).unwrap();
    assert!(specs.matches(&RepoPath::parse(b"a.mp4").unwrap(), false));
    assert_eq!(specs.unused(), ["nothing*"]);
    assert!(specs.check_all_used().unwrap_err().message.contains("nothing*"));
}

#[test]
fn refuses_what_is_not_in_the_repository() {
    for (prefix, given) in [("", ".."), ("a", "../../b"), ("", "/etc/passwd"), ("", "/repository/x")] {
        assert!(specs(prefix, &[given]).unwrap_err().message.contains("outside"), "{given}");
    }
    for given in [".dits/config", "a/.GIT/x", ":(wrong)a", ":(top", ":(glob,literal)a"] {
        assert!(specs("", &[given]).is_err(), "{given}");
    }
}

#[test]
fn names_for_commands_without_patterns() {
    assert_eq!(specs("a", &["b", "../c"]).unwrap().names().unwrap().len(), 2);
    assert!(specs("", &["*"]).unwrap().names().is_err());
    assert!(specs("", &["."]).unwrap().names().is_err());
}
