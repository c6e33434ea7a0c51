//! What commands do with the attributes, in a folder that is recorded as a mount and whose attributes a test sets: nobody
//! answers, so what files hold and what is said of them can differ, which shows who was asked.

use std::fs::File;
use std::path::PathBuf;

use rustix::fs::XattrFlags;

use crate::diff::FileVersion;
use crate::index::Stage;
use crate::merge::tests::Rig;
use crate::path::RepoPath;
use crate::progress::Silent;
use crate::refs::Target;
use crate::repo::{Environment, MountRecord, RepoError, Repository};
use crate::tree::Content;
use crate::worktree::drive::{CONTENT, DriveContent, PLACE, Place, SETTLED, Settled, Stored};
use crate::worktree::{AddOptions, Everything, StatusOptions, write_version};

const FILM: &str = "shots/film.mov";

/// A repository with a file of several megabytes, and a folder that passes for a mount of it.
struct Mount {
    rig: Rig,
    repo: Repository,
    at: tempfile::TempDir,
    _record: MountRecord,
    film: FileVersion,
}

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn path(name: &str) -> RepoPath {
    RepoPath::parse(name.as_bytes()).unwrap()
}

impl Mount {
    /// `None` where the file system has no such attributes.
    fn new() -> Option<Self> {
        let rig = Rig::new();
        std::fs::create_dir_all(rig.path("shots")).unwrap();
        std::fs::write(rig.path(FILM), noise(3 << 20)).unwrap();
        let commit = rig.commit("film");
        let film = FileVersion::from(&rig.repo.index().unwrap().get(&path(FILM), Stage::Normal).unwrap());
        let at = tempfile::tempdir().unwrap();
        if rustix::fs::setxattr(at.path(), "user.dits.test", b"", XattrFlags::empty()).is_err() {
            println!("skipped: no extended attributes here");
            return None;
        }
        let record = rig.repo.record_writable_mount(at.path(), Target::Id(*commit.digest()), commit).unwrap();
        let repo = Repository::open(record.layout(), &Environment { threads: 2, ..Environment::default() }).unwrap();
        let (_, head) = repo.head_commit().unwrap();
        repo.write_mount_index(head.tree, head.committer.time).unwrap();
        std::fs::create_dir_all(at.path().join("shots")).unwrap();
        Some(Self { rig, repo, at, _record: record, film })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.at.path().join(name)
    }

    fn stored(&self) -> Stored {
        Stored::new(self.film.content.clone(), self.film.size).unwrap()
    }

    /// Puts a file there and says what it holds.
    fn say(&self, name: &str, bytes: &[u8], content: &DriveContent) {
        std::fs::write(self.file(name), bytes).unwrap();
        rustix::fs::setxattr(self.file(name), CONTENT, &content.encode(), XattrFlags::empty()).unwrap();
    }

    fn settled(&self, name: &str) -> Option<Settled> {
        let mut value = vec![0; 1000];
        let len = rustix::fs::getxattr(self.file(name), SETTLED, &mut value[..]).ok()?;
        Some(Settled::decode(&value[..len]).unwrap())
    }

    fn add(&self) -> Vec<String> {
        let added = self.repo.add(&Everything, AddOptions::default(), &Silent).unwrap().added;
        added.iter().map(ToString::to_string).collect()
    }

    fn staged(&self, name: &str) -> (Content, u64) {
        let index = self.repo.index().unwrap();
        let entry = index.get(&path(name), Stage::Normal).unwrap();
        assert_eq!((entry.stat.ino, entry.stat.dev), (0, 0));
        (entry.content, entry.size)
    }

    fn unstaged(&self) -> Vec<String> {
        let status = self.repo.status(&Everything, StatusOptions::default(), &Silent).unwrap();
        assert!(status.unreadable.is_empty());
        status.unstaged.iter().map(|change| change.path.to_string()).collect()
    }
}

#[test]
fn what_is_base_content_is_not_read() {
    let Some(mount) = Mount::new() else { return };
    let lie = vec![0; 3 << 20];
    mount.say(FILM, &lie, &DriveContent::new(0, 3 << 20, mount.stored(), []));
    assert!(mount.unstaged().is_empty());
    // The same content under another name, as after `cp --reflink` or a rename.
    mount.say("copy.mov", b"lies", &DriveContent::new(5, 4, mount.stored(), []));
    std::fs::write(mount.file("copy.mov"), &lie).unwrap();
    let content = DriveContent::new(5, 3 << 20, mount.stored(), []);
    mount.say("copy.mov", &lie, &content);
    assert_eq!(mount.add(), ["copy.mov"]);
    assert_eq!(mount.staged("copy.mov"), (mount.film.content.clone(), 3 << 20));
    assert!(mount.settled("copy.mov").is_none());
}

