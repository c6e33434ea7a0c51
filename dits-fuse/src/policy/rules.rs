//! What programs may do, by their names.

use super::Who;

/// So much of a program's name the kernel keeps.
const COMM: usize = 15;

/// What a program may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    #[default]
    Allow,
    /// List folders, and read what is on this machine.
    Metadata,
    /// Open nothing.
    Deny,
}

/// A line that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rule for a program: write NAME=allow, NAME=metadata or NAME=deny")]
pub struct PolicyError(String);

/// Rules, the first that names a program counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<(String, Access)>);

impl Rules {
    /// Reads rules of the form `NAME=ACCESS`. A `*` at the end of a name stands for anything.
    ///
    /// # Errors
    /// When one has another form.
    pub fn parse<S: AsRef<str>>(lines: &[S]) -> Result<Self, PolicyError> {
        let rule = |line: &S| {
            let line = line.as_ref();
            let (name, access) = line.rsplit_once('=').map(|(name, access)| (name.trim(), access.trim()))?;
            let access = match access {
                "allow" => Access::Allow,
                "metadata" => Access::Metadata,
                "deny" => Access::Deny,
                _ => return None,
            };
            let is_name = !name.is_empty() && !name.contains('/');
            is_name.then(|| (name.to_owned(), access))
        };
        lines
            .iter()
            .map(|line| rule(line).ok_or_else(|| PolicyError(line.as_ref().to_owned())))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What somebody may do.
    #[must_use]
    pub fn of(&self, who: &Who) -> Access {
        self.0.iter().find(|(name, _)| names(name, who)).map_or(Access::Allow, |(_, access)| *access)
    }
}

fn names(pattern: &str, who: &Who) -> bool {
    let same = |name: &str, most: usize| match pattern.strip_suffix('*') {
        Some(start) => name.as_bytes().starts_with(cut(start, most)),
        None => !name.is_empty() && name.as_bytes() == cut(pattern, most),
    };
    same(&who.comm, COMM) || who.executable.as_deref().is_some_and(|name| same(name, usize::MAX))
}

fn cut(text: &str, most: usize) -> &[u8] {
    &text.as_bytes()[..text.len().min(most)]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn who(comm: &str, executable: Option<&str>) -> Who {
        Who { comm: comm.to_owned(), executable: executable.map(str::to_owned) }
    }

    #[test]
    fn the_first_rule_that_names_a_program_counts() {
        let lines = ["tracker-miner-fs-3=metadata", "tracker-*=deny", "a=allow", " spaced = deny ", "a*=deny"];
        let rules = Rules::parse(&lines).unwrap();
        for (comm, executable, access) in [
            ("tracker-miner-f", Some("tracker-miner-fs-3"), Access::Metadata),
            ("tracker-miner-f", None, Access::Metadata),
            ("tracker-extract", Some("tracker-extract-3"), Access::Deny),
            ("pool", Some("tracker-store"), Access::Deny),
            ("a", Some("a"), Access::Allow),
            ("ab", None, Access::Deny),
            ("spaced", None, Access::Deny),
            ("cat", Some("cat"), Access::Allow),
            ("", None, Access::Allow),
        ] {
            assert_eq!(rules.of(&who(comm, executable)), access, "{comm} {executable:?}");
        }
        assert_eq!(Rules::default().of(&who("a", None)), Access::Allow);
        assert_eq!(Rules::parse(&["*=deny"]).unwrap().of(&who("any", None)), Access::Deny);
    }

    #[test]
    fn what_is_no_rule_is_named() {
        for line in ["", "cat", "cat=", "cat=none", "=deny", "/bin/cat=deny"] {
            assert_eq!(Rules::parse(&["a=deny", line]), Err(PolicyError(line.to_owned())));
        }
    }
}
