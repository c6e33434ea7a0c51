//! `dits config`

mod scope;

use std::path::{Path, PathBuf};
use std::process::Command;

use dits_core::config::{self, Config, ConfigError, Kind, Layer, Setting, Value, known};
use dits_core::durable::{self, IoContext};
use serde::Serialize;

use scope::{counts, settings, target};

use crate::context::Context;
use crate::editor;
use crate::error::CliError;
use crate::exit::Exit;

/// Show and change settings
///
/// Without a scope, reading looks at all places and writing goes to this repository. `dits help config` has more.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits config user.name                      show a setting
  dits config --global user.name \"Ada\"       set it for all your repositories
  dits config set core.compression 3         the same form as git's new one
  dits config unset core.compression
  dits config list --show-origin             everything, and where it is from
  dits config edit                           open the file in your editor")]
#[allow(clippy::struct_excessive_bools, reason = "they are options")]
pub struct Args {
    /// Your own settings, for all repositories
    #[arg(long, group = "scope")]
    global: bool,
    /// The settings of the machine
    #[arg(long, group = "scope")]
    system: bool,
    /// The settings of this repository
    #[arg(long, group = "scope")]
    local: bool,
    /// The settings of this worktree only
    #[arg(long, group = "scope")]
    worktree: bool,
    /// The settings in this file
    #[arg(short = 'f', long, group = "scope", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Show the value that is in force
    #[arg(long, group = "action")]
    get: bool,
    /// Show the values of all places, the weakest first
    #[arg(long, group = "action")]
    get_all: bool,
    /// Remove the setting
    #[arg(long, group = "action")]
    unset: bool,
    /// Show all settings
    #[arg(short, long, group = "action")]
    list: bool,
    /// Open the file in your editor
    #[arg(short, long, group = "action")]
    edit: bool,
    /// Where each value is from
    #[arg(long)]
    show_origin: bool,
    /// Which place each value is from
    #[arg(long)]
    show_scope: bool,
    /// With list, only the names
    #[arg(long)]
    name_only: bool,
    /// Include what is built in
    #[arg(long)]
    defaults: bool,
    /// Entries ended by NUL, names and values parted by a line break
    #[arg(short = 'z', long)]
    null: bool,
    /// `get KEY`, `set KEY VALUE`, `unset KEY`, `list`, `edit`; or just KEY or KEY VALUE
    #[arg(value_name = "ARGUMENT", allow_negative_numbers = true)]
    words: Vec<String>,
}

enum Action {
    Get(String),
    GetAll(String),
    Set(String, String),
    Unset(String),
    List,
    Edit,
}

#[derive(Serialize)]
struct Answer {
    settings: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    key: String,
    value: Json,
    scope: &'static str,
    file: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Json {
    Text(String),
    Int(i64),
    Bool(bool),
    List(Vec<Json>),
}

#[derive(Serialize)]
struct Changed {
    key: String,
    file: String,
    changed: bool,
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.clone()),
            Value::Int(number) => Self::Int(*number),
            Value::Bool(value) => Self::Bool(*value),
            Value::List(values) => Self::List(values.iter().map(Self::from).collect()),
        }
    }
}

/// Does it.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    match action(&args)? {
        Action::Get(key) => get(&args, cx, &key),
        Action::GetAll(key) => get_all(&args, cx, &key),
        Action::List => list(&args, cx),
        Action::Set(key, value) => {
            let (layer, file) = target(&args, cx)?;
            config::set(layer, &file, &key, &Value::Text(value))?;
            if known(&key).is_none() {
                cx.note(format!("note: dits knows no setting `{key}`; it was set all the same"));
            }
            changed(cx, key, &file, true)
        }
        Action::Unset(key) => {
            let (_, file) = target(&args, cx)?;
            let found = config::unset(&file, &key)?;
            changed(cx, key, &file, found)
        }
        Action::Edit => edit(&args, cx),
    }
}

/// What is asked for: by an option of git's old form, by a word of its new one, or by the number of words.
fn action(args: &Args) -> Result<Action, CliError> {
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    let option =
        [(args.get, "get"), (args.get_all, "get-all"), (args.unset, "unset"), (args.list, "list"), (args.edit, "edit")];
    let named = option.iter().find(|(given, _)| *given).map(|(_, name)| *name);
    // A key has a dot, so these words are none.
    let (name, rest) = match (named, words.split_first()) {
        (Some(name), _) => (name, &words[..]),
        (None, Some((word, rest))) if ["get", "get-all", "set", "unset", "list", "edit"].contains(word) => {
            (*word, rest)
        }
        (None, None) => ("list", &words[..]),
        (None, Some((_, []))) => ("get", &words[..]),
        (None, Some(_)) => ("set", &words[..]),
    };
    match (name, rest) {
        ("get", [key]) => Ok(Action::Get((*key).to_owned())),
        ("get-all", [key]) => Ok(Action::GetAll((*key).to_owned())),
        ("unset", [key]) => Ok(Action::Unset((*key).to_owned())),
        ("set", [key, value]) => Ok(Action::Set((*key).to_owned(), (*value).to_owned())),
        ("list", []) => Ok(Action::List),
        ("edit", []) => Ok(Action::Edit),
        ("set", _) => Err(CliError::usage("set takes a key and a value; put quotes around a value with spaces")),
        ("list" | "edit", _) => Err(CliError::usage(format!("{name} takes no more words"))),
        _ => Err(CliError::usage(format!("{name} takes one key, such as user.email"))),
    }
}

