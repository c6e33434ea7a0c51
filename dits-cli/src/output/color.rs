//! When to colour, and the palette. The colours are git's, so that they need no learning.

use anstyle::{AnsiColor, Color, Style};

use crate::env::Env;
use crate::error::CliError;
use crate::settings::Settings;

/// Staged, added.
pub const ADDED: Style = plain(AnsiColor::Green);
/// Changed but not staged, removed.
pub const DELETED: Style = plain(AnsiColor::Red);
/// A commit id in a list.
pub const COMMIT: Style = plain(AnsiColor::Yellow);
/// The current branch.
pub const CURRENT: Style = plain(AnsiColor::Green);
/// A branch elsewhere.
pub const REMOTE: Style = plain(AnsiColor::Red);
/// A range of bytes, like the hunk header of a diff.
pub const RANGE: Style = plain(AnsiColor::Cyan);
/// Headings.
pub const HEADING: Style = Style::new().bold();
/// What matters less.
pub const FAINT: Style = Style::new().dimmed();

const fn plain(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(color)))
}

/// When output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorWhen {
    /// If a person watches.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorWhen {
    /// Decides: `--color` before `NO_COLOR` before `color.ui` before what the terminal can do. JSON has no colours.
    ///
    /// # Errors
    /// When `color.ui` is neither a truth value nor `auto`, `always` or `never`.
    pub fn resolve(option: Option<Self>, json: bool, env: &Env, settings: &dyn Settings) -> Result<Self, CliError> {
        let configured = match settings.get("color.ui").as_deref() {
            None => None,
            Some("auto") => Some(Self::Auto),
            Some("always") => Some(Self::Always),
            Some("never") => Some(Self::Never),
            Some(_) => settings.get_bool("color.ui")?.map(|on| if on { Self::Auto } else { Self::Never }),
        };
        Ok(match option {
            _ if json => Self::Never,
            Some(option) => option,
            None if env.no_color => Self::Never,
            None => match configured.unwrap_or_default() {
                Self::Auto if env.is_dumb() => Self::Never,
                other => other,
            },
        })
    }

    /// Whether to colour a stream.
    #[must_use]
    pub fn on(self, is_terminal: bool) -> bool {
        match self {
            Self::Auto => is_terminal,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Overrides;

    fn resolve(option: Option<ColorWhen>, no_color: bool, ui: &str) -> ColorWhen {
        let env = Env { no_color, ..Env::default() };
        let settings = Overrides::parse(&[format!("color.ui={ui}")]).unwrap();
        ColorWhen::resolve(option, false, &env, &settings).unwrap()
    }

    #[test]
    fn the_option_beats_the_environment_beats_the_configuration() {
        use ColorWhen::{Always, Auto, Never};
        assert_eq!(resolve(Some(Always), true, "never"), Always);
        assert_eq!(resolve(None, true, "always"), Never);
        assert_eq!(resolve(None, false, "always"), Always);
        assert_eq!(resolve(None, false, "true"), Auto);
        assert_eq!(resolve(None, false, "off"), Never);
        let env = Env { term: Some("dumb".to_owned()), ..Env::default() };
        assert_eq!(ColorWhen::resolve(None, false, &env, &Overrides::default()).unwrap(), Never);
        assert_eq!(ColorWhen::resolve(Some(Always), true, &env, &Overrides::default()).unwrap(), Never);
    }
}
