use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn config(files: &[(Layer, &Path)]) -> Config {
    let mut config = Config::new();
    files.iter().for_each(|(layer, path)| config.add_file(*layer, path).unwrap());
    config
}

#[test]
fn later_layers_win_whatever_order_they_come_in_and_remember_their_origin() {
    let dir = tempfile::tempdir().unwrap();
    let (user, repo) = (dir.path().join("user"), dir.path().join("repo"));
    fs::write(&user, "core.compression = 3\n[user]\nname = 'U'\n").unwrap();
    fs::write(&repo, "[core]\ncompression = 5\n").unwrap();
    let mut config = config(&[(Layer::Repository, &repo), (Layer::User, &user)]);
    assert_eq!(config.get_int("core.compression").unwrap(), Some(5));
    assert_eq!(config.get_str("user.name").unwrap().as_deref(), Some("U"));
    config.add_override("CORE.Compression=0").unwrap();
    let found: Vec<String> = config.get_all("core.compression").map(|s| format!("{} {}", s.origin, s.value)).collect();
    let expected = ["command line 0".to_owned(), format!("{} 5", repo.display()), format!("{} 3", user.display())];
    assert_eq!(found[..3], expected);
    assert_eq!(found[3], "default 1");
    config.add_override("core.portable").unwrap();
    assert_eq!(config.get_bool("core.portable").unwrap(), Some(true));
    assert!(matches!(config.add_override("nothing"), Err(ConfigError::BadOverride(_))));
}

#[test]
fn every_default_is_allowed_and_keys_are_sorted() {
    for key in KEYS {
        assert!(key.default.is_none_or(|default| key.kind.accepts(&text(default))), "{}", key.name);
        assert!(key.doc.ends_with('.') && !key.doc.contains('|'), "{}", key.name);
    }
    assert!(KEYS.is_sorted_by_key(|key| key.name));
}

#[test]
fn the_documentation_holds_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md");
    let table = reference();
    assert!(fs::read_to_string(path).unwrap().contains(&table), "docs/config.md must contain:\n{table}");
}

#[test]
fn set_keeps_comments_and_layout() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    let before = "# mine\n[core] # section\ncompression = 3   # fast\n\n# me\n[user]\nname = \"A\" # who\n";
    fs::write(&path, before).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    set(Layer::User, &path, "core.compression", &text("9")).unwrap();
    set(Layer::User, &path, "USER.name", &text("B \"b\"\n")).unwrap();
    set(Layer::User, &path, "user.email", &text("b@example.org")).unwrap();
    let after = fs::read_to_string(&path).unwrap();
    assert!(
        after.starts_with("# mine\n[core] # section\ncompression = 9   # fast\n\n# me\n[user]\nname = "),
        "{after}"
    );
    assert!(after.contains(" # who\n") && after.contains("email = \"b@example.org\""), "{after}");
    assert_eq!(config(&[(Layer::User, &path)]).get_str("user.name").unwrap().as_deref(), Some("B \"b\"\n"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn sections_in_sections_are_found_however_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/er/config");
    set(Layer::Repository, &path, "branch.feature/x.1.remote", &text("origin")).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "[branch.\"feature/x.1\"]\nremote = \"origin\"\n");
    fs::write(&path, "[branch.feature.x]\nremote = 'a'\nbranch = { remote = 'c' }\n").unwrap();
    let read = config(&[(Layer::Repository, &path)]);
    assert_eq!(read.get_str("branch.feature.x.remote").unwrap().as_deref(), Some("a"));
    assert_eq!(read.get_str("branch.feature.x.branch.remote").unwrap().as_deref(), Some("c"));
    assert!(read.get("branch.Feature.x.remote").is_none());
    set(Layer::Repository, &path, "branch.feature.x.remote", &text("b")).unwrap();
    let after = fs::read_to_string(&path).unwrap();
    assert!(after.starts_with("[branch.feature.x]\nremote = \"b\"\nbranch = {"), "{after}");
}