fn get(args: &Args, cx: &Context, key: &str) -> Result<Exit, CliError> {
    check_key(key)?;
    let config = settings(args, cx)?;
    let Some(setting) = config.get(key).filter(|setting| counts(args, setting)) else {
        if cx.json() {
            cx.out().json("config", &Answer { settings: Vec::new() })?;
        }
        return Ok(Exit::Difference);
    };
    // A value that is not allowed is told, with the file it is in.
    check_value(setting)?;
    show(args, cx, &[setting], false)
}

fn get_all(args: &Args, cx: &Context, key: &str) -> Result<Exit, CliError> {
    check_key(key)?;
    let config = settings(args, cx)?;
    let mut found: Vec<&Setting> = config.get_all(key).filter(|setting| counts(args, setting)).collect();
    found.reverse();
    let none = found.is_empty();
    show(args, cx, &found, false)?;
    Ok(if none { Exit::Difference } else { Exit::Ok })
}

fn list(args: &Args, cx: &Context) -> Result<Exit, CliError> {
    let config = settings(args, cx)?;
    let wanted = |setting: &&Setting| args.defaults || setting.origin.layer != Layer::Default;
    let found: Vec<&Setting> = config.list().filter(wanted).collect();
    show(args, cx, &found, true)
}

fn check_key(key: &str) -> Result<(), CliError> {
    if key.contains('.') { Ok(()) } else { Err(ConfigError::BadKey(key.to_owned()).into()) }
}

fn check_value(setting: &Setting) -> Result<(), CliError> {
    let Some(known) = known(&setting.key).filter(|known| !known.kind.accepts(&setting.value)) else { return Ok(()) };
    let (origin, key) = (setting.origin.clone(), setting.key.clone());
    Err(ConfigError::BadValue { origin, key, value: setting.value.to_string(), allowed: known.kind.allowed() }.into())
}

fn show(args: &Args, cx: &Context, settings: &[&Setting], with_names: bool) -> Result<Exit, CliError> {
    if cx.json() {
        let line = |setting: &&Setting| Line {
            key: setting.key.clone(),
            value: shown(setting).map_or_else(|| Json::from(&setting.value), Json::Text),
            scope: setting.origin.layer.name(),
            file: setting.origin.file.as_ref().map(|file| file.display().to_string()),
        };
        cx.out().json("config", &Answer { settings: settings.iter().map(line).collect() })?;
        return Ok(Exit::Ok);
    }
    let (between, end) = if args.null { ("\n", "\0") } else { ("=", "\n") };
    for setting in settings {
        let mut text = String::new();
        if args.show_scope {
            text.push_str(&format!("{}\t", setting.origin.layer.name()));
        }
        if args.show_origin {
            let file = setting.origin.file.as_ref().map(|file| format!("file:{}", file.display()));
            text.push_str(&format!("{}\t", file.unwrap_or_else(|| format!("{}:", setting.origin.layer.name()))));
        }
        match (with_names, args.name_only) {
            (true, true) => text.push_str(&setting.key),
            (true, false) => text.push_str(&format!("{}{between}{}", setting.key, value(setting))),
            (false, _) => text.push_str(&value(setting)),
        }
        write!(cx.out(), "{text}{end}")?;
    }
    Ok(Exit::Ok)
}

/// What is shown in place of a secret.
fn shown(setting: &Setting) -> Option<String> {
    let secret = known(&setting.key).is_some_and(|known| known.kind == Kind::Secret);
    secret.then(|| "(not shown)".to_owned())
}

fn value(setting: &Setting) -> String {
    shown(setting).unwrap_or_else(|| setting.value.to_string())
}

fn changed(cx: &Context, key: String, file: &Path, changed: bool) -> Result<Exit, CliError> {
    if cx.json() {
        cx.out().json("config", &Changed { key, file: file.display().to_string(), changed })?;
    } else if !changed {
        cx.note(format!("`{key}` is not set in {}", file.display()));
    }
    Ok(if changed { Exit::Ok } else { Exit::Difference })
}

/// Opens the file as it is, damaged or not, and looks at what the user left.
fn edit(args: &Args, cx: &Context) -> Result<Exit, CliError> {
    let (layer, file) = target(args, cx)?;
    if let Some(folder) = file.parent() {
        durable::create_dir_all(folder)?;
    }
    let editor = editor::choose(&cx.env, cx.settings())?;
    let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$@\"")).arg(&editor).arg(&file).status();
    if !status.at("start an editor for", &file)?.success() {
        return Err(CliError::usage(format!("the editor `{editor}` failed")));
    }
    Config::new().add_file(layer, &file)?;
    Ok(Exit::Ok)
}
