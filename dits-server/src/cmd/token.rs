//! `dits-server token`

use std::time::Duration;

use clap::Subcommand;
use dits_core::config::parse_duration;
use serde::Serialize;

use crate::app::Context;
use crate::audit::{AuditLog, Record};
use crate::env;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::pattern::Pattern;
use crate::repositories::Repositories;
use crate::root::Root;
use crate::token::{Rights, Secret, State, Token, TokenFile};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a token, and print it this once
    Create(Create),
    /// List the tokens that are valid
    List {
        /// Also those that are expired or revoked
        #[arg(long)]
        all: bool,
    },
    /// Make a token worthless, at once
    Revoke {
        /// Its name
        name: String,
    },
}

/// What a new token may do.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// Who it is, in logs and in receive.protect
    name: String,
    /// Repositories: `film`, `studio/*`, `**` for all (may be repeated)
    #[arg(long = "repository", value_name = "PATTERN", required = true)]
    repositories: Vec<String>,
    /// What it may do: read, write, lock, admin
    #[arg(long, value_name = "METHODS", value_delimiter = ',', default_value = "read")]
    allow: Vec<String>,
    /// For how long: `12h`, `90d`, `never`
    #[arg(long, value_name = "TIME", default_value = "never")]
    expires: String,
    /// Refs that its pushes may move: `main`, `ada/**`, `refs/tags/*` (may be repeated; default: all)
    #[arg(long = "ref", value_name = "PATTERN")]
    refs: Vec<String>,
    /// Paths that its pushes may change: `Level_3`, `**/*.md` (may be repeated; default: all)
    #[arg(long = "path", value_name = "PATTERN")]
    paths: Vec<String>,
}

#[derive(Serialize)]
struct Made<'a> {
    name: &'a str,
    token: &'a str,
    expires: Option<i64>,
}

#[derive(Serialize)]
struct Listed {
    tokens: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    state: &'static str,
    repositories: Vec<String>,
    allow: Vec<&'static str>,
    refs: Vec<String>,
    paths: Vec<String>,
    created: i64,
    expires: Option<i64>,
    revoked: Option<i64>,
}

#[derive(Serialize)]
struct Revoked<'a> {
    name: &'a str,
}

/// Runs one.
pub fn run(command: Command, cx: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Create(args) => create(args, cx),
        Command::List { all } => list(all, cx),
        Command::Revoke { name } => revoke(&name, cx),
    }
}

fn create(args: Create, cx: &Context) -> Result<Exit, CliError> {
    let now = env::now();
    let expires = expiry(&args.expires, now)?;
    let methods = Rights::methods_of(args.allow.iter().map(String::as_str))?;
    let patterns = args.repositories.iter().chain(&args.refs).chain(&args.paths);
    if let Some(empty) = patterns.into_iter().find(|text| text.trim_matches('/').is_empty()) {
        return Err(CliError::usage(format!("`{empty}` is a pattern that matches nothing")));
    }
    let secret = Secret::generate().map_err(|e| CliError::usage(format!("cannot make a token: {e}")))?;
    let rights = Rights { repositories: args.repositories, methods, refs: args.refs, paths: args.paths };
    let note = describe(&rights, expires);
    let (name, hash) = (args.name, secret.hash());
    let root = cx.root_or_new()?;
    let odd = oddities(&rights, &Repositories::new(&root, &cx.env))?;
    let token = Token { name: name.clone(), hash, created: now, expires, revoked: None, rights };
    TokenFile::new(root.tokens()).add(token, now)?;
    record(&root, "token-create", &name, Some(note))?;
    odd.iter().for_each(|odd| output::warning(odd));
    match cx.json() {
        true => output::json("token create", &Made { name: &name, token: secret.reveal(), expires })?,
        false => output::text(&format!("{}\n", secret.reveal()))?,
    }
    Ok(Exit::Ok)
}

