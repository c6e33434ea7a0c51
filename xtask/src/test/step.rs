//! One command of the run, with a headline and a time limit.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use dits_testkit::bounded;

use crate::interrupt::Running;

/// A named command.
pub struct Step {
    name: &'static str,
    command: Command,
    limit: Duration,
}

impl Step {
    /// `limit` is in seconds.
    pub fn new(name: &'static str, command: Command, limit: u64) -> Self {
        Self { name, command, limit: Duration::from_secs(limit) }
    }

    /// Runs it with its output shown; gives its name and how it ended when it failed.
    pub fn run(mut self) -> Option<String> {
        println!("== {}", self.name);
        let begin = Instant::now();
        let ended = self.command.process_group(0).spawn().and_then(|mut child| {
            let _running = Running::new(&child);
            bounded::wait(&mut child, self.limit)
        });
        let problem = match ended {
            Err(e) => Some(e.to_string()),
            Ok((_, true)) => Some(format!("hung: killed after {:?}", self.limit)),
            Ok((status, _)) if !status.success() => Some(status.to_string()),
            Ok(_) => None,
        };
        match &problem {
            None => println!("== {}: ok ({:.1?})", self.name, begin.elapsed()),
            Some(why) => println!("== {}: FAILED, {why}", self.name),
        }
        problem.map(|why| format!("{}: {why}", self.name))
    }
}
