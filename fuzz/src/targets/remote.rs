//! What names and proves a remote.

use dits_sync::identity::Fingerprint;
use dits_sync::url::{RemoteUrl, Target};

/// URLs: what is accepted is shown as something that means the same, and nothing in it is an option.
///
/// # Panics
/// When that law is broken.
pub fn url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(url) = RemoteUrl::parse(text) else { return };
    let shown = url.to_string();
    assert_eq!(RemoteUrl::parse(&shown).as_ref(), Ok(&url), "{text:?} is shown as {shown:?}");
    assert!(!shown.chars().any(char::is_control));
    let parts = match url.target() {
        Target::Dits(server) | Target::Https(server) => {
            assert!(server.port > 0 && server.repository.split('/').all(|part| !matches!(part, "" | "." | "..")));
            vec![server.host.clone(), server.repository.clone()]
        }
        Target::Ssh { user, host, path, .. } => {
            vec![user.clone().unwrap_or_else(|| "nobody".into()), host.clone(), path.clone()]
        }
        Target::Local(path) => vec![path.to_string_lossy().into_owned()],
    };
    assert!(parts.iter().all(|part| !part.is_empty() && !part.starts_with('-')), "{parts:?}");
}

/// Fingerprints are read back as they are shown.
///
/// # Panics
/// When they are not.
pub fn fingerprint(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(fingerprint) = text.parse::<Fingerprint>() else { return };
    assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
}
