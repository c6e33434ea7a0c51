//! What a repository's settings allow a push to do to refs.

use dits_core::config::{Config, ConfigError};
use dits_core::refs::RefName;
use dits_sync::server::RefUpdate;

use crate::pattern::Pattern;
use crate::token::Rights;

/// The rules of one repository.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Whether clients without a token may read.
    pub anonymous_read: bool,
    /// Bytes the repository may take.
    pub quota: Option<u64>,
    /// Bytes a push may store.
    pub max_size: Option<u64>,
    protected: Vec<Protected>,
    deny_non_fast_forwards: bool,
    deny_deletes: bool,
}

#[derive(Clone, Debug)]
struct Protected {
    branches: Pattern,
    names: Vec<String>,
}

/// Who pushes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// By what name.
    pub name: String,
    /// What they may do.
    pub rights: Rights,
}

impl Policy {
    /// Reads the rules.
    ///
    /// # Errors
    /// When a setting has no meaning.
    pub fn of(config: &Config) -> Result<Self, ConfigError> {
        let flag = |key: &str| Ok::<_, ConfigError>(config.get_bool(key)?.unwrap_or(false));
        let protected = config.get_list("receive.protect")?.unwrap_or_default();
        Ok(Self {
            anonymous_read: flag("server.anonymousRead")?,
            quota: config.get_size("server.quota")?,
            max_size: config.get_size("receive.maxSize")?,
            protected: protected.iter().map(|text| Protected::parse(text)).collect(),
            deny_non_fast_forwards: flag("receive.denyNonFastForwards")?,
            deny_deletes: flag("receive.denyDeletes")?,
        })
    }

    /// Decides about one ref. `fast_forward` is `None` where that is not known yet, or the ref is made or deleted; `head`
    /// is the branch that HEAD names.
    ///
    /// # Errors
    /// Why it may not move, for the user.
    pub fn decide(
        &self,
        update: &RefUpdate,
        fast_forward: Option<bool>,
        actor: &Actor,
        head: Option<&RefName>,
    ) -> Result<(), String> {
        let name = &update.name;
        if name.as_branch().is_none() && name.as_tag().is_none() {
            return Err("only branches and tags can be pushed".to_owned());
        }
        if !actor.rights.methods().write {
            return Err(format!("`{}` may not push here", actor.name));
        }
        if !actor.rights.allow_ref(name.as_str()) {
            return Err(format!("`{}` may not move `{}`", actor.name, name.short()));
        }
        if update.new.is_none() {
            self.decide_delete(name, head)?;
        }
        if name.as_tag().is_some() && update.old.is_some() && update.old != update.new && !actor.rights.methods().admin
        {
            return Err("a tag stays where it is: only an administrator may move or delete it".to_owned());
        }
        if fast_forward == Some(false) && self.deny_non_fast_forwards {
            return Err("this repository takes no forced pushes; `dits pull` first, then push".to_owned());
        }
        self.decide_protected(update, fast_forward, actor)
    }

    fn decide_delete(&self, name: &RefName, head: Option<&RefName>) -> Result<(), String> {
        if self.deny_deletes {
            return Err("branches and tags of this repository cannot be deleted".to_owned());
        }
        if head == Some(name) {
            return Err("it is the branch that HEAD names, which cannot be deleted".to_owned());
        }
        Ok(())
    }

    fn decide_protected(&self, update: &RefUpdate, fast_forward: Option<bool>, actor: &Actor) -> Result<(), String> {
        let mut rules = self.protected.iter().filter(|rule| rule.branches.matches(update.name.as_str())).peekable();
        if rules.peek().is_none() {
            return Ok(());
        }
        // Several rules for one branch: whoever one of them names.
        if !rules.any(|rule| rule.names.contains(&actor.name)) {
            return Err("the branch is protected; push another branch and have it merged".to_owned());
        }
        match (update.new, fast_forward) {
            (None, _) => Err("the branch is protected and cannot be deleted".to_owned()),
            (_, Some(false)) => Err("the branch is protected and takes no forced pushes".to_owned()),
            _ => Ok(()),
        }
    }
}

