//! `serve-drive --webdav`: a real server, `curl` and `litmus`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use dits_testkit::random::bytes;
use dits_testkit::{Background, Finished};

use crate::sharing::Studio;

const SOON: Duration = Duration::from_secs(30);

struct Served<'a> {
    s: &'a Studio,
    server: Background,
    url: String,
    /// `--user` for `curl`, if a password is asked for.
    user: Option<String>,
}

impl<'a> Served<'a> {
    #[track_caller]
    fn start(s: &'a Studio, options: &str) -> Self {
        let line = format!("serve-drive --webdav --listen 127.0.0.1:0{options}");
        let mut command = s.sandbox.dits_command(line.split(' '));
        command.current_dir(s.path("ada"));
        let mut server = s.sandbox.spawn(command);
        let url = server.wait_for(" is at http://", SOON).split(" is at ").nth(1).unwrap().to_owned();
        server.wait_for("Ctrl-C", SOON);
        let said = server.so_far().out();
        let user =
            said.lines().find_map(|line| line.trim().strip_prefix("Password  ").map(|word| format!("dits:{word}")));
        Self { s, server, url, user }
    }

    /// Asks by `curl`: `options` are words; gives the status, then the body is in `answer`.
    #[track_caller]
    fn curl(&self, options: &[&str], path: &str) -> (String, Vec<u8>) {
        let answer = self.s.sandbox.beside("answer");
        let _ = fs::remove_file(&answer);
        let mut command = self.s.sandbox.command("curl");
        command.args(["--silent", "--show-error", "--max-time", "50", "--write-out", "%{http_code}", "--output"]);
        command.arg(&answer).args(options).arg(format!("{}{path}", self.url));
        if let Some(user) = &self.user {
            command.args(["--user", user]);
        }
        let done = self.s.sandbox.run(command).ok();
        (done.out(), fs::read(&answer).unwrap_or_default())
    }

    #[track_caller]
    fn does(&self, options: &[&str], path: &str, status: &str) -> Vec<u8> {
        let (got, body) = self.curl(options, path);
        assert_eq!(got, status, "{options:?} {path}: {}", String::from_utf8_lossy(&body));
        body
    }

    fn put(&self, from: &Path, path: &str, status: &str) {
        self.does(&["--upload-file", from.to_str().unwrap()], path, status);
    }

    #[track_caller]
    fn end(self) -> Finished {
        self.server.terminate(SOON).ok()
    }
}

fn possible(test: &str) -> bool {
    let possible = dits_testkit::installed("curl");
    if !possible {
        dits_testkit::skip(test, "it needs curl");
    }
    possible
}

