//! What users say about files by pattern: `.ditsattributes` and `.dits/info/attributes`, in git's syntax.
//!
//! A line is `pattern attr -attr !attr attr=value …`. For each attribute the last line that matches and names it
//! decides; a deeper folder's file comes after those above it, `.dits/info/attributes` after all. `[attr]name …`
//! defines a macro, in the top folder's file and in `info/attributes` only. `binary` is one: `-diff -merge -text`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::path::RepoPath;
use crate::rules_file::{FolderFiles, FolderRules, RulesError, RulesLookup};

mod parse;
mod stored;
mod typed;

#[cfg(test)]
mod tests;

pub use stored::TreeFiles;
pub use typed::{AttributeError, Chunking, Compression};

use parse::Line;

/// The name of a folder's file of attributes.
pub const ATTRIBUTES_FILE: &str = ".ditsattributes";

/// What an attribute is for a path. An attribute that nothing speaks of, or that `!attr` takes back, has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// `attr`
    Set,
    /// `-attr`
    Unset,
    /// `attr=value`
    Value(String),
}

/// `None` is `!attr`: undecided again, whatever weaker rules say.
type Assignment = (Arc<str>, Option<State>);

#[derive(Debug)]
struct Node {
    above: Option<Arc<Node>>,
    base: usize,
    lines: Vec<Line>,
}

type Macros = BTreeMap<Arc<str>, Arc<[Assignment]>>;

/// The attribute rules in force in one folder. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct AttributeRules {
    innermost: Option<Arc<Node>>,
    /// `info/attributes`, stronger than every folder's.
    info: Option<Arc<Node>>,
    /// Macros of `info/attributes` are kept apart until the top folder's have been read, which they override.
    info_macros: Arc<Macros>,
    macros: Arc<Macros>,
}

impl AttributeRules {
    /// The rules that hold everywhere: `info` names `.dits/info/attributes` and gives its content.
    ///
    /// # Errors
    /// When a line cannot be understood.
    pub fn new(info: Option<(&Path, &[u8])>) -> Result<Self, RulesError> {
        let unset = |name: &str| (Arc::from(name), Some(State::Unset));
        let binary: Arc<[Assignment]> = ["diff", "merge", "text"].map(unset).into();
        let macros = Macros::from([(Arc::from("binary"), binary)]);
        let mut rules = Self { innermost: None, info: None, info_macros: Arc::default(), macros: Arc::new(macros) };
        if let Some((source, content)) = info {
            let (lines, macros) = parse::file(source, content, true)?;
            rules.info = Some(Arc::new(Node { above: None, base: 0, lines }));
            rules.info_macros = Arc::new(macros);
            rules.add_macros(Macros::new());
        }
        Ok(rules)
    }

    /// The rules in force inside `folder` (`None`: the top one), given the content of its [`ATTRIBUTES_FILE`]. `self`
    /// is in force in the folder around it.
    ///
    /// # Errors
    /// When a line cannot be understood.
    pub fn enter(&self, folder: Option<&RepoPath>, content: Option<&[u8]>) -> Result<Self, RulesError> {
        let mut rules = self.clone();
        let Some(content) = content else { return Ok(rules) };
        let source = folder.map_or_else(Default::default, |f| f.as_path().to_owned()).join(ATTRIBUTES_FILE);
        let (lines, macros) = parse::file(&source, content, folder.is_none())?;
        let base = folder.map_or(0, |f| f.as_bytes().len() + 1);
        rules.innermost = Some(Arc::new(Node { above: self.innermost.clone(), base, lines }));
        if !macros.is_empty() {
            rules.add_macros(macros);
        }
        Ok(rules)
    }

    fn add_macros(&mut self, more: Macros) {
        let all = Arc::make_mut(&mut self.macros);
        all.extend(more);
        all.extend(self.info_macros.iter().map(|(name, body)| (name.clone(), body.clone())));
    }

    /// The attributes of `path`, which lies directly in the folder these rules are of.
    #[must_use]
    pub fn attributes_of(&self, path: &RepoPath) -> Attributes {
        let mut decided = Decided { macros: &self.macros, states: BTreeMap::new() };
        for chain in [&self.info, &self.innermost] {
            let mut node = chain.as_ref();
            while let Some(here) = node {
                let relative = &path.as_bytes()[here.base.min(path.as_bytes().len())..];
                for line in here.lines.iter().rev().filter(|line| line.pattern.matches(relative, false)) {
                    decided.apply(&line.assignments);
                }
                node = here.above.as_ref();
            }
        }
        let states = decided.states.into_iter().filter_map(|(name, state)| Some((name, state?))).collect();
        Attributes { path: Some(path.clone()), states }
    }
}

/// Strongest first: what is in here is not changed any more.
struct Decided<'a> {
    macros: &'a Macros,
    states: BTreeMap<Arc<str>, Option<State>>,
}

impl Decided<'_> {
    /// Takes a line's assignments from its end; a macro that gets set is spelled out in its place.
    fn apply(&mut self, assignments: &[Assignment]) {
        let mut pending: Vec<Assignment> = assignments.to_vec();
        while let Some((name, state)) = pending.pop() {
            if self.states.contains_key(&name) {
                continue;
            }
            if let (Some(State::Set), Some(body)) = (&state, self.macros.get(&name)) {
                pending.extend(body.iter().cloned());
            }
            self.states.insert(name, state);
        }
    }
}

/// The attributes of one path, by name. Typed access is by [`Attributes::preset`] and its siblings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    path: Option<RepoPath>,
    states: BTreeMap<Arc<str>, State>,
}

impl Attributes {
    /// The state of the attribute `name`; `None` when nothing was said.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&State> {
        self.states.get(name)
    }

    /// All attributes that something was said about, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &State)> {
        self.states.iter().map(|(name, state)| (&**name, state))
    }
}

/// Finds the attributes of any path, in any order.
pub type AttributeLookup<F> = RulesLookup<F, AttributeRules>;

impl FolderRules for AttributeRules {
    const FILE: &'static str = ATTRIBUTES_FILE;

    fn inside(&self, folder: Option<&RepoPath>, content: Option<&[u8]>) -> Result<Self, RulesError> {
        self.enter(folder, content)
    }
}

impl<F: FolderFiles> AttributeLookup<F> {
    /// The attributes of `path`.
    ///
    /// # Errors
    /// When the file of a folder on the way cannot be used.
    pub fn attributes_of(&self, path: &RepoPath) -> Result<Attributes, RulesError> {
        Ok(self.rules_in(path.parent().as_ref())?.attributes_of(path))
    }
}