/// What is allowed and may be a mistake all the same.
fn oddities(rights: &Rights, repositories: &Repositories) -> Result<Vec<String>, CliError> {
    let names = repositories.list()?;
    let none = |pattern: &&String| !names.iter().any(|name| Pattern::parse(pattern).matches(name.as_str()));
    let mut odd: Vec<String> = rights
        .repositories
        .iter()
        .filter(none)
        .map(|pattern| format!("no repository matches `{pattern}` yet"))
        .collect();
    let methods = rights.method_names();
    if methods.contains(&"write") && !methods.contains(&"read") {
        odd.push("without `read` it can push, and neither clone nor fetch".to_owned());
    }
    Ok(odd)
}

fn expiry(text: &str, now: i64) -> Result<Option<i64>, CliError> {
    match parse_duration(text) {
        Some(Duration::MAX) => Ok(None),
        Some(span) if !span.is_zero() => {
            Ok(Some(now.saturating_add(i64::try_from(span.as_secs()).unwrap_or(i64::MAX))))
        }
        _ => {
            Err(CliError::usage(format!("`--expires={text}` is no time"))
                .hint("use a time such as 12h or 90d, or never"))
        }
    }
}

fn describe(rights: &Rights, expires: Option<i64>) -> String {
    let mut text = format!("repositories {}; may {}", rights.repositories.join(" "), rights.method_names().join(","));
    for (what, patterns) in [("refs", &rights.refs), ("paths", &rights.paths)] {
        if !patterns.is_empty() {
            text.push_str(&format!("; {what} {}", patterns.join(" ")));
        }
    }
    if let Some(expires) = expires {
        text.push_str(&format!("; expires {expires}"));
    }
    text
}

fn list(all: bool, cx: &Context) -> Result<Exit, CliError> {
    let now = env::now();
    let tokens = TokenFile::new(cx.root()?.tokens()).list()?;
    let tokens: Vec<_> = tokens.into_iter().filter(|token| all || token.state(now) == State::Valid).collect();
    if cx.json() {
        let tokens = tokens.into_iter().map(|token| line(token, now)).collect();
        output::json("token list", &Listed { tokens })?;
        return Ok(Exit::Ok);
    }
    let width = tokens.iter().map(|token| token.name.len()).max().unwrap_or(0);
    for token in tokens {
        let Line { name, state, repositories, allow, refs, paths, expires, .. } = line(token, now);
        let mut text = format!("{name:width$}  {state:7}  {}  {}", allow.join(","), repositories.join(" "));
        for (what, patterns) in [("refs", refs), ("paths", paths)] {
            if !patterns.is_empty() {
                text.push_str(&format!("  {what}: {}", patterns.join(" ")));
            }
        }
        if let Some(date) = expires.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()) {
            text.push_str(&format!("  until {date}"));
        }
        output::text(&format!("{text}\n"))?;
    }
    Ok(Exit::Ok)
}

fn line(token: Token, now: i64) -> Line {
    Line {
        state: token.state(now).name(),
        allow: token.rights.method_names(),
        name: token.name,
        repositories: token.rights.repositories,
        refs: token.rights.refs,
        paths: token.rights.paths,
        created: token.created,
        expires: token.expires,
        revoked: token.revoked,
    }
}

fn revoke(name: &str, cx: &Context) -> Result<Exit, CliError> {
    let root = cx.root()?;
    TokenFile::new(root.tokens()).revoke(name, env::now())?;
    record(&root, "token-revoke", name, None)?;
    match cx.json() {
        true => output::json("token revoke", &Revoked { name })?,
        false => output::text(&format!("{name} revoked\n"))?,
    }
    Ok(Exit::Ok)
}

fn record(root: &Root, event: &'static str, name: &str, note: Option<String>) -> Result<(), CliError> {
    let note = Some(format!("token {name}{}", note.map_or(String::new(), |note| format!(": {note}"))));
    let record = Record { event, who: Some("admin".to_owned()), note, ..Record::default() };
    AuditLog::new(root.audit()).append(env::now(), &record, true)?;
    Ok(())
}
