//! What is refused before it reaches dav-server: strangers, and what would destroy more than was meant.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dav_server::davpath::DavPath;
use http::header::{AUTHORIZATION, HOST};
use http::{Request, StatusCode, Uri};

/// Who may come in.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    /// What must be given, with any user name.
    pub(super) password: Option<String>,
    /// Only what is asked of this machine by its own name: a web page whose name was made to lead here is refused.
    pub(super) only_local_names: bool,
}

impl Guard {
    /// Why a request is refused, if it is.
    pub(super) fn refuses<B>(&self, request: &Request<B>) -> Option<StatusCode> {
        if self.only_local_names && !is_local(request) {
            return Some(StatusCode::MISDIRECTED_REQUEST);
        }
        if self.password.as_deref().is_some_and(|password| !gives(request, password)) {
            return Some(StatusCode::UNAUTHORIZED);
        }
        destroys(request).then_some(StatusCode::FORBIDDEN)
    }
}

fn is_local<B>(request: &Request<B>) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    // Two hosts are one too many.
    if request.headers().get_all(HOST).iter().count() != 1 {
        return false;
    }
    let host = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    let Some(host) = host.as_ref().map(http::uri::Authority::host) else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn gives<B>(request: &Request<B>, password: &str) -> bool {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let encoded = given.and_then(|value| value.split_once(' '));
    let encoded = encoded.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic")).map(|(_, encoded)| encoded.trim());
    let Some(decoded) = encoded.and_then(|encoded| STANDARD.decode(encoded).ok()) else { return false };
    let Some(colon) = decoded.iter().position(|byte| *byte == b':') else { return false };
    let given = &decoded[colon + 1..];
    // How long this takes must not tell how much of it is right.
    let differences = given.iter().zip(password.as_bytes()).fold(0, |all, (one, other)| all | (one ^ other));
    given.len() == password.len() && differences == 0
}

/// Whether a request would remove the root, or what it is to move or copy. dav-server first removes what has the
/// destination's name.
fn destroys<B>(request: &Request<B>) -> bool {
    let path = names(request.uri().path());
    match request.method().as_str() {
        "DELETE" => path.as_ref().is_none_or(Vec::is_empty),
        "MOVE" | "COPY" => {
            let destination = request.headers().get("destination").and_then(|value| value.to_str().ok());
            // Without one dav-server refuses it.
            let Some(destination) = destination else { return false };
            let to = destination.parse::<Uri>().ok().and_then(|uri| names(uri.path()));
            let (Some(from), Some(to)) = (path, to) else { return true };
            let into_itself = request.method().as_str() == "MOVE" && to.starts_with(&from);
            to.is_empty() || from.starts_with(&to) || into_itself
        }
        _ => false,
    }
}

/// The most elements that the body of a request has. Those of clients have some dozens.
const ELEMENTS: usize = 500;

/// Whether a body can be parsed without harm. The parser goes down by recursion, so that elements in elements could take
/// more than the stack holds; there are never more in each other than there are. Entities could make more of them.
pub(super) fn is_modest(xml: &[u8]) -> bool {
    let follows = |what: &'static [u8]| xml.windows(what.len()).any(|window| window == what);
    let opened = xml.windows(2).filter(|pair| pair[0] == b'<' && !matches!(pair[1], b'/' | b'?' | b'!')).count();
    // Where every other byte is 0 it is in an encoding that this does not understand.
    opened <= ELEMENTS && !xml.contains(&0) && !follows(b"<!DOCTYPE") && !follows(b"<!ENTITY")
}

/// The names of a path.
fn names(path: &str) -> Option<Vec<Vec<u8>>> {
    let path = DavPath::new(path).ok()?;
    let names = path.as_bytes().split(|byte| *byte == b'/').filter(|name| !name.is_empty());
    Some(names.map(<[u8]>::to_vec).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
        let request = Request::builder().method(method).uri(path);
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(()).unwrap()
    }

    #[test]
    fn only_the_machines_own_names_lead_to_it() {
        let guard = Guard { only_local_names: true, ..Guard::default() };
        let with = |host: &str| guard.refuses(&request("GET", "/", &[("host", host)]));
        for host in ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:80", "127.0.0.2"] {
            assert_eq!(with(host), None, "{host}");
        }
        for host in ["evil.example:8080", "localhost.evil.example", "10.0.0.1", "127.0.0.1.evil.example", ""] {
            assert_eq!(with(host), Some(StatusCode::MISDIRECTED_REQUEST), "{host}");
        }
        assert_eq!(guard.refuses(&request("GET", "/", &[])), Some(StatusCode::MISDIRECTED_REQUEST));
    }

    #[test]
    fn the_password_must_be_given() {
        let guard = Guard { password: Some("s3:cret".into()), only_local_names: false };
        let with = |value: &str| guard.refuses(&request("GET", "/", &[("authorization", value)]));
        assert_eq!(with(&format!("Basic {}", STANDARD.encode("any:s3:cret"))), None);
        for text in ["any:s3:cre", "any:s3:cret1", "any:", "s3", ""] {
            assert_eq!(with(&format!("Basic {}", STANDARD.encode(text))), Some(StatusCode::UNAUTHORIZED), "{text}");
        }
        assert_eq!(with("Bearer s3:cret"), Some(StatusCode::UNAUTHORIZED));
        assert_eq!(guard.refuses(&request("GET", "/", &[])), Some(StatusCode::UNAUTHORIZED));
    }

    #[test]
    fn what_would_overflow_the_parser_is_not_modest() {
        assert!(is_modest(b"") && is_modest(b"<?xml version=\"1.0\"?><a><!-- c --><b/></a>"));
        assert!(!is_modest("<a>".repeat(20_000).as_bytes()) && !is_modest(b"<\0a\0>\0"));
        assert!(!is_modest(b"<!DOCTYPE a [<!ENTITY e '<a>'>]><a>&e;</a>"));
    }

    #[test]
    fn nothing_destroys_the_root_or_what_it_takes() {
        let destroys = |method: &str, path: &str, to: &str| destroys(&request(method, path, &[("destination", to)]));
        assert!(super::destroys(&request("DELETE", "/", &[])) && super::destroys(&request("DELETE", "/a/..", &[])));
        assert!(!super::destroys(&request("DELETE", "/a", &[])));
        assert!(destroys("COPY", "/a", "http://h/") && destroys("MOVE", "/a", "/"));
        assert!(destroys("COPY", "/a/b", "http://h/a/") && destroys("MOVE", "/a/b", "/%61"));
        assert!(destroys("MOVE", "/a", "/a/b") && !destroys("COPY", "/a", "/a/b"));
        assert!(!destroys("MOVE", "/a", "/ab") && !destroys("COPY", "/ab", "/a"));
    }
}
