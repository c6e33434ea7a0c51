//! `dits serve-drive`

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dits_core::durable::IoContext;
use dits_fuse::webdav::{self, ServeOptions, Server};
use serde::Serialize;

use super::mount;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// Random bytes of a password.
const PASSWORD: usize = 15;

/// Show a repository as a network drive that Windows, macOS and Linux mount without a driver
///
/// Serves what `dits mount` shows over WebDAV, to read and to write, until Ctrl-C. Only this machine can reach it unless
/// --listen names another address; then clients must give a password, which is shown at the start. What is written stays
/// until it is committed, also when this command ends: give the same --at again to go on, or mount that folder to commit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits serve-drive --webdav                              this repository's HEAD
  dits serve-drive --webdav --read-only --ref v1.2 .     another version, only to look at
  dits serve-drive --webdav dits://studio.example/film   a project that is not here
  dits serve-drive --webdav --at ~/film                  what is written is then in `dits mount ~/film`, to commit")]
pub struct Args {
    /// A repository or its address, if not the one you are in
    #[arg(value_name = "REPO|URL", value_hint = clap::ValueHint::DirPath)]
    source: Option<PathBuf>,
    /// Serve it over WebDAV
    #[arg(long, required = true)]
    webdav: bool,
    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8765")]
    listen: SocketAddr,
    /// Ask for a password here too: other users of this machine can reach the drive
    #[arg(long)]
    password: bool,
    /// The folder whose mount this is the drive of: what is written here is there, and the other way round
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    at: Option<PathBuf>,
    /// The branch, tag or commit to show; without it HEAD
    #[arg(long = "ref", value_name = "REV")]
    reference: Option<String>,
    /// Refuse every change
    #[arg(long)]
    read_only: bool,
    /// How much disk to take for content that is read from remotes, such as 50G; 0 is none (`mount.cacheSize`)
    #[arg(long, value_name = "N", value_parser = mount::size)]
    cache_size: Option<u64>,
    /// How much memory to take for content, such as 1G (`mount.ram`)
    #[arg(long, value_name = "N", value_parser = mount::size)]
    ram: Option<u64>,
    /// Never ask a remote: what is not here cannot be read
    #[arg(long)]
    offline: bool,
}

/// What is served: the answer in JSON.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    repository: &'a str,
    #[serde(rename = "ref")]
    reference: &'a str,
    commit: &'a str,
    read_only: bool,
}

/// Serves until Ctrl-C.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let foreign = !args.listen.ip().is_loopback();
    let password = if foreign || args.password { Some(password()?) } else { None };
    let listen = args.listen;
    let mount = mount::Args::of_a_served_drive(
        (args.source, args.at),
        args.reference,
        args.read_only,
        (args.cache_size, args.ram),
        args.offline,
    );
    mount::serve_until_stopped(&mount, cx, |drive, served| {
        let options = ServeOptions { listen, password: password.clone() };
        let place = listen.to_string();
        let server = webdav::serve(drive, options).at("listen on", Path::new(&place))?;
        tell(cx, &server, password.as_deref(), served)?;
        if foreign {
            cx.warn(
                "whoever is on the network and has the password can reach the drive, and the network can be read: \
                     WebDAV without TLS hides nothing",
            );
        }
        Ok(server)
    })
}

fn password() -> Result<String, CliError> {
    let mut bytes = [0; PASSWORD];
    getrandom::fill(&mut bytes)
        .map_err(|error| CliError::usage(format!("no random numbers for a password: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn tell(cx: &Context, server: &Server, password: Option<&str>, served: &mount::Served) -> Result<(), CliError> {
    let address = server.address();
    let url = format!("http://{address}/");
    let mount::Served { repository, reference, commit, read_only } = served;
    if cx.json() {
        let answer = Answer { url: &url, password, repository, reference, commit, read_only: *read_only };
        cx.out().json("serve-drive", &answer)?;
        return cx.out().flush();
    }
    let out = cx.out();
    let short = &commit[..commit.len().min(10)];
    out.write_fmt(format_args!("{reference} ({short}) of {repository} is at {url}\n"))?;
    if let Some(password) = password {
        out.write_fmt(format_args!("  User      dits\n  Password  {password}\n"))?;
    }
    let host = match address.ip() {
        ip if ip.is_unspecified() => "THIS-MACHINE".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let at = format!("{host}:{}", address.port());
    out.write_fmt(format_args!(
        "  Windows   net use * http://{at}/\n  macOS     Finder: Go, Connect to Server, http://{at}/\n  \
         Linux     gio mount dav://{at}/    or: mount -t davfs http://{at}/ DIR\nCtrl-C ends it.\n"
    ))?;
    out.flush()
}
