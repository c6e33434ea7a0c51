//! The adapter to WebDAV: a drive that Windows, macOS and Linux mount without a driver.
//!
//! - [`fs`]: a drive as dav-server wants it, by [`place`], [`meta`], [`file`], [`change`] and [`props`].
//! - [`bridge`]: from the drive, which calls back, to futures.
//! - [`guard`]: who is let in, and what is refused before it does harm.
//! - [`locks`]: locks with an end, and by [`project`] those of the project. [`times`]: times that Windows sets.

mod bridge;
mod change;
mod file;
mod fs;
mod guard;
mod locks;
mod meta;
mod place;
mod project;
mod props;
mod times;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dav_server::body::Body;
use dav_server::davpath::DavPath;
use dav_server::{DavConfig, DavHandler, DavMethodSet};
use dits_core::overlay::Time;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::drive::Drive;
use fs::DriveFs;
use guard::Guard;
use locks::Locks;
use project::Project;

/// How long a connection may say nothing before its next request is there.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it takes at most to end.
const END: Duration = Duration::from_secs(2);
/// Connections at a time; others wait.
const CONNECTIONS: usize = 512;
/// The longest body of a request that is not a file's.
const LONGEST: usize = 64 << 10;
/// XML is read by recursion: the deepest that is let in must fit.
const STACK: usize = 8 << 20;

/// How a drive is served.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where to listen; port 0 is any that is free.
    pub listen: SocketAddr,
    /// What clients must give, with any user name.
    pub password: Option<String>,
}

/// A served drive. Dropping it ends that.
pub struct Server {
    address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
}

struct Shared {
    drive: Arc<Drive>,
    handler: DavHandler,
    guard: Guard,
}

/// Serves a drive.
///
/// # Errors
/// When the address cannot be listened on.
pub fn serve(drive: Arc<Drive>, options: ServeOptions) -> io::Result<Server> {
    let ServeOptions { listen, password } = options;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).thread_name("webdav").thread_stack_size(STACK).enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind(listen))?;
    let address = listener.local_addr()?;
    let config = DavHandler::builder().autoindex(true).hide_symlinks(false).read_buf_size(file::PIECE);
    let handler = match drive.overlay() {
        Some(_) => config.locksystem(Box::new(Locks::new(Project::of(&drive)))),
        None => config.methods(DavMethodSet::WEBDAV_RO),
    };
    let guard = Guard { password, only_local_names: address.ip().is_loopback() };
    let shared = Arc::new(Shared { drive, handler: handler.build_handler(), guard });
    runtime.spawn(accept(listener, shared));
    Ok(Server { address, runtime: Some(runtime) })
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(END);
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    connection(stream, shared).await;
                    drop(permit);
                });
            }
            // Such as too many open files: it passes.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(shared.answer(request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    // How a connection ends is its client's business.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let mut answer = match self.guard.refuses(&request) {
            Some(status) => refusal(status),
            None => self.granted(request).await,
        };
        let headers = answer.headers_mut();
        // A page that lies in the drive must not act in the name of who looks at it.
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        answer
    }

    async fn granted(&self, mut request: Request<Incoming>) -> Response<Body> {
        let path = DavPath::new(request.uri().path()).ok();
        let path = path.map(|path| path.as_bytes().to_vec()).unwrap_or_default();
        let method = request.method().as_str();
        let replaces = matches!(method, "MOVE" | "COPY");
        let reads_xml = matches!(method, "PROPFIND" | "PROPPATCH" | "LOCK");
        let patches = method == "PROPPATCH" && self.drive.overlay().is_some();
        if method == "PROPFIND" {
            // What nobody asked for is not the whole tree.
            request.headers_mut().entry("depth").or_insert(HeaderValue::from_static("1"));
        }
        let fs = DriveFs::new(Arc::clone(&self.drive), replaces, path == b"/");
        let config = DavConfig::new().filesystem(Box::new(fs));
        if !reads_xml {
            return self.handler.handle_with(config, request).await;
        }
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, LONGEST).collect().await else {
            return refusal(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let body = body.to_bytes();
        if !guard::is_modest(&body) {
            return refusal(StatusCode::BAD_REQUEST);
        }
        let time = if patches { times::modified(&body) } else { None };
        let answer = self.handler.handle_with(config, Request::from_parts(parts, Full::new(body))).await;
        match time.filter(|_| answer.status() == StatusCode::MULTI_STATUS) {
            Some(time) => self.with_time(answer, path, time).await,
            None => answer,
        }
    }

    /// Sets the time of a file if the answer says that it was set.
    async fn with_time(&self, answer: Response<Body>, path: Vec<u8>, time: Time) -> Response<Body> {
        let (parts, body) = answer.into_parts();
        let Ok(body) = body.collect().await else { return refusal(StatusCode::INTERNAL_SERVER_ERROR) };
        let body: Bytes = body.to_bytes();
        if times::is_done(&body)
            && bridge::work(&self.drive, move |drive| times::set(drive, &path, time)).await.is_err()
        {
            return refusal(StatusCode::INTERNAL_SERVER_ERROR);
        }
        Response::from_parts(parts, Body::from(body))
    }
}

fn refusal(status: StatusCode) -> Response<Body> {
    let text = match status {
        StatusCode::UNAUTHORIZED => "The password is shown where `dits serve-drive` runs.\n",
        StatusCode::MISDIRECTED_REQUEST => "Ask by the address that `dits serve-drive` shows.\n",
        _ => "Refused.\n",
    };
    let mut refusal = Response::new(Body::from(text));
    *refusal.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        let ask = HeaderValue::from_static("Basic realm=\"dits\", charset=\"UTF-8\"");
        refusal.headers_mut().insert(WWW_AUTHENTICATE, ask);
    }
    // Whatever was being sent is not read.
    refusal.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    refusal
}
