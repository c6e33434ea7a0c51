//! What the tests of this crate share: a server's folder, and what runs on it.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::access::Services;
use crate::audit::AuditLog;
use crate::env::{self, Env};
use crate::host::Hosted;
use crate::limits::Turns;
use crate::lock_tables::LockTables;
use crate::metrics::Metrics;
use crate::repo_name::RepoName;
use crate::repositories::Repositories;
use crate::root::Root;
use crate::token::{Rights, Secret, Token, TokenFile};

/// A server's folder with the repositories `film`, `open` (which anybody may read) and `studio/a`.
pub struct Rig {
    _dir: tempfile::TempDir,
    pub root: Root,
    pub host: Arc<Hosted>,
}

/// Makes one.
pub fn rig() -> Rig {
    rig_with(Duration::from_millis(700), Duration::ZERO)
}

/// Makes one whose hooks may take this long, and in which pushes wait this long for each other.
pub fn rig_with(hook_timeout: Duration, push_wait: Duration) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open_or_create(&dir.path().join("root")).unwrap();
    let services = Services {
        tokens: Some(TokenFile::new(root.tokens())),
        audit: Some(AuditLog::new(root.audit())),
        audit_reads: true,
        metrics: Metrics::default(),
        locks: LockTables::embedded(),
        turns: Turns::new(1, push_wait),
        hook_timeout,
        stopping: Arc::new(AtomicBool::new(false)),
        cutting_off: AtomicBool::new(false),
    };
    let repositories = Repositories::new(&root, &Env::default());
    for name in ["film", "open", "studio/a"] {
        repositories.create(&RepoName::parse(name).unwrap(), None).unwrap();
    }
    std::fs::write(root.repositories().join("open.dits/config"), "server.anonymousRead = true\n").unwrap();
    Rig { _dir: dir, root, host: Arc::new(Hosted { services: Arc::new(services), repositories }) }
}

impl Rig {
    pub fn token(&self, name: &str, repositories: &[&str], methods: u8, paths: &[&str]) -> Secret {
        let secret = Secret::generate().unwrap();
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let rights = Rights { repositories: texts(repositories), methods, refs: Vec::new(), paths: texts(paths) };
        let token = Token { name: name.into(), hash: secret.hash(), created: 1, expires: None, revoked: None, rights };
        self.tokens().add(token, env::now()).unwrap();
        secret
    }

    pub fn tokens(&self) -> &TokenFile {
        self.host.services.tokens.as_ref().unwrap()
    }

    pub fn hook(&self, name: &str, script: &str) {
        let file = self.root.repositories().join("film.dits/hooks").join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}
