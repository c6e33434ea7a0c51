//! Changing one setting of a file, leaving comments and layout of the rest as they are.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use toml_edit::{DocumentMut, Item, Table, TableLike};

use super::{ConfigError, Kind, Layer, MAX_CONFIG_FILE, Origin, Value, keys, text};
use crate::durable::{self, IoContext};

/// How often and how long apart a lock is asked for: ten seconds in all.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// One change of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Sets a key. The value of a known key is checked and stored as its type; that of another is stored as a boolean
    /// or number if it looks like one.
    Set(String, Value),
    /// Removes a key, with its section if that is then empty.
    Unset(String),
    /// Gives a section such as `remote.origin` another name, keeping its comments.
    RenameSection(String, String),
    /// Removes a section with all that is in it.
    RemoveSection(String),
}

/// Sets a key in a file, which is created if need be ([`Edit::Set`]). Durable on return.
///
/// # Errors
/// When key or value are not allowed, or the file cannot be locked, read, understood or replaced. It is then unchanged.
pub fn set(layer: Layer, path: &Path, key: &str, value: &Value) -> Result<(), ConfigError> {
    update(layer, path, &[Edit::Set(key.to_owned(), value.clone())])
}

/// Makes several changes of a file, all or none. What is to be removed or renamed and is not there is no error.
///
/// # Errors
/// As [`set`], and when a section takes a name that another one has.
pub fn update(layer: Layer, path: &Path, edits: &[Edit]) -> Result<(), ConfigError> {
    for edit in edits {
        if let Edit::Set(key, value) = edit {
            checked(layer, path, key, value)?;
        }
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        durable::create_dir_all(folder)?;
    }
    let file = LockedFile::open(path, true)?.ok_or_else(|| ConfigError::Locked(path.to_owned()))?;
    let mut document = file.read()?;
    edits.iter().try_for_each(|edit| apply(layer, path, &mut document, edit))?;
    file.replace(&document)
}

fn apply(layer: Layer, path: &Path, document: &mut DocumentMut, edit: &Edit) -> Result<(), ConfigError> {
    match edit {
        Edit::Set(key, value) => {
            let value = checked(layer, path, key, value)?;
            let old = existing(document, key);
            insert(path, document, old.as_deref().unwrap_or(&new_address(key)), key, &value)
        }
        Edit::Unset(key) => {
            while let Some(address) = existing(document, key) {
                remove(document.as_table_mut(), &address);
            }
            Ok(())
        }
        Edit::RenameSection(old, new) => rename_section(path, document, old, new),
        Edit::RemoveSection(name) => {
            while let Some(address) = section(document, name) {
                remove(document.as_table_mut(), &address);
            }
            Ok(())
        }
    }
}

fn rename_section(path: &Path, document: &mut DocumentMut, old: &str, new: &str) -> Result<(), ConfigError> {
    let in_the_way = || ConfigError::InTheWay { file: path.to_owned(), key: format!("{old}.*"), other: new.to_owned() };
    let new_name = new.split_once('.').map_or(new, |(_, name)| name);
    while let Some(address) = section(document, old) {
        if section(document, new).is_some() {
            return Err(in_the_way());
        }
        let Some((name, folders)) = address.split_last() else { return Err(in_the_way()) };
        let mut table: &mut dyn TableLike = document.as_table_mut();
        for folder in folders {
            table = table.get_mut(folder).and_then(Item::as_table_like_mut).ok_or_else(in_the_way)?;
        }
        let Some(item) = table.remove(name) else { return Ok(()) };
        let Some(top) = folders.first() else { return Err(in_the_way()) };
        let parent = document.get_mut(top).and_then(Item::as_table_like_mut).ok_or_else(in_the_way)?;
        parent.insert(new_name, item);
    }
    Ok(())
}

/// Removes a key from a file, with its section if that is then empty. Returns whether it was there.
///
/// # Errors
/// When the file cannot be locked, read, understood or replaced. It is then unchanged.
pub fn unset(path: &Path, key: &str) -> Result<bool, ConfigError> {
    let Some(file) = LockedFile::open(path, false)? else { return Ok(false) };
    let mut document = file.read()?;
    let mut found = false;
    while let Some(address) = existing(&document, key) {
        remove(document.as_table_mut(), &address);
        found = true;
    }
    if found {
        file.replace(&document)?;
    }
    Ok(found)
}

/// The value as it is stored, after a check against the table of known keys.
fn checked(layer: Layer, path: &Path, key: &str, value: &Value) -> Result<Value, ConfigError> {
    if !text::is_key(key) {
        return Err(ConfigError::BadKey(key.to_owned()));
    }
    let Some(known) = keys::known(key) else { return Ok(guessed(value)) };
    if known.kind.accepts(value) {
        return Ok(known.kind.stored(value));
    }
    Err(ConfigError::BadValue {
        origin: Origin { layer, file: Some(path.to_owned()) },
        key: key.to_owned(),
        value: value.to_string(),
        allowed: Kind::allowed(known.kind),
    })
}

fn guessed(value: &Value) -> Value {
    let Value::Text(text) = value else { return value.clone() };
    match (text.as_str(), text.parse::<i64>()) {
        ("true", _) => Value::Bool(true),
        ("false", _) => Value::Bool(false),
        // Only what reads back as the same text: not `007` or `+1`.
        (_, Ok(number)) if number.to_string() == *text => Value::Int(number),
        _ => value.clone(),
    }
}

