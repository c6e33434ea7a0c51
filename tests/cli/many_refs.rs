//! More refs than one message holds.

use std::path::Path;
use std::time::Duration;

use dits_core::object::ObjectKind;
use dits_core::refs::{Expected, RefEdit, RefName, RefStore, Target};
use dits_core::repo::{Environment, Repository};
use dits_core::signature::Signature;
use dits_core::tag::Tag;
use dits_testkit::mount::{Kind, Mounted};
use dits_testkit::{Finished, Sandbox};

use crate::inspect::json;

const MANY: usize = 20_000;
const LIMIT: Duration = Duration::from_secs(600);

/// Repositories in memory: these are many small files.
struct Rig {
    sandbox: Sandbox,
    disk: Mounted,
}

impl Rig {
    fn new(test: &str) -> Option<Self> {
        let disk = Mounted::new(test, Kind::Tmpfs, 2048)?;
        Some(Self { sandbox: Sandbox::new(env!("CARGO_BIN_EXE_dits")).limit(LIMIT), disk })
    }

    #[track_caller]
    fn dits(&self, at: &str, line: &str) -> Finished {
        self.sandbox.dits_in(&self.disk.path().join(at), line.split(' '))
    }

    fn tags(&self, at: &str) -> String {
        self.dits(at, "tag").ok().out()
    }
}

/// Tags of a commit, each an object of its own.
fn tag(at: &Path, names: std::ops::Range<usize>) {
    let repo = Repository::discover(at, &Environment::default()).unwrap();
    let target = *repo.resolve_commit("HEAD").unwrap().digest();
    let writer = repo.writer().unwrap();
    let tagger = Signature { name: "Ada".into(), email: "ada@example.org".into(), time: 1_000, offset: 0 };
    let mut edits = Vec::new();
    for number in names {
        let name = format!("take/{number:05}");
        let tag = Tag {
            target,
            target_kind: ObjectKind::Commit,
            name: name.clone(),
            tagger: tagger.clone(),
            message: "a take".into(),
            signature: None,
            extensions: Vec::new(),
        };
        let id = *tag.write(&writer).unwrap().digest();
        edits.push(RefEdit::set(RefName::tag(&name).unwrap(), Expected::Absent, Target::Id(id)));
    }
    let _guard = writer.finish().unwrap().guard;
    repo.refs().transaction(edits).unwrap();
}

#[test]
fn twenty_thousand_tags_are_pushed_cloned_and_fetched() {
    let Some(rig) = Rig::new("twenty_thousand_tags_are_pushed_cloned_and_fetched") else { return };
    rig.dits(".", "init -q --bare server").ok();
    rig.dits(".", "clone -q server ada").ok();
    rig.dits("ada", "commit -q --allow-empty -m one").ok();
    rig.dits("ada", "push -q").ok();
    rig.dits(".", "clone -q server bob").ok();
    let ada = rig.disk.path().join("ada");
    tag(&ada, 0..MANY);
    rig.dits("ada", "push -q origin --tags").ok();
    let all = rig.tags("ada");
    assert_eq!(all.lines().count(), MANY);
    let fetched = json(rig.dits("bob", "fetch --json").ok());
    assert_eq!(fetched["remotes"][0]["metadata"], MANY, "each once");
    rig.dits(".", "clone -q server carol").ok();
    for at in ["server", "bob", "carol"] {
        assert_eq!(rig.tags(at), all, "{at}");
    }
    // One that is refused is refused alone.
    rig.dits("ada", "tag -f take/00007").ok();
    tag(&ada, MANY..MANY + 3);
    rig.dits("ada", "push -q origin --tags").exits(3).warns("tags do not move");
    rig.dits("carol", "fetch -q").ok();
    assert_eq!(rig.tags("carol").lines().count(), MANY + 3);
}
