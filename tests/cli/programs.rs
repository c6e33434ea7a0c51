//! Programs that people use, in a mount: each does there what it does in a plain folder, and it is there after mounting anew.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use dits_testkit::random::bytes;
use rustix::io::Errno;

use crate::mounting::{Drive, possible};
use crate::sharing::Studio;

/// A project whose branch `main` nobody is on.
fn project() -> Studio {
    let s = Studio::with_a_project();
    (0..40).for_each(|i| s.write(&format!("ada/many/{i:03}"), &bytes(i, 100 + i as usize * 700)));
    s.commit("ada", "more");
    s.dits("ada", "switch -q --detach").ok();
    s
}

/// What a script says when it is run in a folder.
#[track_caller]
fn run(s: &Studio, at: &str, script: &str) -> String {
    let mut shell = s.sandbox.command("sh");
    shell.args(["-euc", script]).current_dir(s.path(at));
    s.sandbox.run(shell).ok().out()
}

#[track_caller]
fn same(s: &Studio, one: &str, other: &str) {
    run(s, ".", &format!("diff -r --no-dereference --exclude=.dits {one} {other}"));
}

/// Runs a script in a mount and in a checkout of the same version: it must say the same and leave the same, also when it
/// is mounted anew, and the files must be what dits says that they are.
#[track_caller]
fn as_in_a_folder(test: &str, programs: &[&str], script: &str) {
    if let Some(lacking) = programs.iter().find(|program| !dits_testkit::installed(program)) {
        return dits_testkit::skip(test, &format!("{lacking} is not installed"));
    }
    if !possible(test) {
        return;
    }
    let s = project();
    let drive = Drive::writable(&s, "ada", "--ref main ");
    let (there, here) = (run(&s, "m", script), run(&s, "ada", script));
    assert_eq!(there, here);
    same(&s, "ada", "m");
    drive.unmount();
    let drive = Drive::writable(&s, "ada", "");
    same(&s, "ada", "m");
    s.dits("m", "add -A").ok();
    s.dits("m", "commit -q -m done").ok();
    same(&s, "ada", "m");
    drive.unmount();
    let drive = Drive::writable(&s, "ada", "");
    same(&s, "ada", "m");
    drive.unmount();
}

#[test]
fn git_keeps_a_repository_in_a_mount() {
    as_in_a_folder(
        "git_keeps_a_repository_in_a_mount",
        &["git"],
        "mkdir g; cd g; git init -q -b main .; cp -r ../many ../notes.txt .; git add .; git commit -qm one
        for i in 1 2 3 4 5; do echo $i >>notes.txt; git commit -qam $i; done
        git mv many few; git commit -qm moved; git checkout -q -b side HEAD~2; echo x >x; git add x; git commit -qm x
        git checkout -q main; git merge -q --no-edit side; git gc -q; git repack -adq; git fsck --full 2>&1
        git clone -q . ../clone; git -C ../clone log --format=%s%T; git status --porcelain; git -C ../clone status --porcelain
        # Git notes when files changed, and inode numbers.
        rm -rf .git/index ../clone/.git/index .git/logs ../clone/.git/logs ../clone/.git/config
        mv .git was.git; mv ../clone/.git ../clone/was.git",
    );
}

#[test]
fn sqlite_keeps_a_database_in_a_mount() {
    as_in_a_folder(
        "sqlite_keeps_a_database_in_a_mount",
        &["sqlite3"],
        "for mode in wal delete truncate persist; do
            sqlite3 $mode.db \"PRAGMA journal_mode=$mode; CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)\"
            for who in 1 2; do
                (for i in 1 2 3 4 5; do
                    sqlite3 -cmd '.timeout 60000' $mode.db \"INSERT INTO t(v) SELECT zeroblob(3000) FROM generate_series(1,50)\"
                done) &
            done; wait
            sqlite3 $mode.db \"BEGIN; UPDATE t SET v=hex(id) WHERE id%3=0; ROLLBACK; DELETE FROM t WHERE id%7=0; VACUUM;
                PRAGMA integrity_check; SELECT count(*), sum(length(v)) FROM t\"
            sqlite3 $mode.db .dump >$mode.sql; cksum $mode.sql
        done; rm -f *.db*",
    );
}

#[test]
fn editors_and_copies_work_in_a_mount() {
    as_in_a_folder(
        "editors_and_copies_work_in_a_mount",
        &["vim", "tar", "dd"],
        "vim -es -u NONE -c '%s/two/three/' -c 'wq' notes.txt; cat notes.txt
        vim -es -u NONE --cmd 'set backup writebackup backupcopy=yes' -c 'normal Goend' -c 'wq' notes.txt; cat notes.txt
        cp -a shots copied; cp -a film.mov film2.mov; tar cf - many | (mkdir untarred; cd untarred; tar xf -)
        tar cf all.tar --exclude=.dits --exclude=all.tar --mtime=@0 --owner=0 --group=0 --mode=644 --sort=name many; cksum all.tar
        dd if=film.mov of=dd.bin bs=70001 conv=fsync 2>/dev/null
        dd if=notes.txt of=film.mov bs=3 seek=300001 conv=notrunc,fsync 2>/dev/null
        dd if=/dev/zero of=dd.bin bs=4096 seek=99 count=3 oflag=direct conv=notrunc 2>/dev/null
        mv many fewer; mv fewer/001 shots/; mkdir -p x/y; mv shots x/y/; mv x/y/shots/010 .; rmdir 010 2>&1 | wc -l
        touch -d @1234567890 film2.mov; stat -c '%Y %s %a' film2.mov; sed -i s/one/uno/ notes.txt; ln -s film.mov link
        truncate -s 12345 dd.bin; truncate -s +7M dd.bin; cksum dd.bin film.mov link; split -b 1M film.mov part; cat part* | cmp - film.mov
        rm -rf untarred/many x/y/shots/020; find . -path ./.dits -prune -o -type f -print | sort | grep -v ^./.dits",
    );
}