#[test]
fn a_value_in_the_way_of_a_section_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    fs::write(&path, "user = 'me'\n").unwrap();
    let error = set(Layer::User, &path, "user.name", &text("x")).unwrap_err();
    assert!(matches!(&error, ConfigError::InTheWay { other, .. } if other == "user"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "user = 'me'\n");
}

#[test]
fn unset_removes_the_key_and_its_empty_section() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    assert!(!unset(&path, "a.b").unwrap());
    assert!(!path.exists());
    fs::write(&path, "[a]\nb = 1\n# keep\n[c]\nd = 1\ne = 2\n").unwrap();
    assert!(unset(&path, "A.B").unwrap());
    assert!(unset(&path, "c.d").unwrap());
    assert!(!unset(&path, "c.x").unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), "# keep\n[c]\ne = 2\n");
}

#[test]
fn several_changes_are_made_together() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    let before = "# ours\n[remote.origin] # the server\nurl = \"x\"\n\n[branch.main]\nremote = \"origin\"\n";
    fs::write(&path, before).unwrap();
    let rename = Edit::RenameSection("remote.origin".into(), "remote.up.stream".into());
    let set = Edit::Set("branch.main.remote".into(), text("up.stream"));
    update(Layer::Repository, &path, &[rename.clone(), set]).unwrap();
    let after = fs::read_to_string(&path).unwrap();
    assert_eq!(
        after,
        "# ours\n[remote.\"up.stream\"] # the server\nurl = \"x\"\n\n[branch.main]\nremote = \"up.stream\"\n"
    );
    update(Layer::Repository, &path, &[rename]).unwrap();
    let bad = Edit::Set("core.compression".into(), text("x"));
    assert!(update(Layer::Repository, &path, &[Edit::RemoveSection("branch.main".into()), bad]).is_err());
    let into = Edit::RenameSection("branch.main".into(), "remote.up.stream".into());
    assert!(matches!(update(Layer::Repository, &path, &[into]), Err(ConfigError::InTheWay { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), after, "all or nothing");
    let gone = [Edit::RemoveSection("REMOTE.up.stream".into()), Edit::Unset("branch.main.remote".into())];
    update(Layer::Repository, &path, &gone).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
}

#[test]
fn keys_with_a_name_in_the_middle_are_known() {
    let name = |key| known(key).map(|known| known.name);
    assert_eq!(name("remote.a.b.URL"), Some("remote.*.url"));
    assert_eq!(name("Branch.x.merge"), Some("branch.*.merge"));
    assert_eq!(name("remote.url"), None);
    assert_eq!(name("alias.x"), Some("alias.*"));
    assert_eq!(name("alias.x.y"), None);
}

#[test]
fn bad_values_name_file_key_value_and_what_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    fs::write(&path, "[core]\ncompression = 23\nportable = 'maybe'\npackSize = '4X'\n[gc]\npruneExpire = ['x']\n")
        .unwrap();
    let config = config(&[(Layer::User, &path)]);
    let error = config.get_int("core.compression").unwrap_err();
    let expected = format!("{}: core.compression cannot be `23`: use a whole number from 0 to 22", path.display());
    assert_eq!(error.to_string(), expected);
    assert!(!error.is_corruption(), "a wrong value is not a damaged file");
    assert!(config.get_bool("core.portable").is_err());
    assert!(config.get_size("core.packSize").is_err());
    assert!(config.get_duration("gc.pruneExpire").is_err());
    assert!(matches!(set(Layer::User, &path, "core.compression", &text("x")), Err(ConfigError::BadValue { .. })));
    assert!(matches!(set(Layer::User, &path, "compression", &text("x")), Err(ConfigError::BadKey(_))));
}

#[test]
fn files_that_are_not_toml_or_not_utf8_are_named_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    for bad in [&b"[core\nx = 1\n"[..], b"x = 1\nx = 2\n", b"a = '\xff'\n", &b"a=".repeat(3)] {
        fs::write(&path, bad).unwrap();
        let error = Config::new().add_file(Layer::User, &path).unwrap_err();
        assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
        assert!(set(Layer::User, &path, "a.b", &text("1")).is_err());
        assert_eq!(fs::read(&path).unwrap(), bad);
    }
    fs::write(&path, "a=".to_owned() + &"[".repeat(100_000)).unwrap();
    assert!(matches!(Config::new().add_file(Layer::User, &path), Err(ConfigError::Syntax { .. })));
}

