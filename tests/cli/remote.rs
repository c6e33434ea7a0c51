//! `dits remote`: names for other repositories, and what goes with them.

use dits_core::object::CommitId;
use dits_core::refs::{Expected, LogLine, RefEdit, RefName, RefStore, Target};
use dits_core::repo::{Environment, Repository};
use dits_core::signature::Signature;
use dits_testkit::{Finished, Sandbox};

use crate::inspect::json;

pub(crate) fn repository() -> Sandbox {
    let sandbox = Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"));
    commit(&sandbox, "one");
    sandbox
}

pub(crate) fn commit(sandbox: &Sandbox, text: &str) {
    sandbox.write("a", text);
    sandbox.dits(["add", "-A"]).ok();
    sandbox.dits(["commit", "-q", "-m", text]).ok();
}

#[track_caller]
pub(crate) fn run(sandbox: &Sandbox, line: &str) -> Finished {
    sandbox.dits(line.split(' '))
}

/// What a fetch would have left: a ref of a remote.
pub(crate) fn seen(sandbox: &Sandbox, name: &str, revision: &str) {
    let root = sandbox.path("").canonicalize().unwrap();
    let repo = Repository::discover(&root, &Environment::default()).unwrap();
    let id: CommitId = repo.resolve_commit(revision).unwrap();
    let name = RefName::parse(name).unwrap();
    let who = Signature { name: "f".into(), email: "f@x".into(), time: 0, offset: 0 };
    let log = LogLine { old: None, new: Some(*id.digest()), who, message: "fetch".into() };
    let edit = RefEdit::set(name, Expected::Any, Target::Id(*id.digest())).with_log(log);
    repo.refs().transaction(vec![edit]).unwrap();
}

fn config(sandbox: &Sandbox) -> String {
    String::from_utf8(sandbox.read(".dits/config")).unwrap()
}

