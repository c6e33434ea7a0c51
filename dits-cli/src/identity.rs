//! Who makes a commit.

use crate::date::Moment;
use crate::env::PersonEnv;
use crate::error::CliError;
use crate::settings::Settings;

/// Someone, at a moment; what a commit's signature is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name, not empty, without `<`, `>` and control characters.
    pub name: String,
    /// The e-mail address, with the same limits.
    pub email: String,
    /// When.
    pub when: Moment,
}

/// Which of the two people of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Who made the change.
    Author,
    /// Who recorded it.
    Committer,
}

impl Role {
    fn section(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Committer => "committer",
        }
    }
}

impl Identity {
    /// Finds out who: the environment before `author.*` or `committer.*` before `user.*`.
    ///
    /// # Errors
    /// When the name or address is nowhere, or cannot be recorded, or the date cannot be read.
    pub fn find(role: Role, env: &PersonEnv, settings: &dyn Settings, now: Moment) -> Result<Self, CliError> {
        let setting = |part: &str| {
            let own = settings.get(&format!("{}.{part}", role.section()));
            own.or_else(|| settings.get(&format!("user.{part}"))).filter(|value| !value.trim().is_empty())
        };
        let name = env.name.clone().or_else(|| setting("name"));
        let email = env.email.clone().or_else(|| setting("email"));
        let when = env.date.as_deref().map_or(Ok(now), |date| Moment::parse(date, now))?;
        match (name, email) {
            (Some(name), Some(email)) => Self { name, email, when }.checked(),
            (name, email) => Err(missing(name.is_none(), email.is_none())),
        }
    }

    /// Reads `Name <address>`, the form of `--author`.
    ///
    /// # Errors
    /// When it is not in that form.
    pub fn parse(text: &str, when: Moment) -> Result<Self, CliError> {
        let parts = text.trim().strip_suffix('>').and_then(|text| text.split_once('<'));
        let Some((name, email)) = parts else {
            return Err(CliError::usage(format!("`{text}` is not in the form `Name <address>`")));
        };
        Self { name: name.to_owned(), email: email.to_owned(), when }.checked()
    }

    fn checked(self) -> Result<Self, CliError> {
        let clean = |what: &str, value: &str| {
            let value = value.trim();
            match value.is_empty() || value.contains(|c: char| c.is_control() || "<>".contains(c)) {
                true => Err(CliError::usage(format!(
                    "`{}` cannot be the {what} of a commit: it is empty or has `<`, `>` or a line break",
                    value.escape_debug()
                ))),
                false => Ok(value.to_owned()),
            }
        };
        Ok(Self { name: clean("name", &self.name)?, email: clean("e-mail address", &self.email)?, when: self.when })
    }
}

fn missing(name: bool, email: bool) -> CliError {
    let what = match (name, email) {
        (true, true) => "your name and e-mail address",
        (true, false) => "your name",
        _ => "your e-mail address",
    };
    let mut error = CliError::usage(format!("dits does not know {what}, which every commit records"));
    if name {
        error = error.hint("dits config --global user.name \"Your Name\"");
    }
    if email {
        error = error.hint("dits config --global user.email you@example.com");
    }
    error.hint("without --global they hold for this repository only")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Overrides;

    const NOW: Moment = Moment { seconds: 1000, offset: 0 };

    fn settings(pairs: &[&str]) -> Overrides {
        Overrides::parse(&pairs.iter().map(|pair| (*pair).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn the_environment_beats_the_role_beats_the_user() {
        let settings = settings(&["user.name=User", "user.email=u@x", "author.name=Role"]);
        let find = |role, env: PersonEnv| Identity::find(role, &env, &settings, NOW).unwrap();
        assert_eq!(find(Role::Author, PersonEnv::default()).name, "Role");
        assert_eq!(find(Role::Committer, PersonEnv::default()).name, "User");
        let env = PersonEnv { name: Some("Env".to_owned()), date: Some("@5 +0100".to_owned()), email: None };
        let expected = Identity { name: "Env".into(), email: "u@x".into(), when: Moment { seconds: 5, offset: 60 } };
        assert_eq!(find(Role::Author, env), expected);
    }

    #[test]
    fn what_is_missing_is_said_with_the_command_that_sets_it() {
        let error =
            |pairs: &[&str]| Identity::find(Role::Author, &PersonEnv::default(), &settings(pairs), NOW).unwrap_err();
        assert_eq!(error(&[]).hints.len(), 3);
        let error = error(&["user.name=A", "user.email= "]);
        assert_eq!(error.message, "dits does not know your e-mail address, which every commit records");
        assert_eq!(error.hints[0], "dits config --global user.email you@example.com");
    }

    #[test]
    fn an_author_given_by_hand() {
        let ada = Identity::parse(" Ada  <ada@x.org> ", NOW).unwrap();
        assert_eq!((ada.name.as_str(), ada.email.as_str()), ("Ada", "ada@x.org"));
        for bad in ["Ada", "<a@x>", "Ada <>", "A <b <c>", "A\nB <c@d>"] {
            assert!(Identity::parse(bad, NOW).is_err(), "{bad}");
        }
    }
}
