//! The file of tokens: a record that is replaced all at once. It is read for each question, so that what another process
//! changed holds at once.

use std::path::PathBuf;

use dits_core::codec;
use dits_core::durable;
use dits_core::lockfile::{FileLock, PATIENCE};
use dits_core::record::RecordKind;

use super::{State, Token, TokenError, TokenHash, check_name};

const KIND: RecordKind = RecordKind { magic: *b"DITSTOKN", version: 1 };
/// The longest file, in bytes: some ten thousand tokens.
const MAX_FILE: usize = 8 << 20;

/// The tokens of a server.
#[derive(Clone, Debug)]
pub struct TokenFile {
    file: PathBuf,
}

impl TokenFile {
    /// The tokens in a file, which need not exist.
    #[must_use]
    pub fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// All of them, in the order in which they were made.
    ///
    /// # Errors
    /// When the file is damaged or cannot be read.
    pub fn list(&self) -> Result<Vec<Token>, TokenError> {
        let Some(payload) = KIND.read(&self.file)? else { return Ok(Vec::new()) };
        codec::decode::<Vec<Token>, MAX_FILE>(&payload)
            .map_err(|e| TokenError::Damaged { file: self.file.clone(), what: e.to_string() })
    }

    /// The token that a client sent, whatever has become of it. All are compared, each in the same time.
    ///
    /// # Errors
    /// As [`TokenFile::list`].
    pub fn recognise(&self, text: &str) -> Result<Option<Token>, TokenError> {
        let hash = TokenHash::of(text);
        Ok(self.list()?.into_iter().fold(None, |found, token| if token.hash == hash { Some(token) } else { found }))
    }

    /// The token with this hash, if it is worth something now.
    ///
    /// # Errors
    /// As [`TokenFile::list`].
    pub fn valid(&self, hash: &TokenHash, now: i64) -> Result<Option<Token>, TokenError> {
        Ok(self.list()?.into_iter().find(|token| token.hash == *hash && token.state(now) == State::Valid))
    }

    /// Adds a token.
    ///
    /// # Errors
    /// When a valid one has its name, or the file cannot be written.
    pub fn add(&self, token: Token, now: i64) -> Result<(), TokenError> {
        check_name(&token.name)?;
        self.change(|tokens| {
            if tokens.iter().any(|other| other.name == token.name && other.state(now) == State::Valid) {
                return Err(TokenError::Exists(token.name.clone()));
            }
            tokens.push(token);
            Ok(())
        })
    }

    /// Takes back the valid token of this name.
    ///
    /// # Errors
    /// When there is none, or the file cannot be written.
    pub fn revoke(&self, name: &str, now: i64) -> Result<(), TokenError> {
        self.change(|tokens| {
            let found = tokens.iter_mut().find(|token| token.name == name && token.state(now) == State::Valid);
            found.ok_or_else(|| TokenError::NotFound(name.to_owned()))?.revoked = Some(now);
            Ok(())
        })
    }

    fn change(&self, act: impl FnOnce(&mut Vec<Token>) -> Result<(), TokenError>) -> Result<(), TokenError> {
        let _lock = FileLock::acquire(&self.file.with_extension("lock"), PATIENCE)?;
        let mut tokens = self.list()?;
        act(&mut tokens)?;
        durable::write_private(&self.file, &KIND.encode(&codec::encode(&tokens)))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::{Rights, Secret};
    use super::*;

    fn token(name: &str, secret: &Secret, expires: Option<i64>) -> Token {
        let rights = Rights { repositories: vec!["film".into()], methods: 3, ..Rights::default() };
        Token { name: name.into(), hash: secret.hash(), created: 10, expires, revoked: None, rights }
    }

    #[test]
    fn expiry_and_revocation_hold_at_once_and_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let file = TokenFile::new(dir.path().join("tokens"));
        assert_eq!(file.list().unwrap(), []);
        let secrets = [Secret::generate().unwrap(), Secret::generate().unwrap()];
        file.add(token("ada", &secrets[0], None), 10).unwrap();
        assert!(matches!(file.add(token("ada", &secrets[1], None), 10), Err(TokenError::Exists(_))));
        file.add(token("ci", &secrets[1], Some(20)), 10).unwrap();
        assert!(file.valid(&secrets[1].hash(), 19).unwrap().is_some());
        assert!(file.valid(&secrets[1].hash(), 20).unwrap().is_none());
        assert_eq!(file.recognise(secrets[1].reveal()).unwrap().unwrap().state(20), State::Expired);
        let elsewhere = TokenFile::new(dir.path().join("tokens"));
        elsewhere.revoke("ada", 12).unwrap();
        assert!(file.valid(&secrets[0].hash(), 12).unwrap().is_none());
        assert!(matches!(file.revoke("ada", 12), Err(TokenError::NotFound(_))));
        file.add(token("ada", &Secret::generate().unwrap(), None), 13).unwrap();
        assert!(file.valid(&secrets[0].hash(), 13).unwrap().is_none());
        assert!(file.recognise("dits_").unwrap().is_none());
        let mode = std::fs::metadata(dir.path().join("tokens")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_bytes_are_frozen() {
        let rights = Rights {
            repositories: vec!["film".into(), "studio/*".into()],
            methods: 3,
            refs: vec!["main".into()],
            paths: Vec::new(),
        };
        let hash = TokenHash::of("dits_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        let (expires, revoked) = (Some(1_800_000_000), Some(1_790_000_000));
        let tokens = vec![Token { name: "ada".into(), hash, created: 1_780_000_000, expires, revoked, rights }];
        let hex: String = KIND.encode(&codec::encode(&tokens)).iter().map(|byte| format!("{byte:02x}")).collect();
        let golden = include_str!("../../../tests/golden/server/tokens.hex").replace(char::is_whitespace, "");
        assert_eq!(hex, golden);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        let bytes: Vec<u8> =
            (0..golden.len()).step_by(2).map(|at| u8::from_str_radix(&golden[at..at + 2], 16).unwrap()).collect();
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(TokenFile::new(path).list().unwrap(), tokens);
    }

    #[test]
    fn damage_is_noticed_and_not_taken_for_no_tokens() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        let file = TokenFile::new(path.clone());
        file.add(token("ada", &Secret::generate().unwrap(), None), 10).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert!(file.list().is_err(), "flip at {at}");
        }
        std::fs::write(&path, b"").unwrap();
        assert!(file.list().is_err() && file.revoke("ada", 11).is_err());
    }

    #[test]
    fn names_and_methods_follow_the_rules() {
        for good in ["ada", "ci-1", "a@b.org"] {
            check_name(good).unwrap();
        }
        for bad in ["", "-a", "a b", "a:b", "a\n", "ä", "<a>"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Rights::methods_of(["read", "admin"]).unwrap(), 9);
        assert!(Rights::methods_of(["delete"]).is_err());
    }
}
