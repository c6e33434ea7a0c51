//! A server that runs beside the measurements.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use dits_testkit::Background;

use crate::bench::measure;

/// How long a server may take to be ready.
const START: Duration = Duration::from_secs(20);
/// How long what it has started for a client may stay after the client.
const AFTERGLOW: Duration = Duration::from_secs(10);

/// The running server; it ends with this.
pub struct Server {
    program: Background,
    /// The line in which it said that it is ready.
    pub ready: String,
}

impl Server {
    /// Starts it, and waits for the line with `ready`.
    pub fn start(mut command: Command, ready: &str) -> Result<Self, String> {
        // By this mark an interrupted run finds what it has to end.
        command.env(dits_testkit::RUN, std::process::id().to_string());
        let mut program = Background::start(&mut command).map_err(|e| e.to_string())?;
        let ready = program.wait_for(ready, START);
        Ok(Self { program, ready })
    }

    /// The address in what it said: the first word with a colon and a port.
    pub fn address(&self) -> Option<&str> {
        let words = self.ready.split([' ', ',']);
        words.map(str::trim).find(|word| word.parse::<std::net::SocketAddr>().is_ok())
    }

    /// Processor seconds of it and of what it has started and seen the end of.
    pub fn cpu(&self) -> Result<f64, String> {
        let pid = self.program.id();
        let children = format!("/proc/{pid}/task/{pid}/children");
        let deadline = Instant::now() + AFTERGLOW;
        while fs::read_to_string(&children).is_ok_and(|list| !list.is_empty()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        measure::cpu_of(pid)
    }
}
