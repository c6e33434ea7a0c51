//! Configuration as the command line's own parts see it.

use dits_core::config::{Config, Layer};

use crate::env::Env;
use crate::error::CliError;

/// Answers what a configuration key is set to, after all layers.
pub trait Settings {
    /// The value as text; `None` if no layer sets the key.
    fn get(&self, key: &str) -> Option<String>;

    /// A truth value, in git's spellings.
    ///
    /// # Errors
    /// When the value is none of them.
    fn get_bool(&self, key: &str) -> Result<Option<bool>, CliError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Some(true)),
            "false" | "no" | "off" | "0" | "" => Ok(Some(false)),
            _ => Err(CliError::usage(format!("`{key}` is `{value}`, which is neither true nor false"))),
        }
    }
}

/// What users have set; a built-in default does not count, as the environment may come before it.
impl Settings for Config {
    fn get(&self, key: &str) -> Option<String> {
        let setting = Config::get(self, key).filter(|setting| setting.origin.layer != Layer::Default)?;
        setting.value.to_text()
    }
}

/// The configuration as far as it does not need a repository: the machine's, the user's, and `-c`.
///
/// # Errors
/// When a file cannot be read, or an override names no setting.
pub fn load(env: &Env, overrides: &[String]) -> Result<Config, CliError> {
    let mut config = Config::new();
    config.add_file(Layer::System, &env.system_config())?;
    if let Some(file) = env.global_config() {
        config.add_file(Layer::User, &file)?;
    }
    overrides.iter().try_for_each(|argument| config.add_override(argument))?;
    Ok(config)
}

/// Settings without files, for tests: `key=value`, a later one wins.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub struct Overrides(Vec<(String, String)>);

#[cfg(test)]
impl Overrides {
    /// Reads the values of `-c`; one without `=` means true.
    ///
    /// # Errors
    /// When a key has no dot or an empty part.
    pub fn parse(given: &[String]) -> Result<Self, CliError> {
        let mut pairs = Vec::with_capacity(given.len());
        for text in given {
            let (key, value) = text.split_once('=').unwrap_or((text, "true"));
            if !key.contains('.') || key.split('.').any(str::is_empty) {
                return Err(CliError::usage(format!("`-c {text}` names no setting"))
                    .hint("write it as `-c section.key=value`, for example `-c user.name=Ada`"));
            }
            pairs.push((key.to_owned(), value.to_owned()));
        }
        Ok(Self(pairs))
    }
}

#[cfg(test)]
impl Settings for Overrides {
    fn get(&self, key: &str) -> Option<String> {
        self.0.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_override_wins() {
        let given = ["user.name=A", "user.name=B=C", "core.portable"].map(str::to_owned);
        let settings = Overrides::parse(&given).unwrap();
        assert_eq!(settings.get("user.name").as_deref(), Some("B=C"));
        assert_eq!(settings.get_bool("core.Portable").unwrap(), Some(true));
        assert!(settings.get_bool("user.name").is_err());
    }

    #[test]
    fn an_override_needs_a_section() {
        for bad in ["name=x", "=x", ".a=1", "a.=1"] {
            assert!(Overrides::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