#[test]
fn unknown_keys_keep_their_type() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    for (value, stored) in [("7", "7"), ("007", "\"007\""), ("true", "true"), ("a b", "\"a b\"")] {
        set(Layer::User, &path, "my.key", &text(value)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("[my]\nkey = {stored}\n"));
        assert_eq!(config(&[(Layer::User, &path)]).get_str("my.key").unwrap().as_deref(), Some(value));
    }
    set(Layer::User, &path, "my.list", &Value::List(vec![text("a"), text("b")])).unwrap();
    assert_eq!(config(&[(Layer::User, &path)]).get_list("my.list").unwrap().unwrap(), ["a", "b"]);
    assert!(config(&[(Layer::User, &path)]).get_str("my.list").is_err());
}

#[test]
fn a_section_lists_what_is_in_force() {
    let mut config = Config::new();
    for argument in ["alias.st=status", "alias.ST=status -s", "alias.ci=commit", "aliases.x=y"] {
        config.add_override(argument).unwrap();
    }
    let mut found: Vec<String> =
        config.section("alias").iter().map(|(name, s)| format!("{name}={}", s.value)).collect();
    found.sort();
    assert_eq!(found, ["ST=status -s", "ci=commit"]);
}

#[test]
fn a_link_to_a_config_file_stays_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let (target, link) = (dir.path().join("dotfile"), dir.path().join("config"));
    fs::write(&target, "").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    set(Layer::User, &link, "user.name", &text("x")).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap(), "[user]\nname = \"x\"\n");
}

#[test]
fn writers_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || {
                for i in 0..5 {
                    set(Layer::User, path, &format!("w{writer}.k{i}"), &text("1")).unwrap();
                }
            });
        }
    });
    assert_eq!(config(&[(Layer::User, &path)]).list().filter(|s| s.origin.layer == Layer::User).count(), 20);
}

#[test]
fn sizes_times_and_booleans_are_read() {
    for (text, size) in
        [("0", 0), ("16K", 16 << 10), ("16KiB", 16 << 10), ("4 M", 4 << 20), ("1gb", 1 << 30), ("2T", 2 << 40)]
    {
        assert_eq!(parse_size(text), Some(size), "{text}");
    }
    for bad in ["", "K", "-1", "1.5M", "16P", "99999999999999999999", "17000000T"] {
        assert_eq!(parse_size(bad), None, "{bad}");
    }
    for (text, seconds) in [("now", 0), ("90s", 90), ("15m", 900), ("2h", 7200), ("14d", 1_209_600), ("2w", 1_209_600)]
    {
        assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
    }
    assert_eq!(parse_duration("never"), Some(Duration::MAX));
    assert_eq!((parse_duration("3"), parse_duration("3y")), (None, None));
    assert_eq!((parse_bool("ON"), parse_bool("no"), parse_bool("2")), (Some(true), Some(false), None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_set_is_read_back(between in "[^\n\0]{0,12}", value in "\\PC{0,30}[\u{0}-\u{1f}]{0,2}") {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        let key = if between.is_empty() { "a.b".to_owned() } else { format!("a.{between}.b") };
        set(Layer::User, &path, &key, &text(&value)).unwrap();
        set(Layer::User, &path, "other.key", &text("x")).unwrap();
        prop_assert_eq!(config(&[(Layer::User, &path)]).get_str(&key).unwrap(), Some(value));
        prop_assert!(unset(&path, &key).unwrap());
        let left = fs::read_to_string(&path).unwrap();
        prop_assert_eq!(left.trim_start(), "[other]\nkey = \"x\"\n");
    }

    #[test]
    fn no_file_makes_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = text::parse(Path::new("x"), bytes).map(|document| text::flatten(&document));
    }
}