#[test]
fn rsync_copies_into_a_mount_and_out_of_it() {
    as_in_a_folder(
        "rsync_copies_into_a_mount_and_out_of_it",
        &["rsync"],
        "mkdir src; cp -r many shots src/; ln -s many/001 src/link; touch -d @1000000000 src/many/003; chmod 600 src/many/004
        rsync -a src/ into/; rsync -ai src/ into/; rsync -a --inplace --no-whole-file src/ into/
        echo more >>src/many/005; rm src/many/006; rsync -ai --delete --checksum src/ into/ | cut -c1-4,12- | grep -v ^.d
        rsync -ai src/ into/; diff -r src into; stat -c %a into/many/003 into/many/004; stat -c %Y into/many/003",
    );
}

#[test]
fn ffmpeg_writes_films_in_a_mount() {
    as_in_a_folder(
        "ffmpeg_writes_films_in_a_mount",
        &["ffmpeg"],
        "f='ffmpeg -nostdin -v error -y -bitexact'
        $f -f lavfi -i testsrc=size=320x180:rate=25:duration=4 -f lavfi -i sine=duration=4 -c:v mpeg4 -q:v 3 -c:a aac -flags bitexact a.mp4
        $f -i a.mp4 -c copy -movflags +faststart b.mp4; $f -ss 1 -t 2 -i b.mp4 -c copy c.mov
        $f -i a.mp4 -c copy -f segment -segment_time 1 s%02d.ts; cksum a.mp4 b.mp4 c.mov s*.ts; $f -i b.mp4 -f framemd5 -",
    );
}

#[test]
fn a_file_that_is_replaced_is_there_all_the_time() {
    if !possible("a_file_that_is_replaced_is_there_all_the_time") {
        return;
    }
    let s = project();
    let drive = Drive::writable(&s, "ada", "--ref main ");
    let (path, temp, over) = (drive.path("notes.txt"), drive.path("notes.new"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let read = fs::read(&path).and_then(|read| fs::metadata(&path).map(|_| read));
                    match read {
                        Ok(read) => {
                            assert!(read == b"one\ntwo\n" || read.len() == 100 && read.iter().all(|b| *b == read[0]))
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        for i in 0..2_000_u32 {
            fs::write(&temp, [i as u8; 100]).unwrap();
            fs::rename(&temp, &path).unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    drive.unmount();
}

#[test]
fn what_is_removed_while_a_folder_is_listed_stays_removed() {
    if !possible("what_is_removed_while_a_folder_is_listed_stays_removed") {
        return;
    }
    let s = project();
    let name = |i: u32| format!("{i:04}-{}", "x".repeat(150));
    (0..1_500).for_each(|i| s.write(&format!("ada/long/{}", name(i)), b"base"));
    s.dits("ada", "switch -q main").ok();
    s.commit("ada", "long");
    s.dits("ada", "switch -q --detach").ok();
    let drive = Drive::writable(&s, "ada", "--ref main ");
    let made = drive.path("made");
    fs::create_dir(&made).unwrap();
    (0..1_500).for_each(|i| fs::write(made.join(name(i)), b"made").unwrap());
    for folder in [drive.path("long"), made] {
        let mut listing = fs::read_dir(&folder).unwrap();
        let first = listing.next().unwrap().unwrap();
        fs::symlink_metadata(first.path()).unwrap();
        fs::remove_file(folder.join(name(1_499))).unwrap();
        fs::rename(folder.join(name(1_498)), folder.join("a")).unwrap();
        for entry in listing {
            let _ = fs::symlink_metadata(entry.unwrap().path());
        }
        for gone in [1_498, 1_499] {
            assert!(!folder.join(name(gone)).exists(), "{gone} in {}", folder.display());
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1_499);
    }
    drive.unmount();
}

#[test]
fn attributes_in_a_mount_are_those_of_any_file_system() {
    if !possible("attributes_in_a_mount_are_those_of_any_file_system") {
        return;
    }
    let s = project();
    let drive = Drive::writable(&s, "ada", "--ref main ");
    let links = |file: &fs::File| file.metadata().unwrap().nlink();
    for name in ["notes.txt", "new"] {
        fs::File::options().create(true).append(true).open(drive.path(name)).unwrap();
        let open = fs::File::open(drive.path(name)).unwrap();
        assert_eq!(links(&open), 1);
        fs::remove_file(drive.path(name)).unwrap();
        assert_eq!(links(&open), 0, "{name} has no name any more");
    }
    run(
        &s,
        "m",
        "mkdir d; chmod 2755 d; chown 5:6 d; test $(stat -c %a d) = 2755; mkdir d/e; test $(stat -c %a%g d/e) = 27556",
    );
    run(&s, "m", "echo x >f; chmod 6755 f; chown 5:6 f; test $(stat -c %a f) = 755");
    let linked = fs::hard_link(drive.path("film.mov"), drive.path("film2.mov")).unwrap_err();
    assert_eq!(linked.raw_os_error(), Some(Errno::PERM.raw_os_error()));
    let refused = fs::write(drive.path(".dits"), b"x").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(Errno::PERM.raw_os_error()));
    assert!(Path::new(&drive.path(".dits")).exists());
    drive.unmount();
}
