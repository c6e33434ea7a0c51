//! Settings that a mount obeys while it runs.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use dits_core::config::Config;
use dits_core::repo::{Layout, Repository};
use dits_core::store::ChunkCache;
use dits_fuse::policy::{Guard, Rules};

use crate::context::Context;
use crate::error::{CliError, print_warning};
use crate::sharing::disk;

/// Files of settings, and when they were last changed.
type Seen = Vec<(PathBuf, Option<SystemTime>)>;

/// Settings that are looked at again when their files change.
pub struct Settings {
    layout: Layout,
    /// The quota that was given on the command line.
    quota: Option<u64>,
    seen: RefCell<Seen>,
}

impl Settings {
    /// Those of a repository.
    pub fn new(repo: &Repository, cx: &Context, quota: Option<u64>) -> Self {
        let layout = repo.layout().clone();
        let files = [Some(layout.config()), Some(layout.worktree_config()), cx.env.global_config()];
        let seen = files.into_iter().flatten().map(|file| (file.clone(), changed(&file))).collect();
        Self { layout, quota, seen: RefCell::new(seen) }
    }

    /// How much disk the mount may take.
    ///
    /// # Errors
    /// When the setting is no size.
    pub fn quota(&self, config: &Config) -> Result<u64, CliError> {
        self.quota.map_or_else(|| disk::quota(config), Ok)
    }

    /// What programs may do.
    ///
    /// # Errors
    /// When a rule is none.
    pub fn rules(config: &Config) -> Result<Rules, CliError> {
        let lines = config.get_list("mount.policy")?.unwrap_or_default();
        Rules::parse(&lines).map_err(|error| CliError::usage(format!("mount.policy: {error}")))
    }

    /// Has the mount go by what the settings say now, if they were changed. Of what makes no sense it is warned.
    pub fn obey(&self, cx: &Context, disk: Option<&ChunkCache>, guard: &Guard) {
        let mut seen = self.seen.borrow_mut();
        let now: Seen = seen.iter().map(|(file, _)| (file.clone(), changed(file))).collect();
        if *seen == now {
            return;
        }
        *seen = now;
        if let Err(error) = self.apply(cx, disk, guard) {
            print_warning(&format!("settings were changed, and are not obeyed: {}", error.message), false);
        }
    }

    fn apply(&self, cx: &Context, disk: Option<&ChunkCache>, guard: &Guard) -> Result<(), CliError> {
        let repo = Repository::open(self.layout.clone(), &cx.environment()?)?;
        guard.set_rules(Self::rules(repo.config())?);
        if let Some(disk) = disk {
            disk.set_quota(self.quota(repo.config())?)?;
        }
        Ok(())
    }
}

fn changed(file: &PathBuf) -> Option<SystemTime> {
    fs::metadata(file).and_then(|meta| meta.modified()).ok()
}