#[test]
fn a_served_drive_is_read_whole_and_by_range() {
    if !possible("a_served_drive_is_read_whole_and_by_range") {
        return;
    }
    let s = Studio::with_a_project();
    s.write("ada/ä ö.txt", b"umlauts");
    std::os::unix::fs::symlink("shots/010", s.path("ada/link")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", s.path("ada/out")).unwrap();
    s.commit("ada", "names");
    let film = fs::read(s.path("ada/film.mov")).unwrap();
    let drive = Served::start(&s, " --read-only");
    assert!(drive.does(&[], "film.mov", "200") == film);
    for (from, to) in [(0, 0), (1000, 1999), (2_000_000, 2_999_999), (70_000, 2_500_000)] {
        let range = format!("{from}-{to}");
        assert!(drive.does(&["--range", &range], "film.mov", "206") == film[from..=to], "{range}");
    }
    drive.does(&["--range", "3000000-"], "film.mov", "416");
    assert_eq!(drive.does(&[], "%C3%A4%20%C3%B6.txt", "200"), b"umlauts");
    assert_eq!(drive.does(&[], "link/a.exr", "200"), fs::read(s.path("ada/shots/010/a.exr")).unwrap());
    let listed = String::from_utf8(drive.does(&["-X", "PROPFIND", "-H", "Depth: 1"], "", "207")).unwrap();
    assert!(listed.contains("<D:href>/link/</D:href>") && listed.contains("%C3%A4%20%C3%B6.txt"), "{listed}");
    assert!(!listed.contains(".dits") && !listed.contains("/out"), "{listed}");
    assert!(listed.contains("Fri, 02 Jan 2026 03:04:05 GMT"), "{listed}");
    for (path, status) in [(".dits", "404"), ("out", "404"), ("none", "404"), ("%2e%2e/x", "403")] {
        drive.does(&["--path-as-is"], path, status);
    }
    drive.does(&["-X", "PROPFIND", "-H", "Depth: infinity"], "", "501");
    drive.does(&["--upload-file", s.path("ada/film.mov").to_str().unwrap()], "new", "405");
    drive.does(&["-X", "DELETE"], "film.mov", "405");
    drive.end();
}

#[test]
fn what_is_written_to_a_served_drive_is_there_when_it_is_mounted() {
    if !possible("what_is_written_to_a_served_drive_is_there_when_it_is_mounted") {
        return;
    }
    let s = Studio::with_a_project();
    let (one, two) = (s.sandbox.beside("one"), s.sandbox.beside("two"));
    fs::write(&one, bytes(70, 5_000_000)).unwrap();
    fs::write(&two, bytes(71, 10)).unwrap();
    let drive = Served::start(&s, " --at ../m");
    drive.put(&one, "large.mov", "201");
    assert!(drive.does(&[], "large.mov", "200") == fs::read(&one).unwrap());
    drive.put(&two, "film.mov", "204");
    assert!(drive.does(&[], "film.mov", "200") == fs::read(&two).unwrap());
    drive.put(&two, "none/film.mov", "409");
    drive.put(&two, ".dits", "403");
    let to = |path: &str| format!("Destination: {}{path}", drive.url);
    drive.does(&["-X", "MKCOL"], "new", "201");
    drive.does(&["-X", "MOVE", "-H", &to("new/moved.mov")], "large.mov", "201");
    drive.does(&["-X", "COPY", "-H", &to("new/copy.mov")], "new/moved.mov", "201");
    drive.does(&["-X", "MOVE", "-H", &to("film.mov"), "-H", "Overwrite: F"], "new/copy.mov", "412");
    drive.does(&["-X", "MOVE", "-H", &to("film.mov")], "new/copy.mov", "204");
    assert!(drive.does(&[], "film.mov", "200") == fs::read(&one).unwrap());
    // What would destroy what it takes.
    drive.does(&["-X", "MOVE", "-H", &to("new/below")], "new", "403");
    drive.does(&["-X", "COPY", "-H", &to("new")], "new/moved.mov", "403");
    drive.does(&["-X", "DELETE"], "", "403");
    drive.does(&["-X", "DELETE"], "notes.txt", "204");
    let set = "<?xml version=\"1.0\"?><D:propertyupdate xmlns:D=\"DAV:\" xmlns:Z=\"urn:schemas-microsoft-com:\"><D:set>\
               <D:prop><Z:Win32LastModifiedTime>Wed, 15 Nov 2023 10:20:30 GMT</Z:Win32LastModifiedTime></D:prop>\
               </D:set></D:propertyupdate>";
    drive.does(&["-X", "PROPPATCH", "--data-binary", set], "new/moved.mov", "207");
    let told = String::from_utf8(drive.does(&["-X", "PROPFIND", "-H", "Depth: 0"], "new/moved.mov", "207")).unwrap();
    assert!(told.contains("Wed, 15 Nov 2023 10:20:30 GMT"), "{told}");
    drive.end();
    let drive = Served::start(&s, " --at ../m");
    assert!(drive.does(&[], "new/moved.mov", "200") == fs::read(&one).unwrap(), "after a new start too");
    drive.does(&[], "notes.txt", "404");
    drive.end();
    if !Path::new("/dev/fuse").exists() || !rustix::process::geteuid().is_root() {
        return dits_testkit::skip("the mount of a served drive", "it needs /dev/fuse and root");
    }
    s.dits("ada", &format!("mount {}", s.path("m").display())).ok();
    let status = s.dits("m", "status --short").ok();
    let content = fs::read(s.path("m/new/moved.mov"));
    s.dits(".", "unmount m").ok();
    assert!(content.unwrap() == fs::read(&one).unwrap());
    status.says("film.mov").says("notes.txt").says("new/");
}

/// An upload that breaks off.
#[test]
fn half_an_upload_leaves_the_whole_file() {
    if !possible("half_an_upload_leaves_the_whole_file") {
        return;
    }
    let s = Studio::with_a_project();
    let drive = Served::start(&s, "");
    let film = drive.does(&[], "film.mov", "200");
    let address = drive.url.trim_start_matches("http://").trim_end_matches('/');
    for path in ["film.mov", "new.mov"] {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "PUT /{path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 3000000\r\n\r\n").unwrap();
        stream.write_all(&bytes(5, 2_000_000)).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(drive.does(&[], "film.mov", "200") == film);
    drive.does(&[], "new.mov", "404");
    // Elements in elements do not end the server.
    let deep = s.sandbox.beside("deep");
    fs::write(&deep, "<a>".repeat(20_000)).unwrap();
    let data = format!("@{}", deep.display());
    drive.does(&["-X", "PROPFIND", "--data-binary", &data], "", "400");
    drive.does(&["-H", "Host: evil.example"], "film.mov", "421");
    drive.end();
}

#[test]
fn a_password_is_asked_for() {
    if !possible("a_password_is_asked_for") {
        return;
    }
    let s = Studio::with_a_project();
    let mut drive = Served::start(&s, " --password");
    assert!(drive.user.is_some());
    drive.does(&[], "notes.txt", "200");
    drive.user = Some("dits:wrong".to_owned());
    drive.does(&[], "notes.txt", "401");
    drive.user = None;
    drive.does(&[], "notes.txt", "401");
    drive.put(&s.path("ada/notes.txt"), "new", "401");
    drive.end();
}

/// The suites of `litmus`, all of them.
#[test]
fn litmus_finds_nothing() {
    if !dits_testkit::installed("litmus") {
        return dits_testkit::skip("litmus_finds_nothing", "litmus is not installed");
    }
    let s = Studio::with_a_project();
    let drive = Served::start(&s, "");
    let folder = s.sandbox.beside("litmus");
    fs::create_dir(&folder).unwrap();
    let mut command = s.sandbox.command("litmus");
    command.arg("--keep-going").arg(&drive.url).current_dir(folder);
    let done = s.sandbox.run(command).ok();
    for suite in ["basic", "copymove", "props", "locks", "http"] {
        let summary =
            done.out().lines().find(|line| line.contains(&format!("summary for `{suite}'"))).unwrap().to_owned();
        assert!(summary.ends_with(" 0 failed. 100.0%"), "{done}");
    }
    drive.end();
}
