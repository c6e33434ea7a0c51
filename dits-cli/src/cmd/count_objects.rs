//! `dits count-objects`

use dits_core::maintain::{Amount, StoredKind};
use dits_core::object::ObjectKind;
use dits_core::store::Odb;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::size::{format_bytes, format_count, plural};
use crate::output::table::{Align, Table};

/// Count what is stored, and what it takes
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits count-objects
  dits count-objects -v            by kind, with packs and their merged index")]
pub struct Args {}

#[derive(Serialize)]
struct Answer {
    kinds: Vec<Kind>,
    content: Packs,
    metadata: Packs,
    loose: Count,
    packed: Count,
}

#[derive(Serialize)]
struct Kind {
    kind: &'static str,
    loose: Count,
    packed: Count,
}

#[derive(Serialize, Clone, Copy, Default)]
struct Count {
    objects: u64,
    /// Bytes of the objects themselves.
    plain: u64,
    /// Bytes of their frames.
    stored: u64,
}

impl From<Amount> for Count {
    fn from(amount: Amount) -> Self {
        Self { objects: amount.objects, plain: amount.plain, stored: amount.stored }
    }
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.objects += other.objects;
        self.plain += other.plain;
        self.stored += other.stored;
    }
}

#[derive(Serialize)]
struct Packs {
    packs: u64,
    bytes: u64,
    merged_index: bool,
    /// Packs that lookups ask one by one.
    uncovered: u64,
}

impl Packs {
    fn of(odb: &Odb) -> Result<Self, CliError> {
        let list = odb.pack_list()?;
        Ok(Self {
            packs: list.len() as u64,
            bytes: list.iter().map(|pack| pack.file_len).sum(),
            merged_index: odb.merged_exists(),
            uncovered: odb.uncovered_packs() as u64,
        })
    }
}

/// Counts it.
pub fn run(_args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let store = opened.repo.store();
    let (mut loose, mut packed) = (Count::default(), Count::default());
    let mut kinds = Vec::new();
    for (kind, counts) in opened.repo.stored_by_kind()? {
        kinds.push(of_kind(kind, counts));
        loose += counts.loose.into();
        packed += counts.packed.into();
    }
    let answer =
        Answer { kinds, content: Packs::of(&store.content)?, metadata: Packs::of(&store.meta)?, loose, packed };
    match (cx.json(), cx.verbose() > 0) {
        (true, _) => cx.out().json("count-objects", &answer)?,
        (_, true) => detailed(&answer, cx)?,
        _ => {
            let packs = plural(answer.content.packs + answer.metadata.packs, "pack", "packs");
            let (few, many) = (plural(loose.objects, "loose object", "loose objects"), format_count(packed.objects));
            writeln!(cx.out(), "{few} with {}", format_bytes(loose.stored))?;
            writeln!(cx.out(), "{many} objects in {packs} with {}", format_bytes(packed.stored))?;
        }
    }
    Ok(Exit::Ok)
}

fn of_kind(kind: ObjectKind, counts: StoredKind) -> Kind {
    Kind { kind: kind.name(), loose: counts.loose.into(), packed: counts.packed.into() }
}

fn detailed(answer: &Answer, cx: &Context) -> Result<(), CliError> {
    let mut table = Table::new(&[Align::Left, Align::Right, Align::Right, Align::Right, Align::Right, Align::Right]);
    table.row(["kind", "loose", "stored", "packed", "stored", "content"]);
    let mut row = |name: &str, loose: Count, packed: Count| {
        table.row([
            name.to_owned(),
            format_count(loose.objects),
            format_bytes(loose.stored),
            format_count(packed.objects),
            format_bytes(packed.stored),
            format_bytes(loose.plain + packed.plain),
        ]);
    };
    answer.kinds.iter().for_each(|kind| row(kind.kind, kind.loose, kind.packed));
    row("all", answer.loose, answer.packed);
    write!(cx.out(), "{}", table.render())?;
    for (name, packs) in [("content", &answer.content), ("metadata", &answer.metadata)] {
        let count = plural(packs.packs, "pack", "packs");
        let index = match (packs.merged_index, packs.uncovered) {
            (false, _) => "no merged index".to_owned(),
            (true, 0) => "all in the merged index".to_owned(),
            (true, n) => format!("{} outside of the merged index", format_count(n)),
        };
        writeln!(cx.out(), "{name}: {count} with {}, {index}", format_bytes(packs.bytes))?;
    }
    Ok(())
}
