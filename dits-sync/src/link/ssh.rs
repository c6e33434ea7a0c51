//! A link to a program that ssh starts on another machine.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::stream::{StreamLink, widen};
use super::{Link, LinkError};

/// How long ssh may take to end when there is nothing more to do.
const PATIENCE: Duration = Duration::from_secs(5);

/// What means something to a shell.
const SHELL: [char; 23] = [
    '|', '&', ';', '<', '>', '(', ')', '$', '`', '\\', '"', '\'', ' ', '\t', '\n', '*', '?', '[', '#', '~', '=', '%',
    '{',
];

/// How to get to another machine.
#[derive(Clone, Debug)]
pub struct SshOptions {
    /// Runs instead of `ssh`, by the shell, with the same arguments: what `DITS_SSH_COMMAND` holds.
    pub command: Option<String>,
    /// The server program there.
    pub server: String,
}

impl Default for SshOptions {
    fn default() -> Self {
        Self { command: None, server: "dits-server".into() }
    }
}

/// Where on another machine a repository is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub user: Option<String>,
    pub host: String,
    pub port: Option<u16>,
    pub path: String,
}

impl Place {
    /// The user and host, as ssh takes them.
    pub fn destination(&self) -> String {
        self.user.as_ref().map_or_else(|| self.host.clone(), |user| format!("{user}@{}", self.host))
    }
}

/// Quotes a word for the shell of the other machine.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The command that gets there. No part of the place can be taken for an option.
fn command(place: &Place, options: &SshOptions) -> Result<Command, LinkError> {
    let destination = place.destination();
    if [&destination, &place.host, &place.path].iter().any(|word| word.starts_with('-') || word.contains('\0')) {
        return Err(LinkError::Unusable(format!("{destination:?} or {:?} would be taken for an option", place.path)));
    }
    let mut command = match &options.command {
        // As with git, the shell splits and expands what the user has set, where there is something to split.
        Some(own) if !own.contains(SHELL) => Command::new(own),
        Some(own) => {
            let mut command = Command::new("sh");
            command.arg("-c").arg(format!("{own} \"$@\"")).arg(own);
            command
        }
        None => Command::new("ssh"),
    };
    if let Some(port) = place.port {
        command.arg("-p").arg(port.to_string());
    }
    command.arg(destination).arg("--").arg(format!("{} --stdio {}", options.server, quote(&place.path)));
    Ok(command)
}

/// Starts ssh, which talks to the user itself (standard error, terminal), and takes over its input and output.
pub(super) fn dial(place: &Place, options: &SshOptions) -> Result<Box<dyn Link>, LinkError> {
    let mut command = command(place, options)?;
    let failed = |error: io::Error| LinkError::Unusable(format!("cannot run {}: {error}", name(options)));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(failed(io::ErrorKind::BrokenPipe.into()));
    };
    widen(&input);
    widen(&output);
    let child = Arc::new(Mutex::new(child));
    let (ended, last) = (child.clone(), child);
    let (host, server, program) = (place.host.clone(), options.server.clone(), name(options).to_owned());
    let reason = move |end| match wait(&ended, PATIENCE) {
        Some(status) => explain(status, end, &program, &server, &host),
        None => end,
    };
    let epilogue = move |other_side_has_ended: bool| {
        if !other_side_has_ended || wait(&last, PATIENCE).is_none() {
            let _ = last.lock().unwrap_or_else(PoisonError::into_inner).kill();
            wait(&last, PATIENCE);
        }
    };
    StreamLink::start(output, input, &place.destination(), true, Box::new(reason), Box::new(epilogue))
        .map(|link| Box::new(link) as Box<dyn Link>)
        .map_err(failed)
}

fn name(options: &SshOptions) -> &str {
    options.command.as_deref().unwrap_or("ssh")
}

fn wait(child: &Mutex<Child>, patience: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        let status = child.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
        match status {
            Ok(Some(status)) => return Some(status),
            Ok(None) if start.elapsed() < patience => std::thread::sleep(Duration::from_millis(2)),
            _ => return None,
        }
    }
}

fn explain(status: ExitStatus, end: LinkError, program: &str, server: &str, host: &str) -> LinkError {
    match (status.code(), status.signal()) {
        (Some(0), _) => end,
        (Some(255), _) => LinkError::Broken(format!("{program} did not get to {host} or lost it (exit status 255)")),
        (Some(126 | 127), _) => {
            LinkError::Unusable(format!("{server} cannot be run on {host}; is dits installed there?"))
        }
        // Shells tell signals so.
        (Some(code @ 129..=159), _) => {
            LinkError::Broken(format!("{server} on {host} was ended by signal {}", code - 128))
        }
        (Some(code), _) => LinkError::Broken(format!("{server} on {host} ended with exit status {code}")),
        (None, signal) => LinkError::Broken(format!("{program} was ended by signal {}", signal.unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> Place {
        Place { user: Some("me".into()), host: "studio".into(), port: Some(2222), path: path.into() }
    }

    fn arguments(command: &Command) -> Vec<String> {
        command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_path_is_one_word_for_the_other_shell() {
        let command = command(&place("it's; rm -rf $HOME"), &SshOptions::default()).unwrap();
        let last = r"dits-server --stdio 'it'\''s; rm -rf $HOME'";
        assert_eq!(arguments(&command), ["-p", "2222", "me@studio", "--", last]);
    }

    #[test]
    fn an_own_command_gets_the_same_arguments() {
        let options = SshOptions { command: Some("ssh -i 'a key'".into()), server: "/opt/dits-server".into() };
        let command = command(&place("x"), &options).unwrap();
        assert_eq!(arguments(&command)[..2], ["-c", "ssh -i 'a key' \"$@\""]);
        assert_eq!(arguments(&command)[5..], ["me@studio", "--", "/opt/dits-server --stdio 'x'"]);
    }

    #[test]
    fn options_cannot_be_smuggled_in() {
        for (user, host, path) in [(None, "-oX", "x"), (Some("-l"), "h", "x"), (None, "h", "-x"), (None, "h", "a\0b")] {
            let place = Place { user: user.map(str::to_owned), host: host.into(), port: None, path: path.into() };
            assert!(command(&place, &SshOptions::default()).is_err());
        }
    }
}
