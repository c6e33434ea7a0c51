//! What works without a repository.

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn dits(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).output().expect("dits runs")
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dits"));
    command.current_dir(dir).env_clear().env("HOME", dir).env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).args(args);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the output is UTF-8")
}

#[track_caller]
fn ok(args: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let output = dits(dir.path(), args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "{args:?}");
    text(&output.stdout)
}

/// Exit code and standard error.
#[track_caller]
fn fails(args: &[&str]) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    let output = dits(dir.path(), args);
    assert_eq!(text(&output.stdout), "", "{args:?}");
    (output.status.code().expect("it exits"), text(&output.stderr))
}

#[test]
fn version() {
    let expected = format!("dits {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(ok(&["--version"]), expected);
    assert_eq!(ok(&["version"]), expected);
    assert_eq!(ok(&["-c", "alias.v=version", "v"]), expected);
    let json: serde_json::Value = serde_json::from_str(&ok(&["version", "--json"])).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["command"], "version");
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn usage_errors_exit_with_2() {
    for args in [
        &["no-such-command"][..],
        &["version", "--no-such-option"],
        &[],
        &["-c", "x", "version"],
        &["completions", "tcl"],
    ] {
        assert_eq!(fails(args).0, 2, "{args:?}");
    }
    assert!(fails(&["versoin"]).1.contains("'version'"), "a typing error gets a suggestion");
    assert_eq!(
        fails(&["-C", "missing", "version"]).1,
        "error: cannot change to missing: No such file or directory (os error 2)\n"
    );
    // An alias that leads to itself ends.
    assert_eq!(fails(&["-c", "alias.a=b", "-c", "alias.b=a", "a"]).0, 2);
}

#[test]
fn errors_are_json_lines_on_request() {
    for args in [&["--json", "no-such-command"][..], &["help", "no-such-thing", "--json"]] {
        let (code, line) = fails(args);
        assert_eq!(code, 2);
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["schema"], 1);
        assert_eq!(json["error"]["exit"], 2);
        assert_eq!(json["error"]["kind"], "usage");
        assert!(json["error"]["message"].as_str().unwrap().contains("no-such-"), "{line}");
    }
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = ok(&["completions", shell]);
        assert!(script.contains("completions") && script.contains("dits"), "{shell}");
    }
}

#[test]
fn help_for_everything_it_lists() {
    let overview = ok(&["help"]);
    let guides: Vec<&str> = overview.lines().filter_map(|line| line.trim().strip_prefix("dits help ")).collect();
    assert!(guides.len() >= 8, "{overview}");
    for guide in guides {
        let name = guide.split_whitespace().next().unwrap();
        assert!(ok(&["help", name]).len() > 200, "{name}");
    }
    assert!(ok(&["help", "completions"]).contains("Examples:"));
    assert!(ok(&["completions", "--help"]).contains("Examples:"));
    assert!(!ok(&["help", "tutorial"]).contains('\x1b'));
    assert!(ok(&["--color=always", "help", "tutorial"]).contains("\x1b[1mVersion a video"));
}

#[test]
fn manual_pages() {
    assert!(ok(&["man", "version"]).contains(".TH dits-version 1"));
    let dir = tempfile::tempdir().unwrap();
    let output = dits(dir.path(), &["man", "--all", "man1"]);
    let pages = std::fs::read_dir(dir.path().join("man1")).unwrap().count();
    assert_eq!(text(&output.stderr), format!("wrote {pages} pages to man1\n"));
    assert!(dir.path().join("man1/dits.1").exists() && dir.path().join("man1/dits-completions.1").exists());
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command(dir.path(), &["completions", "bash"]).stdout(writer).output().unwrap();
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(141));
}

#[test]
fn a_full_disk_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command(dir.path(), &["help", "tutorial"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot write the output: No space left"), "{}", text(&output.stderr));
}

#[test]
fn the_users_configuration_is_read() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join(".config/dits")).unwrap();
    let file = dir.path().join(".config/dits/config.toml");
    std::fs::write(&file, "[alias]\nwhich = \"version\"\n[color]\nui = \"always\"\n").unwrap();
    assert!(text(&dits(dir.path(), &["which"]).stdout).starts_with("dits "));
    assert!(text(&dits(dir.path(), &["help", "git"]).stdout).starts_with("\x1b[1m"));
    std::fs::write(&file, "[alias\n").unwrap();
    let output = dits(dir.path(), &["version"]);
    assert_eq!(output.status.code(), Some(6));
    assert!(text(&output.stderr).contains(".config/dits/config.toml is not valid TOML"), "{}", text(&output.stderr));
}
