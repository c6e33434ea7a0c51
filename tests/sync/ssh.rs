//! Links through a program that stands for ssh.

use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use dits_sync::link::{DialOptions, Lane, Link, LinkError, SshOptions, dialer};
use dits_sync::url::RemoteUrl;
use tempfile::TempDir;

use crate::pairs::{LONG, accepting};

/// Runs the command here that ssh would run there. `server` is the text before `--stdio PATH`.
fn dial(server: &str, path: &str) -> (TempDir, Box<dyn Link>) {
    dial_with("my ssh", server, path)
}

fn dial_with(ssh: &str, server: &str, path: &str) -> (TempDir, Box<dyn Link>) {
    let folder = tempfile::tempdir().unwrap();
    let ssh = folder.path().join(ssh);
    std::fs::write(&ssh, "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nexec sh -c \"$2\"\n").unwrap();
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
    let text = ssh.display().to_string();
    let command = if text.contains(' ') { format!("'{text}'") } else { text };
    let ssh = SshOptions { command: Some(command), server: server.into() };
    let url = RemoteUrl::parse(&format!("ssh://me@studio:2222{path}")).unwrap();
    let options = DialOptions { ssh, ..accepting(folder.path()) };
    let link = dialer(&url, options).unwrap().dial().unwrap();
    (folder, link)
}

fn end(link: &dyn Link) -> LinkError {
    loop {
        if let Err(error) = link.recv(LONG) {
            return error;
        }
    }
}

#[test]
fn messages_go_through_the_other_program() {
    // `cat` answers with what it gets.
    let (_folder, link) = dial("cat; :", "/x");
    for lane in [Lane::Control, Lane::Bulk(3), Lane::Demand] {
        let message = Bytes::from(vec![lane == Lane::Control; 200_000].into_iter().map(u8::from).collect::<Vec<_>>());
        link.send(lane, message.clone()).unwrap();
        assert_eq!(link.recv(LONG).unwrap(), (lane, message));
    }
    assert_eq!(link.peer(), "me@studio");
    link.close();
    assert!(matches!(end(&*link), LinkError::Closed(_)));
}

#[test]
fn the_path_arrives_as_one_word() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let odd = format!("/it's $(touch {}) `x` \"y\" \\z", mark.display());
    let (_folder, link) = dial(&format!("sh -c 'printf %s \"$2\" > {}/word' sh", folder.path().display()), &odd);
    end(&*link);
    assert_eq!(std::fs::read_to_string(folder.path().join("word")).unwrap(), odd);
    assert!(!mark.exists());
}

#[test]
fn how_the_other_program_ended_is_told() {
    let (_folder, link) = dial("exit 3; :", "/x");
    let error = end(&*link);
    assert!(error.is_transient() && error.to_string().contains("exit status 3"), "{error}");
    let (_folder, link) = dial("/nowhere/dits-server", "/x");
    let error = end(&*link);
    assert!(!error.is_transient() && error.to_string().contains("cannot be run on studio"), "{error}");
    let (_folder, link) = dial("kill -9 $$; :", "/x");
    let error = end(&*link);
    assert!(error.to_string().contains("signal 9"), "{error}");
    // Sending tells the same.
    let error = (0..1000).find_map(|_| link.send(Lane::Control, Bytes::from_static(b"x")).err()).unwrap();
    assert!(error.to_string().contains("signal 9"), "{error}");
}

#[test]
fn a_program_that_does_not_end_is_ended() {
    let (_folder, link) = dial_with("ssh", "exec sleep 1000 #", "/x");
    link.close();
    assert!(matches!(end(&*link), LinkError::Closed(_)));
}

#[test]
fn chatter_of_the_other_shell_is_no_message() {
    let (_folder, link) = dial("echo Welcome to studio; :", "/x");
    let error = end(&*link);
    assert!(matches!(error, LinkError::Protocol(_)), "{error}");
}
