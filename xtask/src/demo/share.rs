//! The second part of the demo: a server, a push, a partial clone, a folder of it; the drive needs the server too.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Demo;
use crate::Failure;

/// A running server, which ends with this.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Demo {
    pub(super) fn share(&self) -> Result<(), Failure> {
        println!("\n# Share it: a server on this machine, a repository there, and a token that lets us in");
        let root = self.folder().join("server");
        let token = self.folder().join("token");
        self.server(&root, &["repo", "create", "film"])?;
        let made = self.server(&root, &["token", "create", "demo", "--repository", "film", "--allow", "read,write"])?;
        fs::write(&token, token_of(&made)?)?;
        let server = self.serve(&root)?;
        let url = format!("dits://{}/film", server.address);
        println!("\n# The project goes there");
        self.dits(&["login", &url, "--token-file", &token.display().to_string()])?;
        self.dits(&["remote", "add", "origin", &url])?;
        self.dits(&["push", "-u", "origin", "main"])?;
        println!("\n# Somebody else gets all of its history, and no content yet");
        let other = self.folder().join("somebody-else");
        self.dits(&["clone", "--filter=none", &url, &other.display().to_string()])?;
        let there = Self { project: other, ..self.clone() };
        there.show("cd", &[&there.project.display().to_string()]);
        there.dits(&["log", "--oneline"])?;
        there.dits(&["du"])?;
        println!("\n# Then one folder of it");
        let folder = self.one_folder()?;
        there.dits(&["fetch", "--dry-run", &folder])?;
        there.dits(&["fetch", &folder])?;
        let same = same(&self.project.join(&folder), &there.project.join(&folder))?;
        println!("{folder} is {}", if same { "identical" } else { "different" });
        there.dits(&["drop", &folder])?;
        if !same {
            return Err(Failure::Failed(format!("{folder} differs")));
        }
        self.drive(&url)
    }

    pub(super) fn folder(&self) -> &Path {
        self.project.parent().unwrap_or(&self.project)
    }

    fn server_program(&self) -> PathBuf {
        self.dits.with_file_name("dits-server")
    }

    /// Runs dits-server, and says what it printed.
    fn server(&self, root: &Path, args: &[&str]) -> Result<String, Failure> {
        let shown = root.display().to_string();
        let args = [args, &["--root", &shown]].concat();
        self.show("dits-server", &args);
        let done = Command::new(self.server_program()).args(&args).stderr(Stdio::inherit()).output()?;
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        print!("{text}");
        if done.status.success() {
            Ok(text)
        } else {
            Err(Failure::Failed(format!("`dits-server {}` failed", args.join(" "))))
        }
    }

    fn serve(&self, root: &Path) -> Result<Server, Failure> {
        let shown = root.display().to_string();
        let args = ["serve", "--root", &shown, "--listen", "127.0.0.1:0"];
        self.show("dits-server", &[&args[..], &["&"]].concat());
        let mut command = Command::new(self.server_program());
        let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        if let Some(said) = child.stdout.take() {
            BufReader::new(said).read_line(&mut line)?;
        }
        let mut server = Server { child, address: String::new() };
        print!("{line}");
        let address = line.strip_prefix("serving on ").and_then(|rest| rest.split(',').next());
        server.address = address.ok_or_else(|| Failure::Failed("the server does not start".to_owned()))?.to_owned();
        Ok(server)
    }

    /// Something in the project that is not all of it: a folder if there is one.
    fn one_folder(&self) -> Result<String, Failure> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.project)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != ".dits" && name != ".git" {
                names.push((!entry.file_type()?.is_dir(), name));
            }
        }
        names.sort();
        let first = names.into_iter().next();
        first.map(|(_, name)| name).ok_or_else(|| Failure::Missing("the project holds no file".to_owned()))
    }
}

/// The one word of what was printed that is a token.
fn token_of(printed: &str) -> Result<String, Failure> {
    let word = printed.split_whitespace().max_by_key(|word| word.len());
    word.map(str::to_owned).ok_or_else(|| Failure::Failed("no token was printed".to_owned()))
}

fn same(one: &Path, other: &Path) -> Result<bool, Failure> {
    Ok(Command::new("diff").args(["-rq", "--"]).args([one, other]).status()?.success())
}
