//! `dits-server serve`

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dits_sync::identity::ServerIdentity;
use dits_sync::link::{Link, ListenOptions, Listener};
use serde::Serialize;

use crate::access::Services;
use crate::app::Context;
use crate::audit::{AuditLog, Record};
use crate::error::CliError;
use crate::exit::Exit;
use crate::host::Hosted;
use crate::limits::{Doors, Turns};
use crate::lock_tables::LockTables;
use crate::locks::LockStores;
use crate::metrics::Metrics;
use crate::repositories::Repositories;
use crate::root::Root;
use crate::running::{self, Door};
use crate::settings::Settings;
use crate::token::TokenFile;
use crate::{http, logging, output, shutdown, upkeep};

/// Where to listen; what is not given here is taken from `server.toml`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where clients connect, UDP and TCP [default: listen.address, 127.0.0.1:5557]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Where /metrics, /healthz and /readyz are [default: listen.http, nowhere]
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<SocketAddr>,
    /// Where the lock tables are: `embedded`, or redis://… as docs/server.md says; other users of this machine can see it
    /// here, so a password is better in DITS_SERVER_LOCKS or a file [default: DITS_SERVER_LOCKS, locks.store, embedded]
    #[arg(long, value_name = "STORE")]
    locks: Option<String>,
}

#[derive(Serialize)]
struct Ready {
    address: String,
    http: Option<String>,
    fingerprint: String,
    root: String,
    locks: String,
    version: &'static str,
}

impl Door for Listener {
    fn accept(&self, patience: Duration) -> Option<Box<dyn Link>> {
        Self::accept(self, patience)
    }

    fn stop(&self) {
        Self::stop(self);
    }
}

/// Serves until told to stop.
pub fn run(args: &Args, cx: &Context) -> Result<Exit, CliError> {
    // From here on a signal is a request to stop, also before everything is ready.
    let stopping = shutdown::flag_of_signals().map_err(|e| CliError::usage(format!("cannot handle signals: {e}")))?;
    let root = cx.root_or_new()?;
    let settings = root.settings()?;
    let store = args.locks.as_ref().or(cx.env.locks.as_ref());
    let locks = LockStores::new(&settings.locks, store.map(String::as_str))?;
    let shown = locks.to_string();
    let _lock = if locks.are_shared() { root.lock_shared()? } else { root.lock()? };
    logging::begin(&settings.log);
    let tokens = TokenFile::new(root.tokens());
    // Damage is told now, not to the first client.
    tokens.list()?;
    let identity = ServerIdentity::load_or_create(&root.identity())?;
    let address = args.listen.unwrap_or(settings.listen.address);
    let listener = Listener::bind(address, &identity, &ListenOptions::default())?;
    let services = Services {
        tokens: Some(tokens),
        audit: Some(AuditLog::new(root.audit())),
        audit_reads: settings.audit.reads,
        metrics: Metrics::default(),
        locks: LockTables::new(Box::new(move |name, folder| locks.open(name, folder))),
        turns: Turns::new(settings.limits.pushes_per_repository, settings.limits.push_wait.0),
        hook_timeout: settings.hooks.timeout.0,
        stopping,
        cutting_off: false.into(),
    };
    let hosted = Arc::new(Hosted { services: Arc::new(services), repositories: Repositories::new(&root, &cx.env) });
    let http = args.http.or(settings.listen.http);
    let http = http.map(|address| http::begin(address, Arc::clone(&hosted), root.clone())).transpose()?;
    let ready = Ready {
        address: listener.address().to_string(),
        http: http.map(|address| address.to_string()),
        fingerprint: identity.fingerprint().to_string(),
        root: root.path().display().to_string(),
        locks: shown,
        version: env!("CARGO_PKG_VERSION"),
    };
    begin(&hosted, &ready, cx)?;
    end(serve(&listener, &hosted, &root, &settings), &hosted)
}

/// Says that everything is ready.
fn begin(hosted: &Hosted, ready: &Ready, cx: &Context) -> Result<(), CliError> {
    let note = Some(format!("{} {}", ready.address, ready.fingerprint));
    hosted.services.record(&Record { event: "serve", note, ..Record::default() }, true);
    let Ready { address, http, root, locks, .. } = ready;
    tracing::info!(address, http, root, locks, "serving");
    match cx.json() {
        true => output::json("serve", ready),
        false => output::text(&format!("serving on {}, key fingerprint {}\n", ready.address, ready.fingerprint)),
    }
}

/// How many connections were left in the end.
fn serve(door: &dyn Door, hosted: &Arc<Hosted>, root: &Root, settings: &Settings) -> usize {
    let interval = settings.gc.interval.0;
    let upkeep = (interval != Duration::MAX).then(|| upkeep::begin(Arc::clone(hosted), interval));
    if let Some(Err(error)) = &upkeep {
        tracing::error!(%error, root = %root.path().display(), "no repository will be tidied");
    }
    let doors = Doors::new(settings.limits.connections, settings.limits.connections_per_address);
    let left = running::run(door, hosted, &doors, settings.shutdown.patience.0);
    if let Some(Ok(thread)) = upkeep {
        // It notices the request to stop between any two objects.
        let _ = thread.join();
    }
    left
}

fn end(left: usize, hosted: &Hosted) -> Result<Exit, CliError> {
    let note = (left > 0).then(|| format!("{left} connections were cut"));
    hosted.services.record(&Record { event: "stop", note, ..Record::default() }, true);
    match left {
        0 => tracing::info!("stopped"),
        _ => tracing::warn!(connections = left, "stopped; connections were cut"),
    }
    Ok(Exit::Ok)
}
