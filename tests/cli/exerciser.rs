//! One file of a mount against a copy in memory: reads, writes, lengths, holes and mappings in random order, as `fsx` does.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use dits_testkit::SplitMix64;
use dits_testkit::random::bytes;
use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};

use crate::mounting::{Drive, possible};
use crate::sharing::Studio;

/// The file is never longer,
const LONGEST: u64 = 1_500_000;
/// and no step about more than this.
const STEP: u64 = 50_000;

/// Reads and writes a mapping of the file; Rust would need `unsafe` for that.
const MAPPER: &str = "
import mmap, os, sys
for line in sys.stdin:
    what, path, at, rest = line.split()
    fd, at = os.open(path, os.O_RDWR), int(at)
    with mmap.mmap(fd, 0) as m:
        if what == 'r':
            print(m[at:at + int(rest)].hex(), flush=True)
        else:
            new = bytes.fromhex(rest)
            m[at:at + len(new)] = new
            print('written', flush=True)
    os.close(fd)
";

struct Mapper {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Mapper {
    fn start(s: &Studio) -> Option<Self> {
        let mut probe = s.sandbox.command("python3");
        // What is called so may still not run.
        if !probe.args(["-c", "import mmap"]).output().is_ok_and(|done| done.status.success()) {
            return None;
        }
        let mut command = s.sandbox.command("python3");
        command.args(["-c", MAPPER]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().ok()?;
        let (to, from) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        Some(Self { child, to, from })
    }

    fn ask(&mut self, what: &str, path: &Path, at: u64, rest: &str) -> String {
        writeln!(self.to, "{what} {} {at} {rest}", path.display()).unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Mapper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The file and what it should be.
struct Exerciser {
    path: PathBuf,
    file: File,
    model: Vec<u8>,
    random: SplitMix64,
    mapper: Option<Mapper>,
    /// The last steps, for whoever has to find out.
    story: Vec<String>,
}

impl Exerciser {
    fn open(path: &Path) -> File {
        OpenOptions::new().read(true).write(true).open(path).unwrap()
    }

    fn range(&mut self, most: u64) -> (u64, usize) {
        let at = self.random.below(most + 1);
        // Often less than a page, and seldom aligned with one.
        let len = if self.random.below(2) == 0 { self.random.below(3_000) } else { self.random.below(STEP) };
        (at, len.min(most - at) as usize)
    }

    fn note(&mut self, what: String) {
        if self.story.len() == 100 {
            self.story.remove(0);
        }
        self.story.push(what);
    }

    #[track_caller]
    fn same(&self, read: &[u8], at: u64) {
        let expected = &self.model[at as usize..at as usize + read.len()];
        if let Some(first) = read.iter().zip(expected).position(|(read, expected)| read != expected) {
            let story = self.story.join("\n");
            panic!(
                "byte {} of {} is {}, not {}\n{story}",
                at as usize + first,
                self.model.len(),
                read[first],
                expected[first]
            );
        }
    }

    fn step(&mut self) {
        let size = self.model.len() as u64;
        match self.random.below(100) {
            0..30 => self.read(size),
            30..60 => self.write(),
            60..66 => self.resize(size),
            66..80 => self.punch(size),
            80..83 => self.grow(size),
            83..88 => self.map(size),
            88..92 => {
                self.note("close, open".to_owned());
                self.file = Self::open(&self.path);
            }
            92..96 => {
                self.note("sync".to_owned());
                self.file.sync_data().unwrap();
            }
            _ => {
                self.note("sync, forget".to_owned());
                self.file.sync_all().unwrap();
                // What is read now comes from the daemon.
                fadvise(&self.file, 0, None, Advice::DontNeed).unwrap();
            }
        }
    }

    fn read(&mut self, size: u64) {
        let (at, len) = self.range(size);
        self.note(format!("read {at}+{len}"));
        let mut read = vec![0; len];
        self.file.read_exact_at(&mut read, at).unwrap();
        self.same(&read, at);
    }

    fn write(&mut self) {
        let (at, len) = self.range(LONGEST);
        self.note(format!("write {at}+{len}"));
        let new = bytes(self.random.word(), len);
        self.file.write_all_at(&new, at).unwrap();
        if len > 0 {
            let (at, end) = (at as usize, at as usize + len);
            self.model.resize(self.model.len().max(end), 0);
            self.model[at..end].copy_from_slice(&new);
        }
    }

    fn resize(&mut self, size: u64) {
        // Mostly near to what it is.
        let to = match self.random.below(8) {
            0 => 0,
            1..4 => self.random.below(LONGEST),
            _ => (size + self.random.below(10_000)).saturating_sub(5_000).min(LONGEST),
        };
        self.note(format!("length {to}"));
        self.file.set_len(to).unwrap();
        self.model.resize(to as usize, 0);
    }

    fn punch(&mut self, size: u64) {
        let (at, len) = self.range(LONGEST);
        let kind = self.random.below(3);
        self.note(format!("{} {at}+{len}", ["hole", "zeros within", "zeros"][kind as usize]));
        if len == 0 {
            return;
        }
        let flags = match kind {
            0 => FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            1 => FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE,
            _ => FallocateFlags::ZERO_RANGE,
        };
        fallocate(&self.file, flags, at, len as u64).unwrap();
        let end = at + len as u64;
        let end = if kind == 2 { end } else { end.min(size) };
        self.model.resize(size.max(if kind == 2 { end } else { 0 }) as usize, 0);
        if at < end {
            self.model[at as usize..end as usize].fill(0);
        }
    }

    fn grow(&mut self, size: u64) {
        let (at, len) = self.range(LONGEST);
        self.note(format!("allocate {at}+{len}"));
        if len > 0 {
            fallocate(&self.file, FallocateFlags::empty(), at, len as u64).unwrap();
            self.model.resize(size.max(at + len as u64) as usize, 0);
        }
    }

    fn map(&mut self, size: u64) {
        let (at, len) = self.range(size);
        let len = len.min(9_000);
        let (Some(mapper), 1..) = (&mut self.mapper, len) else { return };
        if self.random.below(2) == 0 {
            let read = mapper.ask("r", &self.path, at, &len.to_string());
            self.note(format!("read mapping {at}+{len}"));
            assert!(read == hex(&self.model[at as usize..at as usize + len]), "{}", self.story.join("\n"));
        } else {
            let new = bytes(self.random.word(), len);
            assert_eq!(mapper.ask("w", &self.path, at, &hex(&new)), "written");
            self.note(format!("write mapping {at}+{len}"));
            self.model[at as usize..at as usize + len].copy_from_slice(&new);
        }
    }

    fn whole(&self) {
        let read = std::fs::read(&self.path).unwrap();
        assert_eq!(read.len(), self.model.len(), "{}", self.story.join("\n"));
        self.same(&read, 0);
    }
}

fn exercise(seed: u64, steps: u64) {
    let s = Studio::with_a_project();
    s.write("ada/clip.mov", &bytes(60 + seed, 900_001));
    s.commit("ada", "clip");
    s.dits("ada", "switch -q --detach").ok();
    let mut drive = Drive::writable(&s, "ada", "--ref main ");
    let path = drive.path("clip.mov");
    let mapper = Mapper::start(&s);
    if mapper.is_none() {
        dits_testkit::skip("mappings in the exerciser", "python3 is not installed");
    }
    let (file, random) = (Exerciser::open(&path), SplitMix64::new(seed));
    let mut it = Exerciser { path, file, model: bytes(60 + seed, 900_001), random, mapper, story: Vec::new() };
    let part = (steps / 5).min(20_000);
    for done in 1..=steps {
        it.step();
        if done % part == 0 {
            it.whole();
            match done / part % 3 {
                // What was changed becomes the base content, while the file is open.
                0 => _ = s.dits("m", "add clip.mov").ok(),
                1 => _ = s.dits("m", "commit -q -a -m part").ok(),
                _ => {
                    it.file = File::open("/dev/null").unwrap();
                    drive.unmount();
                    drive = Drive::writable(&s, "ada", "");
                    it.file = Exerciser::open(&it.path);
                }
            }
            it.whole();
        }
    }
    it.file = File::open("/dev/null").unwrap();
    s.dits("m", "add clip.mov").ok();
    let stored = s.dits("m", "cat-file -p :clip.mov").ok().stdout;
    assert!(stored == it.model, "what was added is what was written");
    drive.unmount();
}

#[test]
fn a_file_in_a_mount_is_what_was_done_to_it() {
    if possible("a_file_in_a_mount_is_what_was_done_to_it") {
        exercise(1, 20_000);
    }
}

#[test]
fn a_file_in_a_mount_is_what_was_done_to_it_for_long() {
    let test = "a_file_in_a_mount_is_what_was_done_to_it_for_long";
    if dits_testkit::long(test) && possible(test) {
        (2..22).for_each(|seed| exercise(seed, 1_000_000));
    }
}
