//! `cargo xtask demo`: the main job from beginning to end, with every command shown as a person would type it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dits_testkit::media::{self, Scale};
use dits_testkit::{Snapshot, edit, random};

use crate::{Failure, packages, place};

mod drive;
mod share;

/// What to version.
#[derive(clap::Args)]
pub struct Args {
    /// A folder with media of your own; it is copied, never changed. Without one, ffmpeg makes some video.
    folder: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    if let Some(folder) = &args.folder
        && !folder.is_dir()
    {
        return Err(Failure::Missing(format!("{} is not a folder", folder.display())));
    }
    if args.folder.is_none() {
        packages::ensure(packages::DEMO)?;
    }
    println!("Building dits …");
    let demo = Demo::prepare(place::build_dits()?)?;
    demo.fill(args.folder.as_deref())?;
    demo.tell()
}

#[derive(Clone)]
struct Demo {
    dits: PathBuf,
    project: PathBuf,
    checkout: PathBuf,
}

impl Demo {
    fn prepare(dits: PathBuf) -> Result<Self, Failure> {
        let folder = place::target().join("demo");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let project = folder.join("project");
        fs::create_dir_all(&project)?;
        Ok(Self { dits, project, checkout: folder.join("checkout") })
    }

    /// Puts the media to version into the project folder.
    fn fill(&self, folder: Option<&Path>) -> Result<(), Failure> {
        let media = place::target().join("media");
        if let Some(folder) = folder {
            println!("Copying {} …", folder.display());
            return copy(&folder.join("."), &self.project);
        }
        println!("Making 90 seconds of video …");
        let base = media::base(&media, Scale::Normal)?;
        copy(&base, &self.project.join("interview.mp4"))?;
        fs::create_dir(self.project.join("notes"))?;
        fs::write(self.project.join("notes/edit.xml"), random::text(1, 200_000))?;
        Ok(())
    }

    fn tell(&self) -> Result<(), Failure> {
        println!("\n# A repository, and the first version in it");
        self.show("cd", &[&self.project.display().to_string()]);
        self.dits(&["init"])?;
        self.dits(&["add", "-A"])?;
        self.dits(&["commit", "-m", "First cut"])?;
        println!("\n# Edits: a new version without its first seconds, more at the end, another name");
        self.edit()?;
        self.dits(&["status"])?;
        self.dits(&["add", "-A"])?;
        self.dits(&["commit", "-m", "Trimmed, appended, renamed"])?;
        self.dits(&["log", "--oneline"])?;
        println!("\n# What that took");
        self.dits(&["du"])?;
        self.dits(&["count-objects"])?;
        println!("\n# Out again, into another folder, and compared byte for byte");
        self.dits(&["worktree", "add", &self.checkout.display().to_string()])?;
        self.compare()?;
        self.dits(&["fsck", "--full"])?;
        self.share()?;
        println!("\nThe repository is {}", self.project.display());
        println!("Try next, there:  dits log --stat   ·   dits diff HEAD~1..HEAD   ·   dits inspect FILE");
        println!("The program is {}", self.dits.display());
        Ok(())
    }

    fn edit(&self) -> Result<(), Failure> {
        let largest = self.largest()?;
        let name = largest.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = largest.parent().unwrap_or(&self.project);
        let trimmed = format!("trimmed-{name}");
        let ffmpeg = ["-ss", "4.5", "-i", &name, "-map", "0", "-c", "copy"];
        let by_ffmpeg =
            is_video(&name) && dits_testkit::installed("ffmpeg") && media::derive(folder, &trimmed, &ffmpeg).is_ok(); // not all that is called .mov is a movie
        if by_ffmpeg {
            self.show("ffmpeg", &[ffmpeg.as_slice(), &[&trimmed]].concat());
        } else {
            let cut = fs::metadata(&largest)?.len() / 20;
            self.show("tail", &["-c", &format!("+{}", cut + 1), &name, ">", &trimmed]);
            copy(&largest, &folder.join(&trimmed))?;
            edit::remove(&folder.join(&trimmed), 0, cut)?;
        }
        self.show("head", &["-c", "1M", "/dev/urandom", ">>", &trimmed]);
        edit::append(&folder.join(&trimmed), &random::bytes(3, 1 << 20))?;
        let inside = largest.strip_prefix(&self.project).unwrap_or(&largest);
        let renamed = inside.with_file_name(format!("renamed-{name}"));
        self.dits(&["mv", &inside.to_string_lossy(), &renamed.to_string_lossy()])
    }

    fn largest(&self) -> Result<PathBuf, Failure> {
        let all = Snapshot::of(&self.project)?;
        let files = all.nodes.iter().filter_map(|(path, node)| match node {
            dits_testkit::Node::File { size, .. } => Some((*size, path)),
            _ => None,
        });
        let (_, path) = files.max().ok_or_else(|| Failure::Missing("the folder holds no file".to_owned()))?;
        Ok(self.project.join(path))
    }

    fn compare(&self) -> Result<(), Failure> {
        self.show("diff", &["-r", "--exclude=.dits", ".", &self.checkout.display().to_string()]);
        let differences = Snapshot::of(&self.project)?.differences(&Snapshot::of(&self.checkout)?)?;
        if differences.is_empty() {
            println!("identical");
            return Ok(());
        }
        Err(Failure::Failed(format!("the checkout differs:\n  {}", differences.join("\n  "))))
    }

    fn show(&self, program: &str, args: &[&str]) {
        let words = args.iter().map(|arg| if arg.contains(' ') { format!("'{arg}'") } else { (*arg).to_owned() });
        println!("$ {program} {}", words.collect::<Vec<_>>().join(" "));
    }

    fn dits(&self, args: &[&str]) -> Result<(), Failure> {
        self.show("dits", args);
        let mut command = Command::new(&self.dits);
        command.current_dir(&self.project).arg("--no-pager").args(args);
        // What is remembered of servers and tokens is the demo's own.
        let folder = self.checkout.parent().unwrap_or(&self.checkout);
        command.env("DITS_CONFIG_GLOBAL", folder.join("config.toml"));
        command.env("XDG_CACHE_HOME", folder.join("cache"));
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("DITS_{who}_NAME"), "Demo").env(format!("DITS_{who}_EMAIL"), "demo@example.org");
        }
        let status = command.status()?;
        if status.success() { Ok(()) } else { Err(Failure::Failed(format!("`dits {}`: {status}", args.join(" ")))) }
    }
}

fn is_video(name: &str) -> bool {
    [".mp4", ".mov", ".m4v", ".mkv"].iter().any(|end| name.to_ascii_lowercase().ends_with(end))
}

/// Copies with shared extents where the file system can.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let status = Command::new("cp").args(["-r", "--reflink=auto", "--"]).args([from, to]).status()?;
    if status.success() { Ok(()) } else { Err(Failure::Failed(format!("{} cannot be copied", from.display()))) }
}
