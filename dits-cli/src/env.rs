//! The process's environment. This is the only module that reads it; `docs/environment.md` documents every variable.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use dits_core::durable::{IoContext, IoError};

/// The variables dits looks at, read once at the start. An empty variable counts as not set.
#[derive(Debug, Clone, Default)]
pub struct Env {
    /// `DITS_DIR`: the repository's `.dits` folder.
    pub dits_dir: Option<PathBuf>,
    /// `DITS_WORK_TREE`: the top folder of the worktree.
    pub work_tree: Option<PathBuf>,
    /// `DITS_AUTHOR_NAME`, `DITS_AUTHOR_EMAIL`, `DITS_AUTHOR_DATE`.
    pub author: PersonEnv,
    /// `DITS_COMMITTER_NAME`, `DITS_COMMITTER_EMAIL`, `DITS_COMMITTER_DATE`.
    pub committer: PersonEnv,
    /// `DITS_EDITOR`.
    pub dits_editor: Option<String>,
    /// `VISUAL`.
    pub visual: Option<String>,
    /// `EDITOR`.
    pub editor: Option<String>,
    /// `DITS_PAGER`. Here an empty value means something: no pager.
    pub dits_pager: Option<String>,
    /// `PAGER`, with the same meaning of an empty value.
    pub pager: Option<String>,
    /// `LESS` is set, so the default options for less are not given.
    pub has_less: bool,
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// `TERM`.
    pub term: Option<String>,
    /// `DITS_CONFIG_GLOBAL`: the user's configuration file, in place of the usual one.
    pub config_global: Option<PathBuf>,
    /// `DITS_CONFIG_SYSTEM`: the machine's configuration file, in place of `/etc/dits/config.toml`.
    pub config_system: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<PathBuf>,
    /// `XDG_CACHE_HOME`.
    pub xdg_cache_home: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `DITS_TOKEN`: what shows remotes who we are.
    pub token: Option<Secret>,
    /// `DITS_SSH_COMMAND`: what reaches `ssh://` remotes.
    pub ssh_command: Option<String>,
    /// `DITS_THREADS`: how many threads to work with.
    pub threads: Option<String>,
    /// `DITS_NOW`: what to take for the current time.
    pub now: Option<String>,
}

/// A text that is never shown, not even in debugging output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(not shown)")
    }
}

/// Who did something, by the environment.
#[derive(Debug, Clone, Default)]
pub struct PersonEnv {
    /// `DITS_…_NAME`.
    pub name: Option<String>,
    /// `DITS_…_EMAIL`.
    pub email: Option<String>,
    /// `DITS_…_DATE`.
    pub date: Option<String>,
}

impl Env {
    /// Reads the process's environment.
    #[must_use]
    pub fn of_process() -> Self {
        Self::read(&|name| std::env::var_os(name))
    }

    fn read(get: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| get(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).map(|value| value.to_string_lossy().into_owned());
        let path = |name: &str| set(name).map(PathBuf::from);
        let person = |role: &str| PersonEnv {
            name: text(&format!("DITS_{role}_NAME")),
            email: text(&format!("DITS_{role}_EMAIL")),
            date: text(&format!("DITS_{role}_DATE")),
        };
        let even_empty = |name: &str| get(name).map(|value| value.to_string_lossy().into_owned());
        Self {
            dits_dir: path("DITS_DIR"),
            work_tree: path("DITS_WORK_TREE"),
            author: person("AUTHOR"),
            committer: person("COMMITTER"),
            dits_editor: text("DITS_EDITOR"),
            visual: text("VISUAL"),
            editor: text("EDITOR"),
            dits_pager: even_empty("DITS_PAGER"),
            pager: even_empty("PAGER"),
            has_less: get("LESS").is_some(),
            no_color: set("NO_COLOR").is_some(),
            term: text("TERM"),
            config_global: path("DITS_CONFIG_GLOBAL"),
            config_system: path("DITS_CONFIG_SYSTEM"),
            xdg_config_home: path("XDG_CONFIG_HOME"),
            xdg_cache_home: path("XDG_CACHE_HOME"),
            home: path("HOME"),
            token: text("DITS_TOKEN").map(Secret),
            ssh_command: text("DITS_SSH_COMMAND"),
            threads: text("DITS_THREADS"),
            now: text("DITS_NOW"),
        }
    }