#[test]
fn of_a_changed_file_only_what_surrounds_the_changes_is_read() {
    let Some(mount) = Mount::new() else { return };
    let mut bytes = noise(3 << 20);
    bytes[1 << 20..(1 << 20) + 100].fill(7);
    mount.rig.write("twin", "");
    std::fs::write(mount.rig.path("twin"), &bytes).unwrap();
    mount.rig.add();
    let twin = FileVersion::from(&mount.rig.repo.index().unwrap().get(&path("twin"), Stage::Normal).unwrap());
    // The end is not as it is said to be.
    bytes[2 << 20..].fill(0);
    let changed = 1 << 20..(1 << 20) + 100;
    mount.say(FILM, &bytes, &DriveContent::new(42, 3 << 20, mount.stored(), [changed]));
    assert_eq!(mount.unstaged(), [FILM]);
    assert_eq!(mount.add(), [FILM]);
    assert_eq!(mount.staged(FILM), (twin.content.clone(), 3 << 20));
    let stored = Stored::new(twin.content, 3 << 20).unwrap();
    assert_eq!(mount.settled(FILM), Some(Settled { generation: 42, stored }));
}

#[test]
fn bytes_that_were_written_over_with_themselves_are_no_change() {
    let Some(mount) = Mount::new() else { return };
    let mut bytes = noise(3 << 20);
    bytes[2 << 20..].fill(0);
    mount.say(FILM, &bytes, &DriveContent::new(1, 3 << 20, mount.stored(), [10..1000]));
    assert!(mount.unstaged().is_empty());
    // What is said to differ and does.
    mount.say(FILM, &bytes, &DriveContent::new(1, 3 << 20, mount.stored(), [10..1000, (3 << 20) - 1..3 << 20]));
    assert_eq!(mount.unstaged(), [FILM]);
}

#[test]
fn without_an_answer_files_are_read() {
    let Some(mount) = Mount::new() else { return };
    std::fs::write(mount.file(FILM), noise(3 << 20)).unwrap();
    std::fs::write(mount.file("new"), "new").unwrap();
    rustix::fs::setxattr(mount.file("new"), CONTENT, b"nonsense", XattrFlags::empty()).unwrap();
    assert!(mount.unstaged().is_empty());
    assert_eq!(mount.add(), ["new"]);
    assert_eq!(mount.staged("new").1, 3);
    assert!(mount.settled("new").is_none());
}

#[test]
fn outside_of_a_mount_nobody_is_believed() {
    let Some(mount) = Mount::new() else { return };
    let rig = &mount.rig;
    rig.write("liar", "true");
    let lie = DriveContent::new(0, 4, Stored::new(Content::Empty, 0).unwrap(), []);
    rustix::fs::setxattr(rig.path("liar"), CONTENT, &lie.encode(), XattrFlags::empty()).unwrap();
    rig.add();
    let index = rig.repo.index().unwrap();
    let entry = index.get(&path("liar"), Stage::Normal).unwrap();
    assert!(matches!(entry.content, Content::Chunk(_)) && entry.stat.ino != 0);
}

#[test]
fn files_are_placed_and_not_written() {
    let Some(mount) = Mount::new() else { return };
    std::fs::create_dir_all(mount.repo.layout().temp()).unwrap();
    let dirs = mount.repo.work_dirs().unwrap();
    let version = FileVersion { mode: crate::tree::Mode::Executable, ..mount.film.clone() };
    let outcome = write_version(&mount.repo, &dirs, &path(FILM), &version, &Silent, 1);
    // Nobody has made it.
    assert!(matches!(outcome, Err(RepoError::Vanished { .. })), "{outcome:?}");
    let mut value = vec![0; 1000];
    let folder = File::open(mount.file("shots")).unwrap();
    let len = rustix::fs::fgetxattr(&folder, PLACE, &mut value[..]).unwrap();
    let place = Place::decode(&value[..len]).unwrap();
    assert!(place.executable() && *place.stored() == mount.stored());
    assert!(place.name().starts_with(b".checkout-") && place.name().ends_with(b".tmp"));
    // A link is made as everywhere.
    let link = FileVersion { mode: crate::tree::Mode::Symlink, size: 3, content: Content::Symlink(b"far".to_vec()) };
    write_version(&mount.repo, &dirs, &path("link"), &link, &Silent, 1).unwrap();
    assert_eq!(std::fs::read_link(mount.file("link")).unwrap(), PathBuf::from("far"));
}
