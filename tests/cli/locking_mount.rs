//! Locks in a mount: programs that know nothing of dits are kept from what others have, and lock what they write to.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use dits_testkit::Background;
use dits_testkit::random::bytes;

use crate::inspect::json;
use crate::locking::{MAP, Set};
use crate::mounting::{Drive, possible};

/// A change at the server is seen that soon.
const SOON: Duration = Duration::from_secs(20);

/// Files that lock themselves; bob's clone is free to be mounted.
fn stage() -> Set {
    let set = Set::served();
    let rules = "*.umap lockable\n*.kra lock=auto\n*.afx lock=auto release=close\n";
    set.s.write("ada/.ditsattributes", rules.as_bytes());
    for (seed, name) in ["one.kra", "two.kra", "three.kra", "four.kra", "one.afx", "two.afx"].iter().enumerate() {
        set.s.write(&format!("ada/{name}"), &bytes(seed as u64, 20_000));
    }
    set.commit("ada", "auto");
    set.dits("ada", "push -q").ok();
    set.dits("bob", "pull -q").ok();
    set.dits("bob", "switch -q --detach").ok();
    set
}

fn mount(set: &Set) -> Drive<'_> {
    let line = format!("mount --json --ref main {}", set.s.path("m").display());
    Drive::told(&set.s, json(set.dits("bob", &line).ok()))
}

fn writable(path: &Path) -> bool {
    fs::metadata(path).unwrap().permissions().mode() & 0o222 != 0
}

#[track_caller]
fn soon(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < SOON, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(done: std::io::Result<T>) {
    assert_eq!(done.unwrap_err().raw_os_error(), Some(rustix::io::Errno::ACCESS.raw_os_error()));
}

/// Who has what, as the other clone hears it.
fn held(set: &Set, path: &str) -> Option<String> {
    let locks = set.locks("ada", "");
    let lock = locks.iter().find(|lock| lock["path"] == path)?;
    lock["holder"].as_str().map(ToOwned::to_owned)
}

#[test]
fn what_somebody_else_has_is_read_only_in_a_mount() {
    if !possible("what_somebody_else_has_is_read_only_in_a_mount") {
        return;
    }
    let set = stage();
    let drive = mount(&set);
    let notes = drive.path("notes.txt");
    assert!(writable(&notes) && !writable(&drive.path(MAP)), "lockable, and not locked");
    refused(File::options().write(true).open(drive.path(MAP)));
    set.dits("ada", "lock notes.txt").ok();
    soon("the lock is seen", || !writable(&notes));
    refused(File::options().write(true).open(&notes));
    refused(File::options().append(true).open(&notes));
    refused(File::create(&notes));
    refused(fs::remove_file(&notes));
    fs::write(drive.path("notes.tmp"), b"mine").unwrap();
    refused(fs::rename(drive.path("notes.tmp"), &notes));
    refused(fs::rename(&notes, drive.path("elsewhere.txt")));
    set.dits("ada", &format!("lock {MAP}")).ok();
    soon("that one too", || set.dits("m", "locks --cached").ok().out().contains(MAP));
    refused(fs::rename(drive.path("Maps"), drive.path("Levels")));
    assert_eq!(fs::read(&notes).unwrap(), b"one\n", "reads go on");
    // Who asks here hears what the mount has heard.
    set.dits("m", "locks").ok().says("notes.txt").says("ada");
    set.s.write("ada/notes.txt", b"two\n");
    set.commit("ada", "two");
    set.dits("ada", "push -q").ok();
    soon("the release is seen", || writable(&notes));
    set.dits("m", "pull -q").ok();
    assert_eq!(fs::read(&notes).unwrap(), b"two\n");
    fs::rename(drive.path("notes.tmp"), &notes).unwrap();
    // A lock of one's own holds at once.
    set.dits("m", "lock Maps/Level_02.umap").ok();
    let map = drive.path("Maps/Level_02.umap");
    File::options().write(true).open(&map).unwrap();
    assert!(writable(&map));
    set.dits("m", "unlock Maps/Level_02.umap").ok();
    refused(File::options().write(true).open(&map));
    soon("the bits follow", || !writable(&map));
    drive.terminate();
}

#[test]
fn the_first_write_locks() {
    if !possible("the_first_write_locks") {
        return;
    }
    let set = stage();
    let drive = mount(&set);
    let one = drive.path("one.kra");
    let inode = fs::metadata(&one).unwrap().ino();
    assert!(writable(&one), "the first write locks it");
    fs::read(&one).unwrap();
    assert_eq!(held(&set, "one.kra"), None, "reading does not");
    fs::write(&one, b"painted").unwrap();
    assert_eq!((held(&set, "one.kra").as_deref(), fs::metadata(&one).unwrap().ino()), (Some("bob"), inode));
    set.dits("ada", "lock one.kra").exits(4).warns("is locked by bob");
    // As many programs save.
    fs::write(drive.path("two.kra~"), b"painted").unwrap();
    assert_eq!(held(&set, "two.kra"), None);
    fs::rename(drive.path("two.kra~"), drive.path("two.kra")).unwrap();
    assert_eq!(held(&set, "two.kra").as_deref(), Some("bob"));
    // What somebody else was faster with.
    set.dits("ada", "lock three.kra").ok();
    refused(File::options().write(true).open(drive.path("three.kra")));
    soon("the bits follow", || !writable(&drive.path("three.kra")));
    set.dits("m", "locks").ok().says("three.kra").says("ada");
    // New files are nobody's business before they are pushed.
    fs::write(drive.path("new.kra"), b"new").unwrap();
    assert_eq!(held(&set, "new.kra"), None);
    // Closed unchanged, it is free again; changed, it stays.
    drop(File::options().write(true).open(drive.path("one.afx")).unwrap());
    soon("released", || held(&set, "one.afx").is_none());
    let mut two = File::options().append(true).open(drive.path("two.afx")).unwrap();
    assert_eq!(held(&set, "two.afx").as_deref(), Some("bob"));
    two.write_all(b"more").unwrap();
    drop(two);
    set.dits("m", "add -A").ok();
    set.dits("m", "commit -q -m painted").ok();
    drop(File::options().append(true).open(drive.path("two.afx")).unwrap());
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(held(&set, "two.afx").as_deref(), Some("bob"), "it is not pushed");
    set.dits("m", "push -q").ok();
    assert_eq!([held(&set, "one.kra"), held(&set, "two.afx")], [None, None]);
    // Without the server what is read is read, and what must be locked first is not written.
    set.stop_server();
    assert_eq!(fs::read(drive.path("one.kra")).unwrap(), b"painted");
    let begun = Instant::now();
    refused(File::options().write(true).open(drive.path("four.kra")));
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    set.dits("m", "edit --offline four.kra").ok();
    fs::write(drive.path("four.kra"), b"on the train").unwrap();
    drive.terminate();
}

/// A drive of bob's that is served to WebDAV clients.
struct Dav<'a> {
    set: &'a Set,
    server: Background,
    url: String,
}

