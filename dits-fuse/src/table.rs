//! Which mounts of dits there are, by the kernel's own table, and ending them.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use crate::details::Details;

/// How the source of a mount begins in the kernel's table; the repository follows. The type alone would not do: `fuse.dits`
/// is what the helper of ordinary users makes of it, root's own mounts are listed as `fuse`.
pub const SOURCE: &str = "dits:";
/// How long a daemon may take to say that it lives.
const PATIENCE: Duration = Duration::from_secs(2);

/// A mount of dits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The folder.
    pub point: PathBuf,
    /// The repository's folder, as far as the kernel's table can say it.
    pub source: String,
}

impl Mount {
    /// Whether it is of the repository in this folder, as far as the kernel's table can say.
    #[must_use]
    pub fn is_of(&self, repository: &Path) -> bool {
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        source(&repository.to_string_lossy()).strip_prefix(SOURCE) == Some(&self.source)
            || real(Path::new(&self.source)) == real(repository)
    }
}

/// How the kernel's table names a repository. Options are separated by commas, which the helper of ordinary users cannot
/// be told apart from those in a value.
#[must_use]
pub fn source(repository: &str) -> String {
    format!("{SOURCE}{}", repository.replace([',', '\\', '\n'], "_"))
}

/// What a mount's daemon says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It lives.
    Alive(Details),
    /// It is gone: every access fails with "Transport endpoint is not connected".
    Dead,
    /// It does not answer, or not to this user.
    Silent(String),
}

/// All mounts of dits that this process can see, in the order in which they were made.
///
/// # Errors
/// When the kernel's table cannot be read.
pub fn mounts() -> io::Result<Vec<Mount>> {
    Ok(fs::read("/proc/self/mountinfo")?.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

/// A line of the table, if it is of a mount of dits.
fn parse(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = fields.iter().position(|field| *field == b"-")?;
    let (kind, source) = (fields.get(dash + 1)?, fields.get(dash + 2)?);
    let source = unescape(source);
    let source = source.strip_prefix(SOURCE.as_bytes()).filter(|_| kind.starts_with(b"fuse"))?;
    let point = PathBuf::from(OsString::from_vec(unescape(fields.get(4)?)));
    Some(Mount { point, source: String::from_utf8_lossy(source).into_owned() })
}

/// The kernel writes spaces, tabs, newlines and backslashes as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(field.len()), field);
    while let [byte, after @ ..] = rest {
        let code = after.get(..3).filter(|_| *byte == b'\\').and_then(|code| std::str::from_utf8(code).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 8).ok());
        rest = if code.is_some() { &after[3..] } else { after };
        out.push(code.unwrap_or(*byte));
    }
    out
}

/// Asks a mount's daemon.
#[must_use]
pub fn health(point: &Path) -> Health {
    let (send, receive) = channel();
    let asked = point.to_owned();
    // A daemon that was stopped answers never; the thread that asks it is left behind.
    let spawned = thread::Builder::new().name("ask".to_owned()).spawn(move || _ = send.send(Details::ask(&asked)));
    match spawned.map(|_| receive.recv_timeout(PATIENCE)) {
        Ok(Ok(Ok(details))) => Health::Alive(details),
        Ok(Ok(Err(error))) if error.kind() == io::ErrorKind::NotConnected => Health::Dead,
        Ok(Ok(Err(error))) => Health::Silent(error.to_string()),
        Ok(Err(_)) => Health::Silent("it does not answer".to_owned()),
        Err(error) => Health::Silent(error.to_string()),
    }
}

/// Ends a mount. `lazily` takes it away although somebody uses it: who has a file open may go on until the daemon ends.
///
/// # Errors
/// When somebody uses it, or the user may not.
pub fn unmount(point: &Path, lazily: bool) -> io::Result<()> {
    let flags = if lazily { UnmountFlags::DETACH } else { UnmountFlags::empty() };
    match rustix::mount::unmount(point, flags | UnmountFlags::NOFOLLOW) {
        // What an ordinary user mounted with its help, they unmount with its help.
        Err(Errno::PERM) => with_helper(point, lazily),
        done => Ok(done?),
    }
}

fn with_helper(point: &Path, lazily: bool) -> io::Result<()> {
    let mut command = Command::new("fusermount3");
    command.arg("-u").args(lazily.then_some("-z")).arg("--").arg(point).env("LC_ALL", "C");
    let done = command.output().map_err(|error| io::Error::new(error.kind(), format!("fusermount3: {error}")))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    let kind = if said.contains("busy") { io::ErrorKind::ResourceBusy } else { io::ErrorKind::Other };
    Err(io::Error::new(kind, said))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_table() {
        let line = br"36 25 0:43 / /mnt/my\040film\134x ro,nosuid - fuse dits:/srv/a\040b ro,user_id=0,group_id=0";
        let mount = parse(line).unwrap();
        assert_eq!((mount.point.to_str(), mount.source.as_str()), (Some(r"/mnt/my film\x"), "/srv/a b"));
        assert_eq!(parse(b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw"), None);
        assert_eq!(parse(b""), None);
    }
}
