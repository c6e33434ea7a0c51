//! Which files are left alone: `.ditsignore`, `.dits/info/exclude` and `core.excludesFile`, with git's rules.
//!
//! The last rule that matches decides; a file of a deeper folder comes after those above it, and all of them after
//! `.dits/info/exclude`, which comes after `core.excludesFile`. Below an ignored folder everything is ignored and no
//! rule there is read. [`IgnoreRules`] is immutable and extended folder by folder, so parallel walkers share it.

use std::path::Path;
use std::sync::Arc;

use bstr::BString;

use crate::glob::PathPattern;
use crate::path::RepoPath;
use crate::rules_file::{FolderFiles, FolderRules, RulesError, RulesLookup, lines};

#[cfg(test)]
pub(crate) mod tests;

/// The name of a folder's file of ignore rules.
pub const IGNORE_FILE: &str = ".ditsignore";

/// The rule that decided about a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The file the rule is in; a `.ditsignore` is named relative to the top of the worktree.
    pub source: Arc<Path>,
    /// Its line, from 1.
    pub line: usize,
    /// The rule as written.
    pub pattern: Arc<BString>,
    /// The rule begins with `!`: the path is not ignored.
    pub negated: bool,
}

#[derive(Debug)]
struct Rule {
    pattern: PathPattern,
    found: Match,
}

/// The rules of one file.
#[derive(Debug)]
struct Node {
    above: Option<Arc<Node>>,
    /// How many bytes of a path are the rules' own folder, with its slash.
    base: usize,
    rules: Vec<Rule>,
}

/// The rules in force in one folder. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct IgnoreRules {
    innermost: Option<Arc<Node>>,
    /// The rule by which this folder itself is ignored, and so everything below it.
    folder_ignored: Option<Match>,
}

impl IgnoreRules {
    /// The rules that hold everywhere: file names with contents, weakest first (`core.excludesFile`, then
    /// `.dits/info/exclude`). The top folder's own file is added by [`IgnoreRules::enter`].
    #[must_use]
    pub fn new(global: &[(&Path, &[u8])]) -> Self {
        let add = |rules: Self, (source, content): &(&Path, &[u8])| rules.with_file(source, 0, content);
        global.iter().fold(Self::default(), add)
    }

    /// The rules in force inside `folder` (`None`: the top one), given the content of its [`IGNORE_FILE`]. `self` is in
    /// force in the folder around it. In an ignored folder the file is not heeded.
    #[must_use]
    pub fn enter(&self, folder: Option<&RepoPath>, content: Option<&[u8]>) -> Self {
        if self.folder_ignored.is_some() {
            return self.clone();
        }
        let Some(folder) = folder else {
            return content.map_or_else(|| self.clone(), |c| self.with_file(Path::new(IGNORE_FILE), 0, c));
        };
        match self.matched(folder, true) {
            Some(found) if !found.negated => Self { innermost: self.innermost.clone(), folder_ignored: Some(found) },
            _ => content.map_or_else(
                || self.clone(),
                |c| self.with_file(&folder.as_path().join(IGNORE_FILE), folder.as_bytes().len() + 1, c),
            ),
        }
    }

    /// The rule by which the folder these rules are of is ignored, or one around it.
    #[must_use]
    pub fn folder_ignored(&self) -> Option<&Match> {
        self.folder_ignored.as_ref()
    }

    /// The rule that decides about `path`, which must lie directly in the folder these rules are of (or be what is
    /// about to be entered). A negated one means that the path is not ignored.
    #[must_use]
    pub fn matched(&self, path: &RepoPath, is_dir: bool) -> Option<Match> {
        if let Some(found) = &self.folder_ignored {
            return Some(found.clone());
        }
        let mut node = self.innermost.as_ref();
        while let Some(here) = node {
            let relative = &path.as_bytes()[here.base.min(path.as_bytes().len())..];
            if let Some(rule) = here.rules.iter().rev().find(|rule| rule.pattern.matches(relative, is_dir)) {
                return Some(rule.found.clone());
            }
            node = here.above.as_ref();
        }
        None
    }

    /// Whether `path` is ignored; as [`IgnoreRules::matched`].
    #[must_use]
    pub fn is_ignored(&self, path: &RepoPath, is_dir: bool) -> bool {
        self.matched(path, is_dir).is_some_and(|found| !found.negated)
    }

    fn with_file(&self, source: &Path, base: usize, content: &[u8]) -> Self {
        let source: Arc<Path> = source.into();
        let rules: Vec<Rule> = lines(content).filter_map(|(number, line)| parse(&source, number, line)).collect();
        if rules.is_empty() {
            return self.clone();
        }
        let node = Node { above: self.innermost.clone(), base, rules };
        Self { innermost: Some(Arc::new(node)), folder_ignored: self.folder_ignored.clone() }
    }
}

fn parse(source: &Arc<Path>, line: usize, text: &[u8]) -> Option<Rule> {
    if text.starts_with(b"#") {
        return None;
    }
    let text = without_trailing_spaces(text);
    let (body, negated) = match text.strip_prefix(b"!") {
        Some(body) => (body, true),
        None => (text, false),
    };
    if body.is_empty() {
        return None;
    }
    let found = Match { source: source.clone(), line, pattern: Arc::new(text.into()), negated };
    Some(Rule { pattern: PathPattern::parse(body), found })
}

/// Spaces at the end do not count unless a backslash quotes them.
fn without_trailing_spaces(text: &[u8]) -> &[u8] {
    let (mut end, mut i) = (0, 0);
    while i < text.len() {
        let quoted = text[i] == b'\\' && i + 1 < text.len();
        i += if quoted { 2 } else { 1 };
        if quoted || text[i - 1] != b' ' {
            end = i;
        }
    }
    &text[..end]
}

/// Decides about any path, in any order.
pub type IgnoreLookup<F> = RulesLookup<F, IgnoreRules>;

impl FolderRules for IgnoreRules {
    const FILE: &'static str = IGNORE_FILE;

    fn heeds_files(&self) -> bool {
        self.folder_ignored.is_none()
    }

    fn inside(&self, folder: Option<&RepoPath>, content: Option<&[u8]>) -> Result<Self, RulesError> {
        Ok(self.enter(folder, content))
    }
}

impl<F: FolderFiles> IgnoreLookup<F> {
    /// The rule that decides about `path`, its own or that of an ignored folder around it.
    ///
    /// # Errors
    /// When the rules of a folder on the way cannot be used.
    pub fn matched(&self, path: &RepoPath, is_dir: bool) -> Result<Option<Match>, RulesError> {
        Ok(self.rules_in(path.parent().as_ref())?.matched(path, is_dir))
    }
}
