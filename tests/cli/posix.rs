//! What POSIX says of a file system, by `pjdfstest`: a mount fails where `docs/semantics.md` says that it does, and nowhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::mounting::{Drive, possible};
use crate::sharing::Studio;

const SETTINGS: &str = r#"
[features]
posix_fallocate = {}
rename_ctime = {}
utimensat = {}
utime_now = {}
[settings]
naptime = 0.01
allow_remount = false
[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"]]
"#;

/// Tests that make a second name for a file, each for some types of it.
const HARD_LINKS: [&str; 7] = [
    "link::changed_ctime_success::",
    "link::remove_link::",
    "link::share_metadata::",
    "rename::preserve_metadata::",
    "rename::to_multiply_linked::",
    "unlink::unchanged_ctime_failed::",
    "unlink::update_ctime_success::",
];
/// A folder has one link, however many are in it.
const LINKS_OF_FOLDERS: &str = "rename::updates_link_parent";

fn is_refused(test: &str) -> bool {
    // Devices are refused, also where they only stand in the way of something else.
    let device = test.ends_with("::block") || test.ends_with("::char");
    device || test == LINKS_OF_FOLDERS || HARD_LINKS.iter().any(|group| test.starts_with(group))
}

/// The names of tests that did not pass.
fn failures(out: &str) -> Vec<&str> {
    let results = out.lines().filter(|line| line.contains("::") && line.contains("FAILED"));
    results.filter_map(|line| line.split_whitespace().next()).collect()
}

#[test]
fn a_mount_does_what_posix_says() {
    let test = "a_mount_does_what_posix_says";
    if !dits_testkit::long(test) || !possible(test) {
        return;
    }
    if !dits_testkit::installed("pjdfstest") {
        return dits_testkit::skip(test, "pjdfstest is not installed (cargo install --locked pjdfstest)");
    }
    let s = Studio::with_a_project();
    s.dits("ada", "switch -q --detach").ok();
    let drive = Drive::writable(&s, "ada", "--ref main --allow-other ");
    s.write("settings.toml", SETTINGS.as_bytes());
    // Other users must come as far as the mount.
    for folder in s.path("m").ancestors().skip(1).filter(|folder| folder.starts_with(std::env::temp_dir())) {
        let mode = fs::metadata(folder).unwrap().permissions().mode();
        if folder != std::env::temp_dir() {
            fs::set_permissions(folder, fs::Permissions::from_mode(mode | 0o755)).unwrap();
        }
    }
    fs::create_dir(drive.path("t")).unwrap();
    fs::set_permissions(drive.path("t"), fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = s.sandbox.command("pjdfstest");
    command.args(["-c", "settings.toml", "-p", "m/t"]).env("NO_COLOR", "1");
    let done = s.sandbox.run(command);
    let out = done.out();
    assert!(out.contains("Summary:"), "{done}");
    assert!(failures(&out).contains(&LINKS_OF_FOLDERS), "what fails is found in: {out}");
    let unexpected: Vec<&str> = failures(&out).into_iter().filter(|test| !is_refused(test)).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}\n{out}");
    drive.unmount();
}