/// Where the last setting of `key` is: the names of the tables around it and its own.
fn existing(document: &DocumentMut, key: &str) -> Option<Vec<String>> {
    fn search(table: &dyn TableLike, here: &mut Vec<String>, key: &str, found: &mut Option<Vec<String>>) {
        for (name, item) in table.iter() {
            here.push(name.to_owned());
            if let Some(inner) = item.as_table_like() {
                search(inner, here, key, found);
            } else if item.is_value() && text::same_key(&here.join("."), key) {
                *found = Some(here.clone());
            }
            here.pop();
        }
    }
    let mut found = None;
    search(document.as_table(), &mut Vec::new(), key, &mut found);
    found
}

/// Where the table of a section such as `remote.origin` is.
fn section(document: &DocumentMut, name: &str) -> Option<Vec<String>> {
    fn search(table: &dyn TableLike, here: &mut Vec<String>, name: &str) -> bool {
        for (part, item) in table.iter() {
            here.push(part.to_owned());
            let found = item.as_table_like().is_some_and(|inner| {
                // The name that a setting in it would have tells which section it is.
                text::same_key(&format!("{}.x", here.join(".")), &format!("{name}.x")) || search(inner, here, name)
            });
            if found {
                return true;
            }
            here.pop();
        }
        false
    }
    let mut address = Vec::new();
    search(document.as_table(), &mut address, name).then_some(address)
}

fn new_address(key: &str) -> Vec<String> {
    let spelled = keys::known(key).filter(|known| !known.name.contains('*')).map_or(key, |known| known.name);
    let Some((section, between, name)) = text::parts(spelled) else { return vec![spelled.to_owned()] };
    [Some(section), between, Some(name)].into_iter().flatten().map(str::to_owned).collect()
}

fn insert(
    path: &Path,
    document: &mut DocumentMut,
    address: &[String],
    key: &str,
    value: &Value,
) -> Result<(), ConfigError> {
    let in_the_way =
        |other: &[String]| ConfigError::InTheWay { file: path.to_owned(), key: key.to_owned(), other: other.join(".") };
    let Some((name, folders)) = address.split_last() else { return Err(ConfigError::BadKey(key.to_owned())) };
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for (depth, folder) in folders.iter().enumerate() {
        let item = table.entry(folder).or_insert_with(|| {
            let mut section = Table::new();
            section.set_implicit(depth + 1 < folders.len());
            Item::Table(section)
        });
        table = item.as_table_like_mut().ok_or_else(|| in_the_way(&address[..=depth]))?;
    }
    match table.get_mut(name) {
        Some(Item::Value(old)) => {
            // The decor is the comment behind the value and the space around it.
            let decor = old.decor().clone();
            *old = value.to_toml();
            *old.decor_mut() = decor;
        }
        Some(Item::None) | None => {
            table.insert(name, Item::Value(value.to_toml()));
        }
        Some(_) => return Err(in_the_way(address)),
    }
    Ok(())
}

fn remove(table: &mut dyn TableLike, address: &[String]) {
    let Some((first, rest)) = address.split_first() else { return };
    if rest.is_empty() {
        table.remove(first);
        return;
    }
    let Some(inner) = table.get_mut(first).and_then(Item::as_table_like_mut) else { return };
    remove(inner, rest);
    if inner.is_empty() {
        table.remove(first);
    }
}

/// The file under an exclusive lock, which ends with the process at the latest. The lock is on the file itself and
/// counts only while the file still has its name, since every change gives the name to a new file.
struct LockedFile {
    path: PathBuf,
    shown: PathBuf,
    file: File,
}

impl LockedFile {
    /// `None` when there is no file and `create` is not asked for.
    fn open(shown: &Path, create: bool) -> Result<Option<Self>, ConfigError> {
        // A user's file may be a link into a folder of dotfiles; the link stays and its target changes.
        let path = std::fs::canonicalize(shown).unwrap_or_else(|_| shown.to_owned());
        for _ in 0..LOCK_TRIES {
            let file = match OpenOptions::new().read(true).write(true).create(create).truncate(false).open(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !create => return Ok(None),
                opened => opened.at("open", &path)?,
            };
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) if is_still_named(&file, &path)? => {
                    return Ok(Some(Self { path, shown: shown.to_owned(), file }));
                }
                Ok(()) => {}
                Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::sleep(LOCK_PAUSE),
                Err(errno) => Err(errno).at("lock", &path)?,
            }
        }
        Err(ConfigError::Locked(path))
    }

    fn read(&self) -> Result<DocumentMut, ConfigError> {
        let mut bytes = Vec::new();
        (&self.file).take(MAX_CONFIG_FILE + 1).read_to_end(&mut bytes).at("read", &self.shown)?;
        if bytes.len() as u64 > MAX_CONFIG_FILE {
            let error = std::io::Error::new(std::io::ErrorKind::InvalidData, "it is longer than 4 MiB");
            Err(error).at("read", &self.shown)?;
        }
        text::parse(&self.shown, bytes)
    }

    /// Gives the name to a new file with this content and the old one's permissions.
    fn replace(self, document: &DocumentMut) -> Result<(), ConfigError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let permissions = self.file.metadata().at("stat", &self.path)?.permissions();
        let mut temp = tempfile::Builder::new().prefix(".tmp-").tempfile_in(folder).at("create a file in", folder)?;
        temp.write_all(document.to_string().as_bytes()).at("write", temp.path())?;
        temp.as_file().set_permissions(permissions).at("change the permissions of", temp.path())?;
        durable::publish(temp, &self.path)?;
        Ok(())
    }
}

fn is_still_named(file: &File, path: &Path) -> Result<bool, ConfigError> {
    let ours = file.metadata().at("stat", path)?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).at("stat", path)?,
    }
}
