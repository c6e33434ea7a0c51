//! The last part of the demo: the project as a drive, a file streamed from it, an edit and a commit in it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use dits_testkit::random;

use super::Demo;
use crate::Failure;

/// Bytes that are changed in the middle of a file.
const EDIT: usize = 100_000;

/// A drive, which is unmounted with this.
struct Drive<'a> {
    demo: &'a Demo,
    point: PathBuf,
    mounted: bool,
}

impl Drop for Drive<'_> {
    fn drop(&mut self) {
        if self.mounted {
            // What failed before is what is said.
            let _ = self.demo.dits(&["unmount", "--force", &self.point.display().to_string()]);
        }
    }
}

impl Demo {
    pub(super) fn drive(&self, url: &str) -> Result<(), Failure> {
        println!("\n# Or nothing is copied at all: the project as a drive");
        if !Path::new("/dev/fuse").exists() {
            println!("skipped: there is no /dev/fuse here");
            return Ok(());
        }
        let point = self.folder().join("drive");
        fs::create_dir_all(&point)?;
        let shown = point.display().to_string();
        self.dits(&["mount", url, &shown])?;
        let mut drive = Drive { demo: self, point: point.clone(), mounted: true };
        let there = Self { project: point.clone(), ..self.clone() };
        there.show("cd", &[&shown]);
        let largest = self.largest()?;
        let name = largest.strip_prefix(&self.project).unwrap_or(&largest).to_owned();
        let file = point.join(&name);
        println!("\n# A file comes as it is read");
        there.show("cmp", &[&name.to_string_lossy(), &largest.display().to_string()]);
        let (begin, same) = (Instant::now(), same_bytes(&largest, &file)?);
        if !same {
            return Err(Failure::Failed(format!("{} differs", file.display())));
        }
        println!("identical: {} bytes in {:.1} s", fs::metadata(&file)?.len(), begin.elapsed().as_secs_f64());
        println!("\n# A change in the middle of it is a commit of the change");
        let middle = fs::metadata(&file)?.len() / 2;
        let writing = File::options().write(true).open(&file)?;
        writing.write_all_at(&random::bytes(5, EDIT), middle)?;
        drop(writing);
        there.dits(&["status"])?;
        there.dits(&["commit", "-a", "-m", "A change made in the drive"])?;
        there.dits(&["push"])?;
        there.dits(&["mounts"])?;
        self.dits(&["unmount", &shown])?;
        drive.mounted = false;
        Ok(())
    }
}

/// Whether two files have the same bytes.
fn same_bytes(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut ours, mut theirs) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let count = one.read(&mut ours)?;
        if count == 0 {
            return Ok(other.read(&mut theirs)? == 0);
        }
        match other.read_exact(&mut theirs[..count]) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        if ours[..count] != theirs[..count] {
            return Ok(false);
        }
    }
}
