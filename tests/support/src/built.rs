//! Programs of other packages of this project, for tests in which several of them meet.

use std::path::PathBuf;
use std::process::Command;

/// A program of the project, built as the running test was. Cargo tells a test only of the programs of its own package.
///
/// # Panics
/// When it cannot be built.
#[must_use]
#[track_caller]
pub fn built(program: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test is a file");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("a test is in deps/ of its profile's folder");
    let there = folder.join(program);
    if std::env::var_os(crate::RUN).is_some() && there.exists() {
        return there; // `cargo xtask test` has built everything
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--offline", "--package", program, "--bin", program]);
    // What cargo tells this test of its own package would have build scripts of others run again.
    for (name, _) in std::env::vars_os() {
        let of_package =
            |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|p| name.starts_with(p));
        if name.to_str().is_some_and(of_package) {
            command.env_remove(name);
        }
    }
    if folder.ends_with("release") {
        command.arg("--release");
    }
    assert!(command.status().expect("cargo runs").success(), "{program} cannot be built");
    there
}