impl Protected {
    /// `main: ci ada`. A ref's name has no colon.
    fn parse(text: &str) -> Self {
        let (branches, names) = text.split_once(':').unwrap_or((text, ""));
        let names = names.split([' ', ',']).filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect();
        Self { branches: Pattern::of_refs(branches.trim()), names }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dits_core::object::Digest;

    use super::*;

    fn policy(text: &str) -> Policy {
        Policy::of(&Config::of_bytes(Path::new("config"), text.as_bytes()).unwrap()).unwrap()
    }

    fn actor(name: &str, methods: u8, refs: &[&str]) -> Actor {
        let refs = refs.iter().map(|text| (*text).to_owned()).collect();
        Actor { name: name.into(), rights: Rights { methods, refs, ..Rights::default() } }
    }

    fn update(name: &str, old: u8, new: u8) -> RefUpdate {
        let id = |byte: u8| (byte != 0).then_some(Digest([byte; 32]));
        RefUpdate { name: RefName::parse(name).unwrap(), old: id(old), new: id(new), force: true }
    }

    const MAIN: &str = "refs/branches/main";

    #[track_caller]
    fn check(policy: &Policy, update: &RefUpdate, ff: Option<bool>, actor: &Actor, expected: Result<(), &str>) {
        let head = RefName::parse("refs/branches/trunk").unwrap();
        match (policy.decide(update, ff, actor, Some(&head)), expected) {
            (Ok(()), Ok(())) => {}
            (Err(found), Err(part)) if found.contains(part) => {}
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn without_rules_writers_do_everything_but_what_nobody_may() {
        let (free, ada) = (Policy::default(), actor("ada", 3, &[]));
        check(&free, &update(MAIN, 0, 1), None, &ada, Ok(()));
        check(&free, &update(MAIN, 1, 2), Some(false), &ada, Ok(()));
        check(&free, &update(MAIN, 1, 0), None, &ada, Ok(()));
        check(&free, &update("refs/branches/trunk", 1, 0), None, &ada, Err("HEAD names"));
        check(&free, &update("refs/remotes/o/a", 0, 1), None, &ada, Err("only branches and tags"));
        check(&free, &update("HEAD", 0, 1), None, &ada, Err("only branches and tags"));
        check(&free, &update(MAIN, 0, 1), None, &actor("eve", 1, &[]), Err("may not push"));
        check(&free, &update("refs/tags/v1", 0, 1), None, &ada, Ok(()));
        check(&free, &update("refs/tags/v1", 1, 2), Some(true), &ada, Err("tag stays"));
        check(&free, &update("refs/tags/v1", 1, 0), None, &ada, Err("tag stays"));
        check(&free, &update("refs/tags/v1", 1, 2), Some(true), &actor("root", 11, &[]), Ok(()));
    }

    #[test]
    fn a_token_moves_only_its_refs() {
        let limited = actor("ada", 3, &["ada/**", "refs/tags/*"]);
        check(&Policy::default(), &update("refs/branches/ada/x/y", 0, 1), None, &limited, Ok(()));
        check(&Policy::default(), &update("refs/tags/v1", 0, 1), None, &limited, Ok(()));
        check(&Policy::default(), &update(MAIN, 1, 2), Some(true), &limited, Err("may not move `main`"));
    }

    #[test]
    fn protected_branches_go_forward_only_and_by_named_hands() {
        let rules = policy("[receive]\nprotect = ['main: ci, ada', 'release/*', 'main: bob']\n");
        for name in ["ci", "ada", "bob"] {
            check(&rules, &update(MAIN, 1, 2), Some(true), &actor(name, 3, &[]), Ok(()));
        }
        let ci = actor("ci", 11, &[]);
        check(&rules, &update(MAIN, 1, 2), None, &ci, Ok(()));
        check(&rules, &update(MAIN, 1, 2), Some(false), &ci, Err("no forced pushes"));
        check(&rules, &update(MAIN, 1, 0), None, &ci, Err("cannot be deleted"));
        check(&rules, &update(MAIN, 1, 2), Some(true), &actor("eve", 15, &[]), Err("protected"));
        check(&rules, &update("refs/branches/release/1", 0, 1), None, &ci, Err("protected"));
        check(&rules, &update("refs/branches/release", 0, 1), None, &ci, Ok(()));
    }

    #[test]
    fn settings_for_all_branches() {
        let ada = actor("ada", 3, &[]);
        let rules = policy("[receive]\ndenyNonFastForwards = true\ndenyDeletes = true\n");
        check(&rules, &update(MAIN, 1, 2), Some(false), &ada, Err("no forced pushes"));
        check(&rules, &update(MAIN, 1, 2), Some(true), &ada, Ok(()));
        check(&rules, &update(MAIN, 1, 0), None, &ada, Err("cannot be deleted"));
        let bad = Config::of_bytes(Path::new("config"), b"server.quota = 'much'").unwrap();
        assert!(Policy::of(&bad).is_err());
    }
}
