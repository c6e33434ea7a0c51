//! What a command costs: wall clock, processor, memory.

use std::fmt;
use std::io;
use std::process::Command;
use std::time::Instant;

/// The cost of an operation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Wall-clock seconds.
    pub wall: f64,
    /// Processor seconds, user and system.
    pub cpu: f64,
    /// The largest resident set of any of its processes, in bytes.
    pub rss: u64,
    /// Bytes by which the repository grew; the server's, when things are shared.
    pub added: u64,
    /// Processor seconds of the server.
    pub server_cpu: f64,
    /// Bytes between it and the server, in both directions, headers included.
    pub wire: u64,
}

impl Cost {
    /// The cost of one after the other.
    pub fn then(self, next: Self) -> Self {
        Self {
            wall: self.wall + next.wall,
            cpu: self.cpu + next.cpu,
            rss: self.rss.max(next.rss),
            added: self.added + next.added,
            server_cpu: self.server_cpu + next.server_cpu,
            wire: self.wire + next.wire,
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let Self { wall, cpu, rss, added, server_cpu, wire } = *self;
        write!(f, "{wall:8.3} s {cpu:8.3} s CPU {:7.1} MiB {:9.3} MiB added", mib(rss), mib(added))?;
        if wire > 0 { write!(f, " {server_cpu:8.3} s CPU there {:9.3} MiB on the wire", mib(wire)) } else { Ok(()) }
    }
}

/// Runs a command with its output put aside, and measures it.
///
/// The kernel counts what this process holds when it starts a child into the child's peak, so this process must stay
/// small: whatever needs memory runs in a process of its own.
pub fn run(command: &mut Command) -> Result<Cost, String> {
    run_heard(command).map(|(cost, _)| cost)
}

/// As [`run`], and gives what was written to standard output too.
pub fn run_heard(command: &mut Command) -> Result<(Cost, String), String> {
    let file = || tempfile::NamedTempFile::new().map_err(|e| e.to_string());
    let (out, log) = (file()?, file()?);
    let pipe = |file: &tempfile::NamedTempFile| file.reopen().map_err(|e| e.to_string());
    command.stdin(std::process::Stdio::null()).stdout(pipe(&out)?).stderr(pipe(&log)?);
    let shown = dits_testkit::bounded::shown(command);
    let begin = Instant::now();
    let child = command.spawn().map_err(|e| format!("`{shown}`: {e}"))?;
    let (status, usage) = wait4::wait(child.id()).map_err(|e| format!("`{shown}`: {e}"))?;
    let wall = begin.elapsed().as_secs_f64();
    let read = |file: &tempfile::NamedTempFile| {
        String::from_utf8_lossy(&std::fs::read(file.path()).unwrap_or_default()).into_owned()
    };
    if status != 0 {
        let said = read(&out) + &read(&log);
        let tail = said.char_indices().nth_back(499).map_or(0, |(at, _)| at);
        return Err(format!("`{shown}`: status {status:#x}: {}", said[tail..].trim()));
    }
    Ok((Cost { wall, cpu: usage.cpu, rss: usage.rss, ..Cost::default() }, read(&out)))
}

struct Usage {
    cpu: f64,
    rss: u64,
}

fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

/// Processor seconds of a running process, and of what it has started and seen the end of.
pub fn cpu_of(pid: u32) -> Result<f64, String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|e| format!("it is gone: {e}"))?;
    // utime, stime, cutime and cstime of proc(5); the name before them may hold blanks.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(11).take(4).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
}

/// Lets the disk become idle, so that no operation pays for what the one before left to be written.
pub fn settle() -> io::Result<()> {
    Command::new("sync").status().map(|_| ())
}

/// The one system call that gives a single child's usage; neither std nor rustix offers it.
mod wait4 {
    #![allow(unsafe_code)]

    use std::io;
    use std::mem::MaybeUninit;

    use super::{Usage, seconds};

    /// Waits for a child that nobody else waits for. Gives its raw status, 0 for success.
    pub fn wait(pid: u32) -> io::Result<(i32, Usage)> {
        let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
        let mut status = 0;
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        loop {
            // SAFETY: both pointers are to live, writable places of the types the call wants.
            let waited = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
            if waited == pid {
                break;
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        // SAFETY: all-zero bytes are a valid rusage (plain integers), and the call has filled it.
        let usage = unsafe { usage.assume_init() };
        let rss = u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024; // Linux counts in KiB
        Ok((status, Usage { cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime), rss }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_time_processor_and_memory() {
        let mut command = Command::new("sh");
        command.args(["-c", "head -c 30000000 /dev/zero | tail -c 30000000 > /dev/null; sleep 0.2"]);
        let cost = run(&mut command).unwrap();
        assert!(cost.wall >= 0.2 && cost.cpu > 0.0 && cost.rss > 25_000_000, "{cost}");
    }

    #[test]
    fn a_failure_is_told_with_what_was_said() {
        let why = run(Command::new("sh").args(["-c", "echo because; exit 3"])).unwrap_err();
        assert!(why.contains("because"), "{why}");
    }
}
