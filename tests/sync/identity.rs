//! Whether a client notices that a server is not the one it means.

use std::path::Path;
use std::sync::{Arc, Mutex};

use dits_sync::identity::{NewHost, ServerIdentity, Trust};
use dits_sync::link::{Carrier, DialOptions, LinkError, ListenOptions, Listener};

use crate::pairs::{LONG, Server, accepting, dial_to};

const CARRIERS: [Carrier; 3] = [Carrier::Quic, Carrier::Tcp, Carrier::Auto];

fn refusal(server: &Server, options: DialOptions) -> String {
    match dial_to(server.listener.address(), options).dial() {
        Err(LinkError::Identity(text)) => text,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("a link to the wrong server"),
    }
}

fn pinned(folder: &Path, new_host: NewHost, carrier: Carrier) -> DialOptions {
    let trust = Trust::Pinned { known_hosts: folder.join("known_hosts"), new_host };
    DialOptions { carrier, ..DialOptions::new(trust) }
}

#[test]
fn a_new_server_is_told_once_and_remembered() {
    for carrier in CARRIERS {
        let server = Server::start();
        let fingerprint = ServerIdentity::load_or_create(server.state.path()).unwrap().fingerprint();
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        let tell = NewHost::Accept(Arc::new(move |host, print| heard.lock().unwrap().push(format!("{host} {print}"))));
        for _ in 0..2 {
            let link = dial_to(server.listener.address(), pinned(server.state.path(), tell.clone(), carrier)).dial();
            drop((link.unwrap(), server.accept()));
        }
        let line = format!("{} {fingerprint}", server.listener.address());
        assert_eq!(*told.lock().unwrap(), [line.as_str()]);
        assert_eq!(std::fs::read_to_string(server.state.path().join("known_hosts")).unwrap(), line + "\n");
    }
}

#[test]
fn a_changed_key_is_refused_loudly() {
    for carrier in CARRIERS {
        let server = Server::start();
        let old = "SHA256:q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s";
        let file = server.state.path().join("known_hosts");
        std::fs::write(&file, format!("# mine\n{} {old}\n", server.listener.address())).unwrap();
        let now = ServerIdentity::load_or_create(server.state.path()).unwrap().fingerprint().to_string();
        let text = refusal(&server, DialOptions { carrier, ..accepting(server.state.path()) });
        for part in ["HAS CHANGED", old, &now, "line 2", &format!("sed -i 2d '{}'", file.display())] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert!(server.listener.accept(std::time::Duration::from_millis(50)).is_none());
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 2);
    }
}

#[test]
fn only_the_expected_key_is_accepted() {
    for carrier in CARRIERS {
        let server = Server::start();
        let own = ServerIdentity::load_or_create(server.state.path()).unwrap().fingerprint();
        let other = "SHA256:q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s".parse().unwrap();
        let text = refusal(&server, pinned(server.state.path(), NewHost::Expect(other), carrier));
        assert!(text.contains(&own.to_string()) && text.contains(&other.to_string()), "{text}");
        let text = refusal(&server, pinned(server.state.path(), NewHost::Refuse, carrier));
        assert!(text.contains(&own.to_string()), "{text}");
        assert!(!server.state.path().join("known_hosts").exists());
        let options = pinned(server.state.path(), NewHost::Expect(own), carrier);
        assert!(dial_to(server.listener.address(), options).dial().is_ok());
        let options = pinned(server.state.path(), NewHost::Refuse, carrier);
        assert!(dial_to(server.listener.address(), options).dial().is_ok());
    }
}

#[test]
fn an_authority_vouches_for_names() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let authority = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    std::fs::write(at("ca.pem"), params.self_signed(&authority).unwrap().pem()).unwrap();
    let issuer = rcgen::Issuer::new(params, authority);
    for (name, host) in [("good", "127.0.0.1"), ("other", "192.0.2.1")] {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new([host.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        std::fs::write(at(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(at(&format!("{name}.key")), key.serialize_pem()).unwrap();
        let identity = ServerIdentity::from_pem(&at(&format!("{name}.pem")), &at(&format!("{name}.key"))).unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), &identity, &ListenOptions::default()).unwrap();
        for carrier in CARRIERS {
            let options = DialOptions { carrier, ..DialOptions::new(Trust::Authority(at("ca.pem"))) };
            let dialled = dial_to(listener.address(), options).dial();
            if name == "good" {
                drop((dialled.unwrap(), listener.accept(LONG).unwrap()));
            } else {
                assert!(matches!(dialled, Err(LinkError::Identity(_))));
            }
        }
    }
    // A server that signs for itself is nobody to the authority.
    let server = Server::start();
    for carrier in CARRIERS {
        let options = DialOptions { carrier, ..DialOptions::new(Trust::Authority(at("ca.pem"))) };
        refusal(&server, options);
    }
}
