//! The options that say how changes are shown.

use dits_core::diff::RenameOptions;

use crate::error::CliError;
use crate::settings::Settings;

/// The options of `diff`, `show` and `log` on how changes are shown.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "How changes are shown")]
pub struct FormArgs {
    /// The differences themselves: lines of text, byte ranges of media
    #[arg(short = 'p', long, short_alias = 'u')]
    patch: bool,
    /// One line per file, with how much changed
    #[arg(long)]
    stat: bool,
    /// The same for scripts: lines added, lines removed, file
    #[arg(long)]
    numstat: bool,
    /// Only the last line of --stat
    #[arg(long)]
    shortstat: bool,
    /// Only the names of changed files
    #[arg(long)]
    name_only: bool,
    /// Names, with a letter for what happened to each file
    #[arg(long)]
    name_status: bool,
    /// No differences, only what was asked for besides
    #[arg(short = 's', long)]
    no_patch: bool,
    /// End names with NUL instead of line breaks, and do not quote them
    #[arg(short = 'z')]
    nul: bool,
    /// Find renames among files that are so alike, in per cent (`-M=50%`)
    #[arg(short = 'M', long, value_name = "PERCENT", num_args = 0..=1, require_equals = true, default_missing_value = "50%")]
    find_renames: Option<String>,
    /// Show a rename as one file gone and another one new
    #[arg(long, conflicts_with = "find_renames")]
    no_renames: bool,
    /// Compare all files line by line, whatever they hold
    #[arg(short = 'a', long)]
    text: bool,
    /// Lines shown around a change
    #[arg(short = 'U', long, value_name = "LINES")]
    unified: Option<usize>,
}

/// How changes are shown.
#[derive(Debug, Clone)]
pub struct Form {
    /// Differences.
    pub patch: bool,
    /// One line per file.
    pub stat: bool,
    /// One line per file, for scripts.
    pub numstat: bool,
    /// One line for all.
    pub shortstat: bool,
    /// Names.
    pub name_only: bool,
    /// Names and letters.
    pub name_status: bool,
    /// Names end with NUL.
    pub nul: bool,
    /// How renames are found; `None` if not.
    pub renames: Option<RenameOptions>,
    /// Everything is text.
    pub text: bool,
    /// Lines around a change.
    pub context: usize,
}

impl Form {
    /// Whether anything is shown.
    #[must_use]
    pub fn shows(&self) -> bool {
        self.patch || self.stat || self.numstat || self.shortstat || self.name_only || self.name_status
    }

    /// Whether contents have to be known, and not only which files differ.
    #[must_use]
    pub fn needs_content(&self) -> bool {
        self.patch || self.stat || self.numstat || self.shortstat
    }
}

impl FormArgs {
    /// The options with the settings' defaults; `patch` is whether differences are shown when nothing is asked for.
    ///
    /// # Errors
    /// When one makes no sense.
    pub fn resolve(&self, settings: &dyn Settings, patch: bool) -> Result<Form, CliError> {
        let asked = self.stat || self.numstat || self.shortstat || self.name_only || self.name_status || self.no_patch;
        Ok(Form {
            patch: self.patch || (patch && !asked),
            stat: self.stat,
            numstat: self.numstat,
            shortstat: self.shortstat,
            name_only: self.name_only,
            name_status: self.name_status,
            nul: self.nul,
            renames: self.renames(settings)?,
            text: self.text,
            context: self.unified.unwrap_or(3),
        })
    }

    fn renames(&self, settings: &dyn Settings) -> Result<Option<RenameOptions>, CliError> {
        let on = self.find_renames.is_some() || settings.get_bool("diff.renames")?.unwrap_or(true);
        if self.no_renames || !on {
            return Ok(None);
        }
        let mut options = RenameOptions::default();
        let given = self.find_renames.clone().or_else(|| settings.get("diff.renameThreshold"));
        if let Some(text) = given {
            let number = text.trim_end_matches('%').parse().ok().filter(|percent| *percent <= 100);
            options.threshold =
                number.ok_or_else(|| CliError::usage(format!("`{text}` is not a share in per cent, as in 50%")))?;
        }
        if let Some(limit) = settings.get("diff.renameLimit").and_then(|text| text.parse().ok()) {
            options.limit = limit;
        }
        Ok(Some(options))
    }
}
