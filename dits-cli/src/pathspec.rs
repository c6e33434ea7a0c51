//! Paths on the command line: names and patterns, relative to where the user is, that select files of the repository.
//!
//! git's rules: a name selects itself and what is below it; in a plain pattern `*` also matches `/`; `:/x` counts from
//! the top, `:!x` excludes, `:(glob)` keeps `*` within a folder, `:(literal)` has no wildcards, `:(icase)` ignores case.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bstr::ByteSlice;
use dits_core::path::RepoPath;
use gix_glob::wildmatch::Mode;

use crate::error::CliError;
use crate::output::path::quote_text;

mod magic;

use magic::Magic;

/// Where the command runs: what relative names are relative to.
#[derive(Debug, Clone)]
pub struct Place {
    /// The top folder of the worktree, absolute and free of symlinks.
    pub root: PathBuf,
    /// The current folder below it: no slash at the ends; empty at the top.
    pub prefix: Vec<u8>,
}

/// Selects files. Without any pathspec that includes, it selects all.
#[derive(Debug, Default)]
pub struct Pathspecs {
    include: Vec<Pathspec>,
    exclude: Vec<Pathspec>,
}

#[derive(Debug)]
struct Pathspec {
    given: String,
    /// From the top of the repository; the first `literal` bytes have no wildcards.
    pattern: Vec<u8>,
    literal: usize,
    mode: Mode,
    folders_only: bool,
    used: AtomicBool,
}

impl Pathspecs {
    /// Reads what the user gave.
    ///
    /// # Errors
    /// When a path leads out of the repository, names something in `.dits`, or has magic that does not exist.
    pub fn parse(given: &[OsString], place: &Place) -> Result<Self, CliError> {
        let mut specs = Self::default();
        for text in given {
            let (magic, rest) = Magic::split(text.as_bytes())?;
            let list = if magic.exclude { &mut specs.exclude } else { &mut specs.include };
            list.push(Pathspec::new(text.as_bytes(), magic, rest, place)?);
        }
        Ok(specs)
    }

