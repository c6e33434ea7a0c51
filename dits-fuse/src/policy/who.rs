//! Which program a process runs.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer is good, if the process runs the same executable file.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// So many answers are kept before old ones go.
const KEPT: usize = 256;

/// The names of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// What the process calls itself, cut after 15 bytes; empty when that is not known.
    pub comm: String,
    /// The name of its executable file, if that can be seen.
    pub executable: Option<String>,
}

impl Who {
    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.executable {
            Some(executable) => executable,
            None if self.comm.is_empty() => "?",
            None => &self.comm,
        }
    }
}

/// Processes that were asked about a moment ago.
#[derive(Default)]
pub(super) struct People(Mutex<HashMap<u32, Answer>>);

struct Answer {
    at: Instant,
    executable: Option<PathBuf>,
    who: Arc<Who>,
}

impl People {
    /// Which program a process runs, or one of its threads does. Of one that is gone, or that this process cannot see,
    /// nothing is known.
    pub(super) fn who(&self, pid: u32) -> Arc<Who> {
        // One that has begun to run another program would answer to its old name otherwise.
        let executable = fs::read_link(format!("/proc/{pid}/exe")).ok();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = known.get(&pid)
            && answer.at.elapsed() < GOOD_FOR
            && answer.executable == executable
        {
            return Arc::clone(&answer.who);
        }
        if known.len() >= KEPT {
            known.retain(|_, answer| answer.at.elapsed() < GOOD_FOR);
        }
        let name = executable.as_ref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy());
        let name = name.map(|name| name.strip_suffix(" (deleted)").unwrap_or(&name).to_owned());
        let who = Arc::new(Who { comm: comm(pid), executable: name });
        known.insert(pid, Answer { at: Instant::now(), executable, who: Arc::clone(&who) });
        who
    }
}

/// What a thread's process calls itself: threads may have names of their own.
fn comm(pid: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let leader = status.lines().find_map(|line| line.strip_prefix("Tgid:")).and_then(|text| text.trim().parse().ok());
    let leader: u32 = leader.unwrap_or(pid);
    let comm = fs::read(format!("/proc/{leader}/comm")).unwrap_or_default();
    String::from_utf8_lossy(comm.strip_suffix(b"\n").unwrap_or(&comm)).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_answers_with_its_process() {
        let people = People::default();
        let whole = people.who(std::process::id());
        let name = std::env::current_exe().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(whole.executable.as_deref(), Some(name.as_str()));
        let thread = std::thread::Builder::new().name("other".to_owned());
        let tid = rustix::thread::gettid;
        let of_thread = thread.spawn(move || People::default().who(tid().as_raw_nonzero().get() as u32)).unwrap();
        assert_eq!(of_thread.join().unwrap(), whole);
        assert_eq!(people.who(u32::MAX).name(), "?");
    }
}
