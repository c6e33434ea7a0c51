//! Real media made by ffmpeg with fixed seeds: the same versions of the same footage on every machine with the same
//! ffmpeg. h264 with noise is as incompressible as a camera's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::bounded;

const LIMIT: Duration = Duration::from_secs(900);

/// How much to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// 12 s of 720p: about 12 MB a version; seconds to make.
    Small,
    /// 90 s of 720p: about 90 MB a version; half a minute.
    Normal,
    /// As `Normal`, and a ProRes mov of at least 1 GB.
    Large,
}

/// A version of the base file, by the one `ffmpeg` call that makes it from the base.
#[derive(Debug, Clone, Copy)]
pub struct Version {
    /// Its file name.
    pub name: &'static str,
    /// What was done to the base, for people.
    pub what: &'static str,
    /// Arguments before the output name; `BASE` stands for the base file.
    args: &'static [&'static str],
}

impl Version {
    /// The arguments for [`derive`].
    #[must_use]
    pub fn args(&self) -> &'static [&'static str] {
        self.args
    }
}

/// The base file's name.
pub const BASE: &str = "base.mp4";

/// The ProRes file's name ([`Scale::Large`]).
pub const PRORES: &str = "prores.mov";

/// Every version made from the base.
pub const VERSIONS: [Version; 7] = [
    Version { name: "base.mov", what: "remuxed to QuickTime", args: &["-i", BASE, "-c", "copy"] },
    Version { name: "base.mkv", what: "remuxed to Matroska", args: &["-i", BASE, "-c", "copy"] },
    Version {
        name: "fast.mp4",
        what: "index moved to the front",
        args: &["-i", BASE, "-c", "copy", "-movflags", "+faststart"],
    },
    Version {
        name: "frag.mp4",
        what: "fragmented",
        args: &["-i", BASE, "-c", "copy", "-movflags", "frag_keyframe+empty_moov+default_base_moof"],
    },
    Version {
        name: "trim_head.mp4",
        what: "the first seconds cut off without re-encoding",
        args: &["-ss", "4.5", "-i", BASE, "-c", "copy"],
    },
    Version {
        name: "audio_delay.mp4",
        what: "sound shifted by 0.2 s",
        args: &["-i", BASE, "-itsoffset", "0.2", "-i", BASE, "-map", "0:v", "-map", "1:a", "-c", "copy"],
    },
    Version {
        name: "metadata.mp4",
        what: "a title set",
        args: &["-i", BASE, "-c", "copy", "-metadata", "title=Second cut"],
    },
];

/// Whether ffmpeg can be run; says for `test` that it is missing otherwise.
#[must_use]
pub fn available(test: &str) -> bool {
    let works = crate::installed("ffmpeg");
    if !works {
        crate::skip(test, "ffmpeg is not installed (apt-get install ffmpeg)");
    }
    works
}

/// Makes the base file, its versions and, for [`Scale::Large`], the ProRes file in `folder`; what is there already is
/// kept. Returns the files, the base first.
///
/// # Errors
/// When ffmpeg is missing or fails.
pub fn make(folder: &Path, scale: Scale) -> io::Result<Vec<PathBuf>> {
    let mut made = vec![base(folder, scale)?];
    for version in VERSIONS {
        made.push(derive(folder, version.name, version.args)?);
    }
    if scale == Scale::Large {
        made.push(prores(folder)?);
    }
    Ok(made)
}

/// Makes only the base file.
///
/// # Errors
/// As [`make`].
pub fn base(folder: &Path, scale: Scale) -> io::Result<PathBuf> {
    let seconds = if scale == Scale::Small { 12 } else { 90 };
    let video = format!("testsrc2=s=1280x720:r=30:d={seconds},noise=alls=12:allf=t:all_seed=7");
    let audio = format!("anoisesrc=d={seconds}:c=pink:a=0.3:seed=7,aformat=channel_layouts=stereo");
    let inputs = ["-f", "lavfi", "-i", &video, "-f", "lavfi", "-i", &audio];
    let codec = [
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-b:v",
        "8M",
        "-maxrate",
        "9M",
        "-bufsize",
        "16M",
        "-g",
        "60",
        "-keyint_min",
        "60",
        "-sc_threshold",
        "0",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
        "-b:a",
        "192k",
    ];
    derive(folder, BASE, &[inputs.as_slice(), codec.as_slice()].concat())
}

/// Makes only the ProRes file, at least 1 GB.
///
/// # Errors
/// As [`make`].
pub fn prores(folder: &Path) -> io::Result<PathBuf> {
    let video = "testsrc2=s=1920x1080:r=25:d=17,noise=alls=20:allf=t:all_seed=11";
    derive(folder, PRORES, &["-f", "lavfi", "-i", video, "-c:v", "prores_aw", "-profile:v", "3", "-qscale:v", "4"])
}

/// Runs ffmpeg in `folder` and gives its output the name only when it is whole.
///
/// # Errors
/// As [`make`].
pub fn derive(folder: &Path, name: &str, args: &[&str]) -> io::Result<PathBuf> {
    let path = folder.join(name);
    if path.exists() {
        return Ok(path);
    }
    fs::create_dir_all(folder)?;
    let partial = format!("partial-{name}");
    let mut command = Command::new("ffmpeg");
    command.current_dir(folder).args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"]);
    // bitexact leaves out the versions of encoder and muxer and the date.
    command.args(args).args(["-fflags", "+bitexact", "-flags", "+bitexact", "-threads", "2", &partial]);
    let done = bounded::run(&mut command, b"", LIMIT)?;
    if done.code != Some(0) {
        let _ = fs::remove_file(folder.join(&partial));
        return Err(io::Error::other(done.to_string()));
    }
    fs::rename(folder.join(partial), &path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_versions_of_real_footage() {
        if !available("makes_versions_of_real_footage") {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let made = make(dir.path(), Scale::Small).unwrap();
        assert_eq!(made.len(), 1 + VERSIONS.len());
        let sizes: Vec<u64> = made.iter().map(|path| fs::metadata(path).unwrap().len()).collect();
        assert!(sizes.iter().all(|size| (5 << 20..40 << 20).contains(size)), "{sizes:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), made.len(), "nothing partial is left");
    }
}
