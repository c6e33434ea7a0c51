//! Where a Redis is, and how one gets in.

use std::fmt;
use std::path::{Path, PathBuf};

use redis::{
    Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisResult, TlsCertificates,
};

/// The port of a Redis.
const PORT: u16 = 6379;
/// The port of a sentinel.
const SENTINEL_PORT: u16 = 26379;

/// An address that is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0}; write redis://HOST:PORT/DATABASE, rediss://… for TLS, redis+unix:///SOCKET, or \
     redis-sentinel://HOST:PORT,HOST:PORT/MASTER"
)]
pub struct AddressError(&'static str);

/// Who answers there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A Redis at a host and port.
    Tcp(String, u16),
    /// A Redis at a socket of this machine.
    Unix(PathBuf),
    /// Sentinels that know where the master of this name is.
    Sentinels(Vec<(String, u16)>, String),
}

/// An address, with what it takes to be let in. Shown without password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Who answers there.
    pub place: Place,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Of whom the certificates must be, in PEM; without one, as the operating system has it.
    pub authority: Option<Vec<u8>>,
    user: Option<String>,
    password: Option<String>,
    database: i64,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// What it lacks. The text is not in the error, since a password may be in it.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError("the lock store is no URL"))?;
        // A socket's path may have an `@` of its own.
        let parts = rest.rsplit_once('@').filter(|_| !rest.starts_with('/'));
        let (login, rest) = parts.map_or((None, rest), |(login, rest)| (Some(login), rest));
        let (user, password) = login.map_or(Ok((None, None)), login_of)?;
        let (place, database) = match scheme {
            "redis" | "rediss" => tcp(rest)?,
            "redis+unix" => unix(rest)?,
            "redis-sentinel" | "rediss-sentinel" => sentinels(rest)?,
            _ => return Err(AddressError("the lock store's URL has another scheme")),
        };
        let database = match database {
            "" => 0,
            number => number.parse().map_err(|_| AddressError("the lock store's database is no number"))?,
        };
        Ok(Self { place, tls: scheme.starts_with("rediss"), authority: None, user, password, database })
    }

    /// Whether it has a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// The same with a password.
    #[must_use]
    pub fn with_password(self, password: String) -> Self {
        Self { password: Some(password), ..self }
    }

    /// A text without the password, which others may have put into it.
    #[must_use]
    pub fn without_secret(&self, text: &str) -> String {
        match self.password.as_deref().filter(|password| !password.is_empty()) {
            Some(password) => text.replace(password, "…"),
            None => text.to_owned(),
        }
    }

    /// A client of the Redis at a host and port.
    ///
    /// # Errors
    /// When the authority's certificate cannot be read.
    pub fn client(&self, host: &str, port: u16) -> RedisResult<Client> {
        self.open(self.at(host, port), self.login())
    }

    /// A client of the Redis at a socket.
    ///
    /// # Errors
    /// As [`Address::client`].
    pub fn socket_client(&self, path: &Path) -> RedisResult<Client> {
        self.open(ConnectionAddr::Unix(path.to_owned()), self.login())
    }

    /// A client of a sentinel, which may have the same password or none.
    ///
    /// # Errors
    /// As [`Address::client`].
    pub fn sentinel_client(&self, host: &str, port: u16, with_password: bool) -> RedisResult<Client> {
        let login = match with_password {
            true => self.login().set_db(0),
            false => RedisConnectionInfo::default().set_skip_set_lib_name(),
        };
        self.open(self.at(host, port), login)
    }

    fn at(&self, host: &str, port: u16) -> ConnectionAddr {
        let host = host.to_owned();
        match self.tls {
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            false => ConnectionAddr::Tcp(host, port),
        }
    }

    fn open(&self, place: ConnectionAddr, login: RedisConnectionInfo) -> RedisResult<Client> {
        let info = place.into_connection_info()?.set_redis_settings(login);
        match self.tls {
            true => {
                let root_cert = self.authority.clone();
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
            }
            false => Client::open(info),
        }
    }

    fn login(&self) -> RedisConnectionInfo {
        // Messages about changes come between answers, which the older protocol has no words for.
        let mut login = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
        login = login.set_skip_set_lib_name().set_db(self.database);
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        match &self.password {
            Some(password) => login.set_password(password),
            None => login,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.tls { "s" } else { "" };
        match &self.place {
            Place::Tcp(host, port) => write!(f, "redis{s}://{}/{}", Shown(host, *port), self.database),
            Place::Unix(path) => write!(f, "redis+unix://{}?db={}", path.display(), self.database),
            Place::Sentinels(places, master) => {
                let places: Vec<_> = places.iter().map(|(host, port)| Shown(host, *port).to_string()).collect();
                write!(f, "redis{s}-sentinel://{}/{master}/{}", places.join(","), self.database)
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A host and a port, as URLs have them.
pub struct Shown<'a>(pub &'a str, pub u16);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(host, port) = self;
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

fn login_of(text: &str) -> Result<(Option<String>, Option<String>), AddressError> {
    let (user, password) = text.split_once(':').map_or((text, None), |(user, password)| (user, Some(password)));
    let user = Some(decoded(user)?).filter(|user| !user.is_empty());
    Ok((user, password.map(decoded).transpose()?))
}

fn tcp(rest: &str) -> Result<(Place, &str), AddressError> {
    let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = host_and_port(place, PORT)?;
    Ok((Place::Tcp(host, port), database))
}

fn unix(rest: &str) -> Result<(Place, &str), AddressError> {
    let (path, database) = rest.split_once("?db=").unwrap_or((rest, ""));
    match path.starts_with('/') {
        true => Ok((Place::Unix(decoded(path)?.into()), database)),
        false => Err(AddressError("the lock store's socket is no absolute path")),
    }
}

fn sentinels(rest: &str) -> Result<(Place, &str), AddressError> {
    let (places, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let (master, database) = rest.split_once('/').unwrap_or((rest, ""));
    if master.is_empty() {
        return Err(AddressError("the lock store's URL does not name the master"));
    }
    let places: Result<_, _> = places.split(',').map(|place| host_and_port(place, SENTINEL_PORT)).collect();
    Ok((Place::Sentinels(places?, decoded(master)?), database))
}

fn host_and_port(text: &str, usual: u16) -> Result<(String, u16), AddressError> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(AddressError("the lock store's URL has no host"));
    }
    let port = port.map_or(Ok(usual), str::parse).map_err(|_| AddressError("the lock store's port is no number"))?;
    Ok((host.to_owned(), port))
}

/// A part of a URL, with what is written as `%20` put back.
fn decoded(text: &str) -> Result<String, AddressError> {
    let bad = AddressError("the lock store's URL has a `%` that is not followed by two hexadecimal digits");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let Some((digits, after)) = rest.split_at_checked(2) else { return Err(bad) };
        let digits = str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(value) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else { return Err(bad) };
        bytes.push(value);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_password() {
        for (text, shown) in [
            ("redis://localhost", "redis://localhost:6379/0"),
            ("redis://ada:geheim@[::1]:7000/3", "redis://[::1]:7000/3"),
            ("rediss://:geheim@redis.example", "rediss://redis.example:6379/0"),
            ("redis+unix:///run/redis.sock?db=2", "redis+unix:///run/redis.sock?db=2"),
            ("redis+unix://:geheim@/run/redis.sock", "redis+unix:///run/redis.sock?db=0"),
            ("redis+unix:///run/a@b.sock", "redis+unix:///run/a@b.sock?db=0"),
            ("redis-sentinel://:geheim@a,b:7/film", "redis-sentinel://a:26379,b:7/film/0"),
            ("rediss-sentinel://a/film/1", "rediss-sentinel://a:26379/film/1"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.to_string().as_str(), address.tls), (shown, text.starts_with("rediss")));
            assert_eq!(format!("{address:?}"), shown);
            assert_eq!(address.has_password(), text.contains("geheim"));
        }
    }

    #[test]
    fn a_login_may_have_any_letters() {
        let address = Address::parse("redis://a%20b:p%40ss:w%2Frd@host").unwrap();
        assert_eq!(address.user.as_deref(), Some("a b"));
        assert_eq!(address.password.as_deref(), Some("p@ss:w/rd"));
        assert_eq!(address.without_secret("it was p@ss:w/rd"), "it was …");
    }

    #[test]
    fn what_is_no_address_is_told_without_repeating_it() {
        for text in [
            "",
            "embed",
            "http://geheim",
            "redis://",
            "redis://:geheim@:1",
            "redis://h:geheim",
            "redis://h/geheim",
            "redis://%g1:geheim@h",
            "redis://:%e@h",
            "redis://:%ff@h",
            "redis+unix://geheim",
            "redis-sentinel://geheim",
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(!error.contains("geheim"), "{text}: {error}");
        }
    }
}
