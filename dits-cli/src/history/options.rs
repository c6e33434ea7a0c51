//! The options that say how commits are shown.

use crate::context::Context;
use crate::date::DateStyle;
use crate::error::CliError;
use crate::repository::Opened;
use crate::settings::Settings;

use super::decorate::{DecorateWhen, Decorations};
use super::format::{Format, Formatter};

/// The options of `log` and `show` on how commits are shown.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "How commits are shown")]
pub struct FormatArgs {
    /// One line per commit
    #[arg(long)]
    oneline: bool,
    /// oneline, short, medium, full, fuller, or a template such as '%h %an %s'
    #[arg(long, visible_alias = "pretty", value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// default, iso, iso-strict, rfc, short, relative, unix or raw
    #[arg(long, value_name = "STYLE")]
    date: Option<DateStyle>,
    /// Shorten ids in every form
    #[arg(long)]
    abbrev_commit: bool,
    /// Name branches and tags beside their commits
    #[arg(long, value_name = "HOW", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "short")]
    decorate: Option<DecorateWhen>,
    /// Do not name them
    #[arg(long, conflicts_with = "decorate")]
    no_decorate: bool,
}

impl FormatArgs {
    /// The options with the settings' defaults.
    ///
    /// # Errors
    /// When one makes no sense, or the refs cannot be read.
    pub fn resolve<'a>(&self, cx: &'a Context, opened: &'a Opened) -> Result<Formatter<'a>, CliError> {
        let settings: &dyn Settings = opened.repo.config();
        let format = match &self.format {
            Some(text) => text.parse()?,
            None if self.oneline => Format::Oneline,
            None => Format::default(),
        };
        let date = match (self.date, settings.get("log.date")) {
            (Some(date), _) => date,
            (None, Some(text)) => text.parse()?,
            (None, None) => DateStyle::default(),
        };
        let wanted = match self.decorate {
            _ if self.no_decorate => DecorateWhen::No,
            Some(wanted) => wanted,
            None => DecorateWhen::Auto,
        };
        let decorate = match wanted {
            DecorateWhen::Auto => cx.out().is_terminal(),
            DecorateWhen::No => false,
            DecorateWhen::Short | DecorateWhen::Full => true,
        };
        let by_template = matches!(&format, Format::Template(text, _) if text.contains("%d") || text.contains("%D"));
        let decorations = match decorate || by_template || cx.json() {
            true => Decorations::load(&opened.repo, wanted == DecorateWhen::Full)?,
            false => Decorations::default(),
        };
        let (repo, out, abbrev) = (&opened.repo, cx.out(), self.abbrev_commit || self.oneline);
        Ok(Formatter { repo, out, format, date, now: cx.now()?, decorations, decorate, abbrev })
    }
}
