//! `log`, `show`, `diff` and `inspect` as users see them.

use std::fs;

use dits_core::progress::Silent;
use dits_core::refs::{Expected, RefEdit, RefName, RefStore, Target};
use dits_core::repo::{Environment, Repository};
use dits_core::signature::Signature;
use dits_core::worktree::Destination;
use dits_testkit::{Sandbox, edit, media, random};
use serde_json::Value;

fn repository() -> Sandbox {
    Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"))
}

#[track_caller]
fn out(sandbox: &Sandbox, args: &[&str]) -> String {
    sandbox.dits(args).ok().out()
}

#[track_caller]
fn json(sandbox: &Sandbox, args: &[&str]) -> Value {
    serde_json::from_str(&out(sandbox, args)).unwrap()
}

/// Commits everything, at that minute.
#[track_caller]
fn commit(sandbox: &Sandbox, message: &str, minute: u32) {
    sandbox.dits(["add", "-A"]).ok();
    run_at(sandbox, &["commit", "-m", message], minute);
}

#[track_caller]
fn run_at(sandbox: &Sandbox, args: &[&str], minute: u32) {
    let date = format!("2026-01-02T03:{minute:02}:00+00:00");
    let mut command = sandbox.dits_command(args);
    command.env("DITS_AUTHOR_DATE", &date).env("DITS_COMMITTER_DATE", &date);
    sandbox.run(command).ok();
}

/// Goes to a branch, which is made at HEAD if need be.
fn switch(sandbox: &Sandbox, name: &str) {
    let repo = Repository::discover(&sandbox.path(""), &Environment { threads: 1, ..Environment::default() }).unwrap();
    let branch = RefName::branch(name).unwrap();
    if repo.refs().resolve(&branch).unwrap().is_none() {
        let target = Target::Id(*repo.head_commit().unwrap().0.digest());
        repo.refs().transaction(vec![RefEdit::set(branch.clone(), Expected::Absent, target)]).unwrap();
    }
    let who = Signature::new("Ada", "ada@example.org", 0, 0).unwrap();
    repo.switch(&Destination::Branch(branch), &who, false, &Silent).unwrap();
}

/// Two lines of history and a merge.
fn project() -> Sandbox {
    let sandbox = repository();
    sandbox.write("a.txt", "one\ntwo\nthree\n");
    sandbox.write("shots/x.bin", random::bytes(1, 400_000));
    commit(&sandbox, "First\n\nWith a body.", 1);
    switch(&sandbox, "cut");
    sandbox.write("b.txt", "b\n");
    commit(&sandbox, "Add b", 2);
    switch(&sandbox, "main");
    sandbox.write("a.txt", "one\n2\nthree\nfour\n");
    commit(&sandbox, "Change a", 3);
    run_at(&sandbox, &["merge", "cut", "-m", "Merge cut"], 4);
    sandbox
}

