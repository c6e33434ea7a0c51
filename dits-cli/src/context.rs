//! What every command gets: the global options, the environment, the output, the settings and the time.

use std::fmt;
use std::path::PathBuf;

use dits_core::config::Config;

use crate::app::Globals;
use crate::date::Moment;
use crate::env::Env;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::output::color::ColorWhen;
use crate::output::pager;
use crate::progress::Terminal;
use crate::settings::{self, Settings};

/// One run of dits.
pub struct Context {
    /// The global options.
    pub globals: Globals,
    /// The environment.
    pub env: Env,
    /// The folder to work in, after `-C`.
    pub cwd: PathBuf,
    /// The configuration, without a repository's layers until one is opened.
    pub config: Config,
    out: Output,
}

impl Context {
    /// Resolves the global options. A command that repairs settings goes on without those that cannot be read.
    ///
    /// # Errors
    /// When one of them makes no sense, or the current folder is gone.
    pub fn new(globals: Globals, env: Env, cwd: PathBuf, repairs_settings: bool) -> Result<Self, CliError> {
        let config = match settings::load(&env, &globals.overrides) {
            Err(error) if repairs_settings && error.exit == Exit::Corruption => Config::new(),
            loaded => loaded?,
        };
        let color = ColorWhen::resolve(globals.color, globals.json, &env, &config)?;
        Ok(Self { out: Output::stdout(color), globals, env, cwd, config })
    }

    /// Standard output: `write!(cx.out(), …)?`.
    #[must_use]
    pub fn out(&self) -> &Output {
        &self.out
    }

    /// Whether the answer is to be JSON.
    #[must_use]
    pub fn json(&self) -> bool {
        self.globals.json
    }

    /// Whether to leave out what is not the answer itself.
    #[must_use]
    pub fn quiet(&self) -> bool {
        self.globals.quiet
    }

    /// How often `-v` was given.
    #[must_use]
    pub fn verbose(&self) -> u8 {
        self.globals.verbose
    }

    /// The configuration.
    #[must_use]
    pub fn settings(&self) -> &dyn Settings {
        &self.config
    }

    /// Lets the user page through what follows, if a person watches and wants a pager. For commands with long output.
    ///
    /// # Errors
    /// When the pager exists but does not start.
    pub fn start_pager(&self) -> Result<(), CliError> {
        if self.globals.json || self.globals.no_pager {
            return Ok(());
        }
        pager::Command::choose(&self.env, self.settings()).map_or(Ok(()), |command| self.out.page_through(&command))
    }

    /// A progress line for a long operation. Drop it, or clear it, before printing the outcome.
    #[must_use]
    pub fn progress(&self) -> Terminal {
        Terminal::new(!self.globals.quiet && !self.globals.json)
    }

    /// A remark for the user on standard error, that is not part of the answer: silent with `-q` and `--json`.
    pub fn note(&self, text: impl fmt::Display) {
        if !self.globals.quiet && !self.globals.json {
            crate::error::print_line(&text.to_string());
        }
    }

    /// A warning on standard error: `warning: …`, or a JSON line.
    pub fn warn(&self, text: impl fmt::Display) {
        crate::error::print_warning(&text.to_string(), self.globals.json);
    }

    /// The current time.
    ///
    /// # Errors
    /// When `DITS_NOW` is set and no date.
    pub fn now(&self) -> Result<Moment, CliError> {
        Ok(Moment::now(self.env.now.as_deref())?)
    }

    /// Ends the output, and waits for a pager.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn finish(self) -> Result<(), CliError> {
        self.out.finish()
    }
}
