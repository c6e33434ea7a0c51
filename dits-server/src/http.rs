//! Three pages for machines that watch: `/metrics`, `/healthz`, `/readyz`.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use dits_core::durable::{IoContext, IoError};

use crate::host::Hosted;
use crate::repositories;
use crate::root::Root;

/// How long sizes of repositories are remembered.
const SIZES_AGE: Duration = Duration::from_secs(300);

/// Why the pages are not served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be used.
    #[error("cannot listen on {address} for HTTP: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

struct Pages {
    hosted: Arc<Hosted>,
    root: Root,
    sizes_seen: Mutex<Option<Instant>>,
}

/// Serves the pages on a thread of their own, for as long as the process lives, and says where.
///
/// # Errors
/// When the address cannot be used.
pub fn begin(address: SocketAddr, hosted: Arc<Hosted>, root: Root) -> Result<SocketAddr, HttpError> {
    let failed = |source| HttpError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let pages = Arc::new(Pages { hosted, root, sizes_seen: Mutex::default() });
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(pages);
    let serve = move || {
        let ended = runtime.block_on(async { axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await });
        if let Err(error) = ended {
            tracing::error!(%error, "the HTTP pages have ended");
        }
    };
    std::thread::Builder::new().name("http".to_owned()).spawn(serve).map_err(failed)?;
    Ok(bound)
}

async fn metrics(State(pages): State<Arc<Pages>>) -> impl IntoResponse {
    let text = tokio::task::spawn_blocking(move || {
        pages.look_at_sizes();
        pages.hosted.services.metrics.text()
    });
    let kind = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    match text.await {
        Ok(text) => (StatusCode::OK, kind, text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, kind, String::new()),
    }
}

async fn ready(State(pages): State<Arc<Pages>>) -> (StatusCode, String) {
    if pages.hosted.services.is_stopping() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down\n".to_owned());
    }
    match tokio::task::spawn_blocking(move || pages.try_writing()).await {
        Ok(Ok(())) => (StatusCode::OK, "ready\n".to_owned()),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "no answer\n".to_owned()),
    }
}

impl Pages {
    fn look_at_sizes(&self) {
        let mut seen = self.sizes_seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_some_and(|seen| seen.elapsed() < SIZES_AGE) {
            return;
        }
        let names = self.hosted.repositories.list().unwrap_or_default();
        let sizes = names.into_iter().filter_map(|name| {
            let repository = self.hosted.repositories.open(&name).ok()?;
            Some((name.to_string(), repositories::stored_bytes(&repository).ok()?))
        });
        self.hosted.services.metrics.sizes(&sizes.collect::<Vec<_>>());
        *seen = Some(Instant::now());
    }

    fn try_writing(&self) -> Result<(), IoError> {
        let folder = self.root.temp();
        tempfile::tempfile_in(&folder)
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"ready"))
            .at("write in", &folder)
    }
}