    /// Whether the terminal can only show plain text.
    #[must_use]
    pub fn is_dumb(&self) -> bool {
        self.term.as_deref() == Some("dumb")
    }

    /// The user's configuration file, whether or not it exists: `DITS_CONFIG_GLOBAL`, else `dits/config.toml` in
    /// `XDG_CONFIG_HOME` or `~/.config`. `None` without a home folder.
    #[must_use]
    pub fn global_config(&self) -> Option<PathBuf> {
        if let Some(file) = &self.config_global {
            return Some(file.clone());
        }
        let xdg = self.xdg_config_home.as_ref().filter(|dir| dir.is_absolute()).cloned();
        let dir = xdg.or_else(|| self.home.as_ref().map(|home| home.join(".config")))?;
        Some(dir.join("dits/config.toml"))
    }

    /// Where what can be fetched again is kept: `dits` in `XDG_CACHE_HOME` or `~/.cache`. `None` without a home folder.
    #[must_use]
    pub fn cache_folder(&self) -> Option<PathBuf> {
        let xdg = self.xdg_cache_home.as_ref().filter(|dir| dir.is_absolute()).cloned();
        Some(xdg.or_else(|| self.home.as_ref().map(|home| home.join(".cache")))?.join("dits"))
    }

    /// The machine's configuration file, whether or not it exists.
    #[must_use]
    pub fn system_config(&self) -> PathBuf {
        self.config_system.clone().unwrap_or_else(|| "/etc/dits/config.toml".into())
    }
}

/// The arguments, without the program's name.
#[must_use]
pub fn arguments() -> Vec<OsString> {
    join_color(std::env::args_os().skip(1))
}

/// `--color always` as `--color=always`, which is how an option looks whose value may be left out.
fn join_color(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    for argument in arguments {
        let is_when = ["always", "auto", "never"].iter().any(|when| argument == *when);
        match joined.last_mut() {
            Some(last) if is_when && last == "--color" => {
                last.push("=");
                last.push(argument);
            }
            _ => joined.push(argument),
        }
    }
    joined
}

/// The folder the process is in.
///
/// # Errors
/// When it was removed.
pub fn current_folder() -> Result<PathBuf, IoError> {
    std::env::current_dir().at("find", Path::new("the current folder"))
}

/// Changes the folder the process is in.
///
/// # Errors
/// When there is no such folder, or it may not be entered.
pub fn enter_folder(folder: &Path) -> Result<(), IoError> {
    std::env::set_current_dir(folder).at("change to", folder)
}

/// Whether one of the arguments before a `--` is this one.
#[must_use]
pub fn has_argument(arguments: &[OsString], wanted: &str) -> bool {
    arguments.iter().take_while(|arg| *arg != "--").any(|arg| arg == OsStr::new(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &'static [(&str, &str)]) -> Env {
        Env::read(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value)))
    }

    #[test]
    fn empty_means_unset_except_for_pagers() {
        let env = env(&[("DITS_DIR", ""), ("DITS_PAGER", ""), ("NO_COLOR", "")]);
        assert_eq!(env.dits_dir, None);
        assert!(!env.no_color);
        assert_eq!(env.dits_pager.as_deref(), Some(""));
    }

    #[test]
    fn the_users_configuration_is_found_like_other_programs_do() {
        assert_eq!(env(&[("HOME", "/h")]).global_config(), Some("/h/.config/dits/config.toml".into()));
        assert_eq!(
            env(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]).global_config(),
            Some("/x/dits/config.toml".into())
        );
        assert_eq!(env(&[("HOME", "/h"), ("DITS_CONFIG_GLOBAL", "/f")]).global_config(), Some("/f".into()));
        assert_eq!(env(&[]).global_config(), None);
    }
}