#[test]
fn log_in_its_forms() {
    let sandbox = project();
    insta::assert_snapshot!(out(&sandbox, &["log", "--format=%s|%cn|%ad|%D", "--date=iso"]), @r"
    Merge cut|Carl Committer|2026-01-02 03:04:00 +0000|HEAD -> main
    Change a|Carl Committer|2026-01-02 03:03:00 +0000|
    Add b|Carl Committer|2026-01-02 03:02:00 +0000|cut
    First|Carl Committer|2026-01-02 03:01:00 +0000|
    ");
    let ids: Vec<String> = out(&sandbox, &["log", "--format=%H"]).lines().map(str::to_owned).collect();
    let hide = |text: String| {
        ids.iter()
            .enumerate()
            .fold(text, |text, (n, id)| text.replace(id, &format!("<{n}>")).replace(&id[..7], &format!("<{n}>")))
    };
    insta::assert_snapshot!(hide(out(&sandbox, &["log", "--decorate", "-1"])), @r"
    commit <0> (HEAD -> main)
    Merge: <1> <2>
    Author: Carl Committer <carl@example.org>
    Date:   Fri Jan 2 03:04:00 2026 +0000

        Merge cut
    ");
    insta::assert_snapshot!(hide(out(&sandbox, &["log", "--oneline", "--graph", "--name-status", "--decorate"])), @r"
    *   <0> (HEAD -> main) Merge cut
    |\
    | * <2> (cut) Add b
    | | A	b.txt
    * | <1> Change a
    |/  M	a.txt
    * <3> First
      A	a.txt
      A	shots/x.bin
    ");
    insta::assert_snapshot!(hide(out(&sandbox, &["log", "--graph", "--format=short"])), @r"
    *   commit <0>
    |\  Merge: <1> <2>
    | | Author: Carl Committer <carl@example.org>
    | |
    | |     Merge cut
    | |
    | * commit <2>
    | | Author: Ada Author <ada@example.org>
    | |
    | |     Add b
    | |
    * | commit <1>
    |/  Author: Ada Author <ada@example.org>
    |
    |       Change a
    |
    * commit <3>
      Author: Ada Author <ada@example.org>

          First
    ");
}

#[test]
fn log_selects_commits() {
    let sandbox = project();
    let subjects = |args: &[&str]| {
        let args = [&["log", "--format=%s"], args].concat();
        out(&sandbox, &args).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(subjects(&["-2"]), ["Merge cut", "Change a"]);
    assert_eq!(subjects(&["-n", "1", "--skip", "1"]), ["Change a"]);
    assert_eq!(subjects(&["--reverse", "-n2"]), ["Change a", "Merge cut"]);
    assert_eq!(subjects(&["cut"]), ["Add b", "First"]);
    assert_eq!(subjects(&["cut..main"]), ["Merge cut", "Change a"]);
    assert_eq!(subjects(&["main", "^cut"]), ["Merge cut", "Change a"]);
    assert_eq!(subjects(&["HEAD^...cut"]), ["Change a", "Add b"]);
    assert_eq!(subjects(&["--first-parent"]), ["Merge cut", "Change a", "First"]);
    assert_eq!(subjects(&["--no-merges", "--all"]), ["Change a", "Add b", "First"]);
    assert_eq!(subjects(&["b.txt"]), ["Add b"]);
    assert_eq!(subjects(&["--", "a.txt"]), ["Change a", "First"]);
    assert_eq!(subjects(&["--", "*.txt"]), ["Merge cut", "Change a", "Add b", "First"]);
    assert_eq!(subjects(&["--grep=add", "-i"]), ["Add b"]);
    assert_eq!(subjects(&["--author=Nobody"]), Vec::<String>::new());
    assert_eq!(subjects(&["--since=2026-01-02T03:02:30Z", "--until=2026-01-02T03:03:30Z"]), ["Change a"]);
    // The way to a path goes on the side that has it as it is: the graph of one file is a line.
    insta::assert_snapshot!(out(&sandbox, &["log", "--graph", "--format=%s", "b.txt"]), @"* Add b");
}

#[test]
fn log_follows_a_file_through_renames() {
    let sandbox = repository();
    sandbox.write("take.bin", random::bytes(1, 300_000));
    commit(&sandbox, "Shot", 1);
    edit::overwrite(&sandbox.path("take.bin"), 5, b"changed").unwrap();
    fs::create_dir(sandbox.path("reel")).unwrap();
    fs::rename(sandbox.path("take.bin"), sandbox.path("reel/one.bin")).unwrap();
    commit(&sandbox, "Sort, and touch up", 2);
    fs::rename(sandbox.path("reel/one.bin"), sandbox.path("reel/final.bin")).unwrap();
    commit(&sandbox, "Name", 3);
    let log = out(&sandbox, &["log", "--follow", "--format=%s", "--name-status", "reel/final.bin"]);
    let similarity = log.lines().find_map(|line| line.strip_prefix('R').filter(|l| l.ends_with("one.bin"))).unwrap();
    let percent: u32 = similarity.split('\t').next().unwrap().parse().unwrap();
    assert!((60..100).contains(&percent), "{log}");
    insta::assert_snapshot!(log.replace(&format!("R{percent:03}"), "R0xx"), @r"
    Name
    R100	reel/one.bin	reel/final.bin
    Sort, and touch up
    R0xx	take.bin	reel/one.bin
    Shot
    A	take.bin
    ");
    assert_eq!(out(&sandbox, &["log", "--format=%s", "reel/final.bin"]), "Name\n");
    sandbox.dits(["log", "--follow"]).exits(2).warns("--follow takes one file");
}

#[test]
fn log_in_json_is_a_line_for_each_commit() {
    let sandbox = project();
    let lines = out(&sandbox, &["log", "--json", "--name-status"]);
    let commits: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(commits.len(), 4);
    assert_eq!(commits[0]["parents"][1], commits[2]["id"]);
    assert_eq!(commits[0]["refs"][0], "HEAD -> main");
    assert_eq!(commits[1]["changes"][0]["status"], "M");
    assert_eq!(commits[3]["message"], "First\n\nWith a body.\n");
}

#[test]
fn versions_and_files_are_told_apart() {
    let sandbox = project();
    sandbox.dits(["log", "nope"]).exits(1).warns("`nope` is neither a version nor a file");
    sandbox.dits(["log", "nope", "--", "a.txt"]).exits(1).warns("`nope` is not a branch");
    assert_eq!(out(&sandbox, &["log", "--", "nope"]), "");
    sandbox.write("cut", "a file that is called like the branch");
    sandbox.dits(["log", "cut"]).exits(2).warns("both a version and a file");
    assert_eq!(out(&sandbox, &["log", "--format=%s", "cut", "--"]), "Add b\nFirst\n");
    sandbox.dits(["log", "--format=pretty"]).exits(2);
    repository().dits(["log"]).exits(2).warns("no commits yet");
}

#[test]
fn show_what_a_name_stands_for() {
    let sandbox = project();
    sandbox.dits(["show", "HEAD^3"]).exits(1).warns("there is no parent 3 of a commit that has 2");
    insta::assert_snapshot!(out(&sandbox, &["show", "HEAD^", "--format=%s"]), @r"
    Change a
    diff --git a/a.txt b/a.txt
    index 10e1a16..82fff91 100644
    --- a/a.txt
    +++ b/a.txt
    @@ -1,3 +1,4 @@
     one
    -two
    +2
     three
    +four
    ");
    // A merge that decided nothing has nothing to show, but --stat says what it brought.
    assert_eq!(out(&sandbox, &["show", "--format=%s"]), "Merge cut\n");
    insta::assert_snapshot!(out(&sandbox, &["show", "--format=%s", "--stat"]), @r"
    Merge cut
     b.txt | 1 +
     1 file changed, 1 insertion(+)
    ");
    assert_eq!(sandbox.dits(["show", "cut:shots/x.bin"]).ok().stdout, random::bytes(1, 400_000));
    assert_eq!(out(&sandbox, &["show", "HEAD:"]), "tree HEAD:\n\na.txt\nb.txt\nshots/\n");
    assert_eq!(out(&sandbox, &["show", "HEAD~1:a.txt"]), "one\n2\nthree\nfour\n");
    sandbox.dits(["show", "HEAD:gone"]).exits(1).warns("`gone` is not in `HEAD`");
    let shown = json(&sandbox, &["show", "--json", "HEAD", "HEAD:shots", "HEAD:a.txt"]);
    let kinds: Vec<&str> = shown["objects"].as_array().unwrap().iter().map(|o| o["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["commit", "tree", "file"]);
}

#[test]
fn diff_of_text_is_a_patch_that_git_applies() {
    let sandbox = repository();
    sandbox.write("a.txt", "one\ntwo\nthree\n");
    sandbox.write("gone.txt", "gone\n");
    commit(&sandbox, "First", 1);
    sandbox.write("a.txt", "one\n2\nthree");
    sandbox.write("new.txt", "new\n");
    fs::remove_file(sandbox.path("gone.txt")).unwrap();
    sandbox.dits(["add", "-A"]).ok();
    assert_eq!(out(&sandbox, &["diff"]), "");
    let patch = out(&sandbox, &["diff", "--staged", "--no-renames"]);
    insta::assert_snapshot!(patch, @r"
    diff --git a/a.txt b/a.txt
    index 10e1a16..39df5fe 100644
    --- a/a.txt
    +++ b/a.txt
    @@ -1,3 +1,3 @@
     one
    -two
    -three
    +2
    +three
    \ No newline at end of file
    diff --git a/gone.txt b/gone.txt
    deleted file mode 100644
    index a8b6a16..0000000
    --- a/gone.txt
    +++ /dev/null
    @@ -1 +0,0 @@
    -gone
    diff --git a/new.txt b/new.txt
    new file mode 100644
    index 0000000..79d1d8d
    --- /dev/null
    +++ b/new.txt
    @@ -0,0 +1 @@
    +new
    ");
    insta::assert_snapshot!(out(&sandbox, &["diff", "HEAD", "--stat"]), @r"
     a.txt    | 4 ++--
     gone.txt | 1 -
     new.txt  | 1 +
     3 files changed, 3 insertions(+), 3 deletions(-)
    ");
    if !dits_testkit::installed("git") {
        return dits_testkit::skip("diff_of_text_is_a_patch_that_git_applies", "git is not installed");
    }
    let folder = sandbox.beside("other");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.txt"), "one\ntwo\nthree\n").unwrap();
    fs::write(folder.join("gone.txt"), "gone\n").unwrap();
    fs::write(sandbox.beside("patch"), &patch).unwrap();
    let mut git = sandbox.command("git");
    git.current_dir(&folder).args(["apply", "../patch"]);
    sandbox.run(git).ok();
    assert_eq!(fs::read(folder.join("a.txt")).unwrap(), b"one\n2\nthree");
    assert!(!folder.join("gone.txt").exists() && folder.join("new.txt").exists());
}

#[test]
fn diff_compares_what_it_is_told_to() {
    let sandbox = project();
    let names = |args: &[&str]| out(&sandbox, &[&["diff", "--name-status"], args].concat());
    assert_eq!(names(&["HEAD~1", "cut"]), "M\ta.txt\nA\tb.txt\n");
    assert_eq!(names(&["HEAD~1..cut", "--", "b.txt"]), "A\tb.txt\n");
    assert_eq!(names(&["HEAD~1...cut"]), "A\tb.txt\n");
    assert_eq!(names(&["HEAD"]), "");
    sandbox.dits(["diff", "--exit-code", "HEAD"]).exits(0);
    sandbox.write("a.txt", "one\ntwo\nthree\n");
    sandbox.write("untracked", "is not compared");
    assert_eq!(names(&[]), "M\ta.txt\n");
    assert_eq!(names(&["--staged"]), "");
    assert_eq!(names(&["HEAD"]), "M\ta.txt\n");
    assert_eq!(names(&["HEAD~2"]), "A\tb.txt\n", "the worktree went back to what it was");
    assert_eq!(out(&sandbox, &["diff", "cut", "--name-only", "-z"]), "");
    sandbox.dits(["diff", "--exit-code"]).exits(1);
    assert_eq!(sandbox.dits(["-q", "diff"]).exits(1).out(), "");
    sandbox.dits(["diff", "a", "b", "c"]).exits(1);
    sandbox.dits(["diff", "HEAD", "cut", "HEAD~1"]).exits(2).warns("two versions");
}

#[test]
fn diff_finds_renames() {
    let sandbox = project();
    fs::rename(sandbox.path("shots/x.bin"), sandbox.path("shots/y.bin")).unwrap();
    sandbox.dits(["add", "-A"]).ok();
    assert_eq!(out(&sandbox, &["diff", "--staged", "--name-status"]), "R100\tshots/x.bin\tshots/y.bin\n");
    assert_eq!(
        out(&sandbox, &["diff", "--staged", "--name-status", "--no-renames"]),
        "D\tshots/x.bin\nA\tshots/y.bin\n"
    );
    insta::assert_snapshot!(out(&sandbox, &["diff", "--staged"]), @r"
    diff --git a/shots/x.bin b/shots/y.bin
    similarity index 100%
    rename from shots/x.bin
    rename to shots/y.bin
    ");
    out(&sandbox, &["diff", "--staged", "--stat"]).contains("shots/{x.bin => y.bin}").then_some(()).unwrap();
}

#[test]
fn diff_of_media_tells_bytes_chunks_and_facts() {
    if !media::available("diff_of_media_tells_bytes_chunks_and_facts") {
        return;
    }
    let sandbox = repository();
    let footage = |seconds: &str| {
        let video = format!("testsrc2=s=320x180:r=25:d={seconds},noise=alls=20:allf=t:all_seed=7");
        let name = format!("{seconds}.mp4");
        let encode = ["-f", "lavfi", "-i", &video, "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "4M"];
        media::derive(&sandbox.beside(""), &name, &[&encode[..], &["-pix_fmt", "yuv420p"]].concat()).unwrap()
    };
    fs::copy(footage("2"), sandbox.path("shot.mp4")).unwrap();
    commit(&sandbox, "Shot", 1);
    let size = fs::metadata(sandbox.path("shot.mp4")).unwrap().len();
    edit::overwrite(&sandbox.path("shot.mp4"), size / 2, b"a few bytes in the middle").unwrap();
    let worktree = json(&sandbox, &["diff", "--json"]);
    let file = &worktree["files"][0];
    assert_eq!((file["old"]["type"].as_str(), file["chunks"]["added"]["chunks"].as_u64()), (Some("mp4"), Some(1)));
    let region = &file["chunks"]["regions"][0]["new"];
    assert!((region[0].as_u64().unwrap()..region[1].as_u64().unwrap()).contains(&(size / 2)), "{file}");
    let shown = out(&sandbox, &["diff"]);
    assert!(shown.contains("Binary files a/shot.mp4 and b/shot.mp4 differ\n  MPEG-4 video, "), "{shown}");
    assert!(shown.contains(", same length\n") && shown.contains(" chunks is new (") && shown.contains("  ~ bytes "));
    let stat = out(&sandbox, &["diff", "--stat"]);
    assert!(stat.starts_with(" shot.mp4 | Bin ") && stat.contains(", 1 of "), "{stat}");
    // What is compared in the worktree is what committing it compares, and nothing was stored on the way.
    assert!(out(&sandbox, &["inspect", "shot.mp4"]).contains("changed since it was added"));
    commit(&sandbox, "Edit", 2);
    assert_eq!(json(&sandbox, &["diff", "--json", "HEAD~1", "HEAD"])["files"][0]["chunks"], file["chunks"]);
    fs::copy(footage("3"), sandbox.path("shot.mp4")).unwrap();
    let longer = out(&sandbox, &["diff"]);
    assert!(longer.contains("  Duration: 0:00:02.000 -> 0:00:03.000\n"), "{longer}");
}

#[test]
fn inspect_describes_a_file() {
    let sandbox = repository();
    let mut bytes = random::bytes(3, 700_000);
    sandbox.write("a.bin", &bytes);
    bytes.extend(random::bytes(4, 100_000));
    bytes.extend(vec![0; 600_000]);
    sandbox.write("copy.bin", &bytes);
    sandbox.write(".ditsattributes", "copy.bin lockable\n");
    commit(&sandbox, "First", 1);
    let report = json(&sandbox, &["inspect", "copy.bin", "--chunks", "--json"]);
    let file = &report["files"][0];
    assert_eq!((file["type"].as_str(), file["size"].as_u64()), (Some("binary"), Some(1_400_000)));
    assert_eq!((file["state"].as_str(), file["lockable"].as_bool()), (Some("as it was added"), Some(true)));
    assert_eq!(file["in_store"]["bytes"], 1_400_000);
    assert!(file["in_store"]["stored_bytes"].as_u64().unwrap() < 1_000_000, "zeros take no room: {file}");
    assert!(file["chunks"]["zero_bytes"].as_u64().unwrap() > 300_000, "{file}");
    let list = file["chunk_list"].as_array().unwrap();
    assert_eq!(list.len() as u64, file["chunks"]["count"].as_u64().unwrap());
    let shared: Vec<_> = file["shared"].as_array().unwrap().iter().map(|s| s["path"].as_str().unwrap()).collect();
    assert_eq!(shared, ["a.bin"], "a file shares nothing with itself");
    // The same of a version, whose chunks are not read.
    let stored = json(&sandbox, &["inspect", "HEAD:copy.bin", "--chunks", "--json"]);
    assert_eq!(stored["files"][0]["chunks"], file["chunks"]);
    assert_eq!(stored["files"][0]["chunk_list"], file["chunk_list"]);
    let text = out(&sandbox, &["inspect", "a.bin"]);
    assert!(text.contains("Unknown binary data (binary)") && text.contains("684 KiB (700,000 bytes)"), "{text}");
    assert!(text.contains("all of it, ") && text.contains("with copy.bin"), "{text}");
    sandbox.write("new.bin", random::bytes(9, 5000));
    assert!(out(&sandbox, &["inspect", "new.bin"]).contains("not tracked"));
    sandbox.dits(["inspect", "nope"]).exits(1).warns("there is no file `nope`");
    sandbox.dits(["inspect", "HEAD:nope"]).exits(1);
}