    /// Whether everything is selected.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.exclude.is_empty() && self.include.iter().all(|spec| spec.pattern.is_empty())
    }

    /// Whether a file, or a folder as such, is selected.
    #[must_use]
    pub fn matches(&self, path: &RepoPath, is_dir: bool) -> bool {
        // All of them, not just the first: each has to know that it was of use.
        let hits = self.include.iter().filter(|spec| spec.matches(path.as_bytes(), is_dir)).count();
        let included = self.include.is_empty() || hits > 0;
        included && !self.exclude.iter().any(|spec| spec.matches(path.as_bytes(), is_dir))
    }

    /// Whether something below `folder` could be selected; a walk leaves out folders where not.
    #[must_use]
    pub fn may_match_below(&self, folder: &RepoPath) -> bool {
        let folder = folder.as_bytes();
        let included = self.include.is_empty() || self.include.iter().any(|spec| spec.may_match_below(folder));
        included && !self.exclude.iter().any(|spec| spec.is_name() && within(folder, &spec.pattern))
    }

    /// The pathspecs, as given, that have matched nothing so far.
    #[must_use]
    pub fn unused(&self) -> Vec<&str> {
        let unused = self.include.iter().filter(|spec| !spec.used.load(Ordering::Relaxed));
        unused.map(|spec| spec.given.as_str()).collect()
    }

    /// The plain names, without wildcards, that have matched nothing so far: as given, and as paths.
    #[must_use]
    pub fn unused_names(&self) -> Vec<(&str, RepoPath)> {
        let unused = self.include.iter().filter(|spec| !spec.used.load(Ordering::Relaxed) && spec.is_name());
        unused.filter_map(|spec| Some((spec.given.as_str(), RepoPath::parse(&spec.pattern).ok()?))).collect()
    }

    /// Takes the paths given as plain names for used, as far as `settled` says; and the top folder.
    pub fn settle_names(&self, settled: impl Fn(&RepoPath) -> bool) {
        for spec in self.include.iter().filter(|spec| spec.is_name()) {
            if spec.pattern.is_empty() || RepoPath::parse(&spec.pattern).is_ok_and(|path| settled(&path)) {
                spec.used.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Fails if a pathspec has matched nothing; asked after all paths went through [`Pathspecs::matches`].
    ///
    /// # Errors
    /// Then, with the first of them.
    pub fn check_all_used(&self) -> Result<(), CliError> {
        match self.unused().first() {
            None => Ok(()),
            Some(given) => Err(CliError::new(
                crate::exit::Exit::Difference,
                format!("`{given}` matches no file that dits knows here"),
            )),
        }
    }

    /// The paths given as plain names, in order: for commands that take files and not patterns.
    ///
    /// # Errors
    /// When one is a pattern, or the top folder.
    pub fn names(&self) -> Result<Vec<RepoPath>, CliError> {
        let name = |spec: &Pathspec| match spec.is_name() {
            true => Ok(RepoPath::parse(&spec.pattern)?),
            false => Err(CliError::usage(format!("`{}` is a pattern; a name is needed here", spec.given))),
        };
        self.include.iter().map(name).collect()
    }
}

impl Pathspec {
    fn new(given: &[u8], magic: Magic, rest: &[u8], place: &Place) -> Result<Self, CliError> {
        let given = quote_text(given);
        let (base, rest): (&[u8], _) = match rest.first() {
            Some(b'/') if !magic.top => (b"", strip_root(rest, place, &given)?),
            _ if magic.top => (b"", rest.to_vec()),
            _ => (&place.prefix, rest.to_vec()),
        };
        let folders_only = rest.ends_with(b"/");
        let (pattern, base_length) = normalize(base, &rest, &given)?;
        let wild = if magic.literal { None } else { pattern[base_length..].find_byteset(b"*?[\\") };
        let literal = wild.map_or(pattern.len(), |at| base_length + at);
        if literal == pattern.len() && !pattern.is_empty() {
            RepoPath::parse(&pattern)?;
        }
        let mut mode = Mode::empty();
        mode.set(Mode::NO_MATCH_SLASH_LITERAL, magic.glob);
        mode.set(Mode::IGNORE_CASE, magic.ignore_case);
        Ok(Self { given, pattern, literal, mode, folders_only, used: AtomicBool::new(false) })
    }

    /// Whether it has no wildcards.
    fn is_name(&self) -> bool {
        self.literal == self.pattern.len()
    }

    fn matches(&self, path: &[u8], is_dir: bool) -> bool {
        let hit = self.hits(path, is_dir);
        if hit {
            self.used.store(true, Ordering::Relaxed);
        }
        hit
    }

    fn hits(&self, path: &[u8], is_dir: bool) -> bool {
        if self.is_name() {
            let inside = self.starts(path, &self.pattern) && within_length(path, self.pattern.len());
            return inside && (!self.folders_only || is_dir || path.len() > self.pattern.len());
        }
        let (literal, wild) = self.pattern.split_at(self.literal);
        (!self.folders_only || is_dir)
            && self.starts(path, literal)
            && gix_glob::wildmatch(wild.as_bstr(), path[literal.len()..].as_bstr(), self.mode)
    }

    fn may_match_below(&self, folder: &[u8]) -> bool {
        let (literal, folder) = (&self.pattern[..self.literal], folder);
        let shared = literal.len().min(folder.len());
        if !self.starts(folder, &literal[..shared]) {
            return false;
        }
        if folder.len() < literal.len() {
            return literal[folder.len()] == b'/';
        }
        !self.is_name() || within_length(folder, literal.len())
    }

    fn starts(&self, path: &[u8], start: &[u8]) -> bool {
        let Some(head) = path.get(..start.len()) else { return false };
        if self.mode.contains(Mode::IGNORE_CASE) { head.eq_ignore_ascii_case(start) } else { head == start }
    }
}

/// Whether `path`, which begins with a folder of that many bytes, is it or below it.
fn within_length(path: &[u8], folder: usize) -> bool {
    folder == 0 || path.get(folder).is_none_or(|byte| *byte == b'/')
}

fn within(path: &[u8], folder: &[u8]) -> bool {
    path.starts_with(folder) && within_length(path, folder.len())
}

/// Resolves `.`, `..` and repeated slashes of `rest` below `base`. Also returns how many bytes come from `base`, in
/// which a `*` is just a character.
fn normalize(base: &[u8], rest: &[u8], given: &str) -> Result<(Vec<u8>, usize), CliError> {
    let parts = |bytes: &[u8]| -> Vec<Vec<u8>> {
        bytes.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let mut path = parts(base);
    let mut from_base = path.len();
    for part in parts(rest) {
        match part.as_slice() {
            b"." => {}
            b".." => {
                path.pop().ok_or_else(|| outside(given))?;
                from_base = from_base.min(path.len());
            }
            _ => path.push(part),
        }
    }
    let base_length = path[..from_base].join(&b'/').len();
    Ok((path.join(&b'/'), base_length))
}

/// An absolute path as one from the top of the worktree. Symlinks on the way to its folder are resolved, as they are
/// in the root.
fn strip_root(absolute: &[u8], place: &Place, given: &str) -> Result<Vec<u8>, CliError> {
    let path = Path::new(std::ffi::OsStr::from_bytes(absolute));
    let lexical = path.strip_prefix(&place.root).ok().map(|rest| rest.as_os_str().as_bytes().to_vec());
    let resolved = || {
        let parent = path.parent()?.canonicalize().ok()?;
        let whole = parent.join(path.file_name()?);
        Some(whole.strip_prefix(&place.root).ok()?.as_os_str().as_bytes().to_vec())
    };
    let mut stripped = lexical.or_else(resolved).ok_or_else(|| outside(given))?;
    if absolute.ends_with(b"/") {
        stripped.push(b'/');
    }
    Ok(stripped)
}

fn outside(given: &str) -> CliError {
    CliError::usage(format!("`{given}` is outside of this repository"))
}

#[cfg(test)]
mod tests;
