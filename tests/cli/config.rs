//! `dits config`

use std::fs;

use dits_testkit::Sandbox;

use crate::inspect::json;

fn sandbox() -> Sandbox {
    Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"))
}

#[test]
fn settings_are_shown_set_and_removed() {
    let sandbox = sandbox();
    sandbox.dits(["config", "user.name", "Ada"]).ok();
    sandbox.dits(["config", "--global", "user.email", "ada@example.org"]).ok();
    assert_eq!(sandbox.dits(["config", "user.name"]).ok().out(), "Ada\n");
    assert_eq!(sandbox.dits(["config", "get", "USER.email"]).ok().out(), "ada@example.org\n");
    assert_eq!(sandbox.dits(["config", "--get", "core.compression"]).ok().out(), "1\n");
    let list = sandbox.dits(["config", "list", "--show-origin"]).ok().out();
    assert!(list.contains("home/.config/dits/config.toml\tuser.email=ada@example.org\n"), "{list}");
    assert!(list.contains("work/.dits/config\tuser.name=Ada\n"), "{list}");
    assert_eq!(sandbox.dits(["config", "-l", "--local"]).ok().out(), "user.name=Ada\n");
    sandbox.dits(["config", "set", "--worktree", "user.name", "Eve"]).ok();
    assert_eq!(sandbox.dits(["config", "--get-all", "user.name"]).ok().out(), "Ada\nEve\n");
    let all = json(sandbox.dits(["config", "list", "--json"]));
    assert_eq!(all["settings"][2]["scope"], "worktree");
    sandbox.dits(["config", "--unset", "user.name"]).ok();
    sandbox.dits(["config", "unset", "user.name"]).exits(1);
    sandbox.dits(["config", "no.such"]).exits(1);
}

#[test]
fn values_and_keys_are_checked() {
    let sandbox = sandbox();
    sandbox.dits(["config", "core.compression", "23"]).exits(2).warns("use a whole number from 0 to 22");
    sandbox.dits(["config", "name", "x"]).exits(2).warns("write `section.name`");
    sandbox.dits(["config", "set", "user.name"]).exits(2).warns("a key and a value");
    sandbox.dits(["config", "team.room", "4"]).ok().warns("dits knows no setting `team.room`");
    let bare = Sandbox::new(env!("CARGO_BIN_EXE_dits"));
    bare.dits(["config", "user.name", "Ada"]).exits(2).warns("with --global");
    bare.dits(["config", "core.compression"]).ok().says("1");
}

#[test]
fn a_file_that_is_no_toml_is_named_and_can_be_repaired() {
    let sandbox = sandbox();
    let file = sandbox.path(".dits/config");
    for bytes in [&b"[core]\ncompression = 3\n[broken\n"[..], b"a = \"\xff\"\n"] {
        fs::write(&file, bytes).unwrap();
        for command in [&["status"][..], &["config", "user.name"], &["config", "user.name", "x"], &["fsck"]] {
            let done = sandbox.dits(command).exits(6).warns(".dits/config").warns("dits config edit");
            assert_eq!(done.out(), "");
        }
        assert_eq!(fs::read(&file).unwrap(), bytes, "nothing was changed");
        let mut edit = sandbox.dits_command(["config", "edit"]);
        edit.env("DITS_EDITOR", "printf '[core]\\ncompression = 3\\n' >");
        sandbox.run(edit).ok();
        assert_eq!(sandbox.dits(["config", "core.compression"]).ok().out(), "3\n");
    }
    // One's own file, which is read before anything else.
    fs::create_dir_all(sandbox.home().join(".config/dits")).unwrap();
    fs::write(sandbox.home().join(".config/dits/config.toml"), "[x\n").unwrap();
    sandbox.dits(["version"]).exits(6).warns("line 1");
    sandbox.dits(["config", "--local", "user.name", "Ada"]).ok();
    let mut edit = sandbox.dits_command(["config", "--global", "edit"]);
    edit.env("DITS_EDITOR", "printf '' >");
    sandbox.run(edit).ok();
    sandbox.dits(["version"]).ok();
}
