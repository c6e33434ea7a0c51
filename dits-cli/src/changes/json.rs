//! The JSON form of changes: `docs/json.md` describes it.

use std::ops::Range;

use dits_core::diff::{ContentDiff, Extent, lines_of};
use dits_core::media::FileType;
use dits_core::tree::Content;
use serde::Serialize;

use super::{Body, Changes, Item, Side, binary};
use crate::error::CliError;
use crate::output::json::Bytes;

/// A changed file.
#[derive(Serialize)]
pub struct ChangeJson {
    path: Bytes,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_path: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    similarity: Option<u8>,
    old: Option<SideJson>,
    new: Option<SideJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<LinesJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunks: Option<ChunksJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    facts: Vec<FactJson>,
}

#[derive(Serialize)]
struct SideJson {
    mode: &'static str,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    file_type: Option<&'static str>,
}

#[derive(Serialize)]
struct LinesJson {
    added: usize,
    removed: usize,
}

#[derive(Serialize)]
struct ExtentJson {
    chunks: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct RegionJson {
    old: [u64; 2],
    new: [u64; 2],
}

#[derive(Serialize)]
struct ChunksJson {
    old: ExtentJson,
    new: ExtentJson,
    gone: ExtentJson,
    added: ExtentJson,
    shared: ExtentJson,
    regions: Vec<RegionJson>,
}

#[derive(Serialize)]
struct FactJson {
    key: &'static str,
    old: Option<String>,
    new: Option<String>,
}

impl From<Extent> for ExtentJson {
    fn from(extent: Extent) -> Self {
        Self { chunks: extent.chunks, bytes: extent.bytes }
    }
}

impl From<ContentDiff> for ChunksJson {
    fn from(diff: ContentDiff) -> Self {
        let ends = |range: &Range<u64>| [range.start, range.end];
        let shared = diff.shared();
        let regions = diff.regions.iter().map(|r| RegionJson { old: ends(&r.old), new: ends(&r.new) }).collect();
        Self {
            old: diff.old.into(),
            new: diff.new.into(),
            gone: diff.gone.into(),
            added: diff.added.into(),
            shared: shared.into(),
            regions,
        }
    }
}

fn side(side: &Option<Side>, found: Option<FileType>) -> Option<SideJson> {
    let side = side.as_ref()?;
    let id = match side.content.as_ref() {
        Some(Content::Chunk(id)) => Some(id.to_string()),
        Some(Content::Manifest(id)) => Some(id.to_string()),
        _ => None,
    };
    Some(SideJson { mode: side.mode.octal(), size: side.size, id, file_type: found.map(FileType::name) })
}

impl Changes<'_> {
    /// The JSON form of changes: with what differs inside files if `details`, else only which files do.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn json(&self, items: &[Item], details: bool) -> Result<Vec<ChangeJson>, CliError> {
        items.iter().map(|item| self.item_json(item, details && !item.conflict)).collect()
    }

    fn item_json(&self, item: &Item, details: bool) -> Result<ChangeJson, CliError> {
        let mut json = ChangeJson {
            path: (&item.path).into(),
            status: item.letter().to_string(),
            old_path: item.moved.as_ref().map(|(from, _)| from.into()),
            similarity: item.moved.as_ref().map(|(_, similarity)| *similarity),
            old: side(&item.old, None),
            new: side(&item.new, None),
            lines: None,
            chunks: None,
            facts: Vec::new(),
        };
        if !details {
            return Ok(json);
        }
        let types = (self.file_type(item.old_path(), &item.old)?, self.file_type(&item.path, &item.new)?);
        (json.old, json.new) = (side(&item.old, types.0), side(&item.new, types.1));
        if let Body::Text(old, new) = self.body(item)? {
            let diff = lines_of(&old, &new, 0);
            json.lines = Some(LinesJson { added: diff.added, removed: diff.removed });
        } else {
            let facts = binary::facts(self, item, types)?;
            json.facts =
                facts.into_iter().map(|fact| FactJson { key: fact.key, old: fact.old, new: fact.new }).collect();
        }
        json.chunks = Some(binary::compare(self, item)?.into());
        Ok(json)
    }
}