#[test]
fn remotes_are_added_listed_and_changed() {
    let s = repository();
    assert_eq!(run(&s, "remote").ok().out(), "");
    run(&s, "remote add origin dits://studio.example/film").ok();
    run(&s, "remote add backup ../backup -t main -t cut/two").ok();
    assert_eq!(run(&s, "remote").ok().out(), "backup\norigin\n");
    run(&s, "remote set-url --push origin ssh://ada@studio.example/film").ok();
    insta::assert_snapshot!(run(&s, "remote -v").ok().out(), @r"
    backup	../backup (fetch)
    backup	../backup (push)
    origin	dits://studio.example/film (fetch)
    origin	ssh://ada@studio.example/film (push)
    ");
    run(&s, "remote set-url backup /mnt/backup").ok();
    assert_eq!(run(&s, "remote get-url backup").ok().out(), "/mnt/backup\n");
    assert_eq!(run(&s, "remote get-url --push origin").ok().out(), "ssh://ada@studio.example/film\n");
    let listed = json(run(&s, "remote --json").ok());
    assert_eq!(listed["remotes"][0]["fetch"][1], "+refs/branches/cut/two:refs/remotes/backup/cut/two");
    assert_eq!(listed["remotes"][1]["fetch"][0], "+refs/branches/*:refs/remotes/origin/*");
    assert_eq!(listed["remotes"][1]["push_url"], "ssh://ada@studio.example/film");
    run(&s, "remote add origin /x").exits(2).warns("remote origin already exists.");
    run(&s, "remote get-url nowhere").exits(1).warns("there is no remote `nowhere`").warns("dits remote add NAME URL");
    for bad in ["a/b", "..", "x:y"] {
        run(&s, &format!("remote add {bad} /x")).exits(2).warns("cannot be the name of a remote");
    }
    for bad in ["http://x/y", "ssh://-oProxyCommand=x/film", "dits://me:secret@host/film"] {
        let refused = run(&s, &format!("remote add other {bad}")).exits(2).warns("is not the address of a repository");
        assert!(!refused.err().contains("secret"));
    }
    assert_eq!(run(&s, "remote").ok().out(), "backup\norigin\n");
}

#[test]
fn a_remote_is_renamed_with_all_that_goes_with_it() {
    let s = repository();
    run(&s, "remote add origin /x").ok();
    seen(&s, "refs/remotes/origin/main", "main");
    seen(&s, "refs/remotes/origin/cut/two", "main");
    run(&s, "remote set-head origin main").ok();
    run(&s, "branch -u origin/main").ok();
    run(&s, "remote rename origin stu.dio").ok();
    assert_eq!(run(&s, "branch -r").ok().out(), "  stu.dio/HEAD -> stu.dio/main\n  stu.dio/cut/two\n  stu.dio/main\n");
    run(&s, "reflog stu.dio/main")
        .ok()
        .says("remote: renamed refs/remotes/origin/main to refs/remotes/stu.dio/main")
        .says("stu.dio/main@{1}: fetch");
    let settings = "[remote.\"stu.dio\"]\nurl = \"/x\"\nfetch = [\"+refs/branches/*:refs/remotes/stu.dio/*\"]\n\n\
                    [branch.main]\nremote = \"stu.dio\"\nmerge = \"refs/branches/main\"\n";
    assert!(config(&s).contains(settings), "{}", config(&s));
    run(&s, "status -sb").ok().says("## main...stu.dio/main\n");
    run(&s, "remote add other /y").ok();
    run(&s, "remote rename other stu.dio").exits(2).warns("remote stu.dio already exists.");
    run(&s, "remote rename nowhere x").exits(1);
}

#[test]
fn a_remote_is_removed_with_all_that_goes_with_it() {
    let s = repository();
    for name in ["origin", "other"] {
        run(&s, &format!("remote add {name} /{name}")).ok();
        seen(&s, &format!("refs/remotes/{name}/main"), "main");
    }
    run(&s, "branch -q --track side origin/main").ok();
    run(&s, "branch -q --track kept other/main").ok();
    run(&s, "config branch.side.description mine").ok();
    run(&s, "remote remove origin").ok();
    assert_eq!(run(&s, "branch -r").ok().out(), "  other/main\n");
    assert_eq!(run(&s, "config branch.side.description").ok().out(), "mine\n");
    run(&s, "rev-parse side@{u}").exits(2).warns("`side` follows no branch");
    run(&s, "rev-parse kept@{u}").ok();
    run(&s, "remote rm origin").exits(1);
    run(&s, "config --global remote.everywhere.url /z").ok();
    run(&s, "remote remove everywhere").exits(2).warns("not set up in this repository's own settings");
}

#[test]
fn tokens_are_never_shown() {
    let s = repository();
    run(&s, "remote add origin dits://h/x").ok();
    run(&s, "config remote.origin.token s3cret").ok();
    for line in
        ["config remote.origin.token", "config list", "config --get-all remote.origin.token", "config list --json"]
    {
        let shown = run(&s, line).ok().out();
        assert!(!shown.contains("s3cret") && shown.contains("(not shown)"), "{shown}");
    }
    assert!(!run(&s, "remote -v").ok().out().contains("s3cret"));
}

#[test]
fn a_login_is_kept_where_only_the_user_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let s = repository();
    s.write("token", "s3cret\n");
    let url = "dits://studio.example/film";
    run(&s, &format!("login {url} --token-file token")).ok().warns(&format!("The token for {url} is kept in "));
    let file = s.home().join(".config/dits/credentials");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&file).unwrap().contains("s3cret"));
    run(&s, &format!("remote add origin {url}")).ok();
    let shown = json(run(&s, "login origin --token-file token --json").ok());
    assert_eq!(shown["url"], url);
    s.write("bad", "two words");
    run(&s, "login origin --token-file bad").exits(2).warns("is not a token");
    run(&s, "logout origin").ok().warns("is forgotten");
    run(&s, "logout origin").exits(1).warns("no token is kept for");
    run(&s, "login nowhere --token-file token").exits(1).warns("there is no remote `nowhere`");
}

#[test]
fn the_names_and_addresses_are_gits() {
    let s = repository();
    let git = |line: &str| {
        let mut command = s.command("git");
        command.args(line.split(' ')).current_dir(s.beside("git"));
        s.run(command)
    };
    std::fs::create_dir(s.beside("git")).unwrap();
    git("init -q -b main").ok();
    for line in [
        "remote add b ssh://h/b",
        "remote add a ../a",
        "remote set-url --push a ssh://h/a",
        "remote rename a c",
        "remote rename b d",
        "remote set-url d /d",
        "remote remove c",
        "remote add c /c",
    ] {
        git(line).ok();
        run(&s, line).ok();
        for shown in ["remote", "remote -v"] {
            assert_eq!(run(&s, shown).ok().out(), git(shown).ok().out(), "after {line}");
        }
        let mine = run(&s, "remote get-url --push d").out();
        assert_eq!(mine, git("remote get-url --push d").out());
    }
}
