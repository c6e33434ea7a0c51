//! `server.toml` and the settings of repositories.

use std::fs;

use crate::rig::Rig;

#[test]
fn a_new_folder_gets_commented_settings_and_keeps_changed_ones() {
    let rig = Rig::new();
    rig.run("repo create film").ok();
    let file = rig.root("server.toml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("#: connections = 256"));
    fs::write(&file, "version = 1\n").unwrap();
    rig.run("repo create other").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), "version = 1\n");
}

#[test]
fn settings_for_all_repositories_are_overridden_by_their_own() {
    let rig = Rig::new();
    rig.run("repo create film").ok();
    rig.run("repo create other").ok();
    fs::write(rig.root("config"), "server.anonymousRead = true\n").unwrap();
    fs::write(rig.root("repos/other.dits/config"), "server.anonymousRead = false\n").unwrap();
    let listed = rig.json("repo list");
    let public: Vec<_> =
        listed["repositories"].as_array().unwrap().iter().map(|line| line["anonymous_read"].as_bool()).collect();
    assert_eq!(public, [Some(true), Some(false)]);
    fs::write(rig.root("config"), "server.quota = 'much'\n").unwrap();
    rig.run("repo list").exits(2).warns("server.quota cannot be `much`");
}

#[test]
fn settings_of_the_users_machine_do_not_reach_a_server() {
    let rig = Rig::new();
    let user = rig.sandbox.home().join(".config/dits/config.toml");
    fs::create_dir_all(user.parent().unwrap()).unwrap();
    fs::write(&user, "init.defaultBranch = 'users'\nserver.anonymousRead = true\n").unwrap();
    rig.run("repo create film").ok();
    assert_eq!(rig.json("repo list")["repositories"][0]["anonymous_read"], false);
    let head = fs::read(rig.root("repos/film.dits/refs/HEAD")).unwrap();
    assert!(String::from_utf8_lossy(&head).contains("refs/branches/main"));
}