impl<'a> Dav<'a> {
    fn start(set: &'a Set) -> Self {
        let mut command = set.s.sandbox.dits_command("serve-drive --webdav --listen 127.0.0.1:0 --ref main".split(' '));
        command.current_dir(set.s.path("bob")).env("DITS_TOKEN", set.token("bob"));
        let mut server = set.s.sandbox.spawn(command);
        let url = server.wait_for(" is at http://", SOON).split(" is at ").nth(1).unwrap().to_owned();
        Self { set, server, url }
    }

    /// The status, and the headers.
    fn ask(&self, options: &[&str], path: &str) -> (String, String) {
        let mut command = self.set.s.sandbox.command("curl");
        command.args(["--silent", "--show-error", "--max-time", "30", "--output", "/dev/null", "--dump-header", "-"]);
        command.args(options).arg(format!("{}{path}", self.url));
        let said = self.set.s.sandbox.run(command).ok().out();
        let status = said.lines().rfind(|line| line.starts_with("HTTP/")).and_then(|line| line.split(' ').nth(1));
        (status.unwrap_or_default().to_owned(), said)
    }

    fn lock(&self, path: &str, timeout: &str) -> (String, Option<String>) {
        let info = "<D:lockinfo xmlns:D='DAV:'><D:lockscope><D:exclusive/></D:lockscope>\
                    <D:locktype><D:write/></D:locktype></D:lockinfo>";
        let timeout = format!("Timeout: {timeout}");
        let (status, said) = self.ask(&["-X", "LOCK", "-H", "Depth: 0", "-H", &timeout, "-d", info], path);
        let header =
            said.lines().find_map(|line| line.to_lowercase().starts_with("lock-token:").then(|| line.to_owned()));
        (status, header.map(|line| line.trim().to_owned()))
    }

    fn put(&self, path: &str, token: Option<&str>) -> String {
        let file = self.set.s.sandbox.beside("upload");
        fs::write(&file, b"put").unwrap();
        let mut options = vec!["-T".to_owned(), file.to_str().unwrap().to_owned()];
        if let Some(token) = token {
            let token = token.split_once(':').unwrap().1.trim();
            options.extend(["-H".to_owned(), format!("If: ({token})")]);
        }
        self.ask(&options.iter().map(String::as_str).collect::<Vec<_>>(), path).0
    }
}

#[test]
fn locks_of_webdav_clients_are_locks_of_the_project() {
    if !dits_testkit::installed("curl") {
        return dits_testkit::skip("locks_of_webdav_clients_are_locks_of_the_project", "it needs curl");
    }
    let set = stage();
    let dav = Dav::start(&set);
    // A lease, and a lock without an end.
    let (status, lease) = dav.lock("notes.txt", "Second-120");
    assert_eq!((status.as_str(), held(&set, "notes.txt").as_deref()), ("200", Some("bob")));
    let listed = set.locks("ada", "");
    let expires = listed.iter().find(|lock| lock["path"] == "notes.txt").unwrap()["expires"].clone();
    assert!(!expires.is_null(), "{listed:?}");
    let (status, token) = dav.lock(MAP, "Infinite");
    assert_eq!((status.as_str(), held(&set, MAP).as_deref()), ("200", Some("bob")));
    assert_eq!(dav.put(MAP, token.as_deref()), "204");
    for (path, token) in [("notes.txt", lease), (MAP, token)] {
        assert_eq!(dav.ask(&["-X", "UNLOCK", "-H", &token.unwrap()], path).0, "204");
    }
    assert_eq!(held(&set, "notes.txt"), None, "unchanged");
    assert_eq!(held(&set, MAP).as_deref(), Some("bob"), "it has changes that nobody else has");
    // What somebody else has.
    set.dits("ada", "lock one.kra").ok();
    assert_eq!(dav.lock("one.kra", "Second-60").0, "423");
    soon("the lock is seen", || dav.put("one.kra", None) == "423");
    assert_eq!(dav.ask(&["-X", "DELETE"], "one.kra").0, "423");
    assert_eq!(dav.ask(&[], "one.kra").0, "200");
    assert_eq!(dav.put("Maps/Level_02.umap", None), "403", "it must be locked first");
    assert_eq!((dav.put("two.kra", None).as_str(), held(&set, "two.kra").as_deref()), ("204", Some("bob")));
    assert_eq!((dav.put("new.kra", None).as_str(), held(&set, "new.kra")), ("201", None));
    dav.server.terminate(SOON).ok();
}
