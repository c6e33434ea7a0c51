//! Short guides that `dits help` shows.

/// A text that explains a subject.
#[derive(Debug, Clone, Copy)]
pub struct Guide {
    /// What comes after `dits help`.
    pub name: &'static str,
    /// What it is about, for the list.
    pub about: &'static str,
    /// The text: lines of at most 90 columns; headings begin with `#`.
    pub text: &'static str,
}

/// All guides, in the order in which to read them.
pub const ALL: &[Guide] = &[
    Guide { name: "tutorial", about: "version a video, step by step", text: include_str!("guide/tutorial.md") },
    Guide { name: "git", about: "what is as in git, and what is not", text: include_str!("guide/git.md") },
    Guide { name: "revisions", about: "how to name a version", text: include_str!("guide/revisions.md") },
    Guide { name: "sharing", about: "remotes, clone, push and pull", text: include_str!("guide/sharing.md") },
    Guide {
        name: "locking",
        about: "files that nobody can merge: lock, edit, push",
        text: include_str!("guide/locking.md"),
    },
    Guide { name: "pathspecs", about: "how to name files", text: include_str!("guide/pathspecs.md") },
    Guide { name: "ignore", about: ".ditsignore: what not to version", text: include_str!("guide/ignore.md") },
    Guide {
        name: "attributes",
        about: ".ditsattributes: how to store files",
        text: include_str!("guide/attributes.md"),
    },
    Guide { name: "storage", about: "what a version costs on disk", text: include_str!("guide/storage.md") },
    Guide { name: "scripting", about: "--json, -z, quiet and stable output", text: include_str!("guide/scripting.md") },
    Guide { name: "exit-codes", about: "what the exit codes mean", text: include_str!("guide/exit-codes.md") },
    Guide {
        name: "environment",
        about: "the variables dits looks at",
        text: include_str!("../../docs/environment.md"),
    },
];

/// The guide of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Guide> {
    ALL.iter().find(|guide| guide.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guides_fit_a_terminal_and_hide_no_command() {
        let app = crate::app::command();
        for guide in ALL {
            assert!(guide.text.starts_with("# "), "{} has no title", guide.name);
            let long = guide.text.lines().find(|line| line.chars().count() > 90);
            assert_eq!(long, None, "{}", guide.name);
            assert!(app.find_subcommand(guide.name).is_none(), "`{}` is a command too", guide.name);
        }
    }
}
