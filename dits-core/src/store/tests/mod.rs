//! Tests of the store as a whole. Each has a folder of its own and leaves nothing behind.
#![allow(clippy::unwrap_used)]

mod adopt;
mod collect;
mod damage;
mod decoders;
mod golden;
mod moving;
mod round_trip;
mod search;

use std::path::{Path, PathBuf};

use super::*;
use crate::object::{Digest, ObjectKind};

/// Bytes that do not compress, the same for the same seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

fn put(writer: &Writer, bytes: &[u8]) -> Digest {
    let digest = ObjectKind::Chunk.digest(bytes);
    writer.put(ObjectKind::Chunk, digest, bytes, Hint::default()).unwrap();
    digest
}

fn odb(dir: &Path) -> Odb {
    Odb::open(dir, OdbOptions::default()).unwrap()
}

/// Writes these objects in one go and gives back their names.
fn add(odb: &Odb, objects: &[Vec<u8>]) -> Vec<Digest> {
    let writer = odb.writer(WriterOptions::default()).unwrap();
    let digests = objects.iter().map(|bytes| put(&writer, bytes)).collect();
    writer.finish().unwrap();
    digests
}

/// All files below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn chunks(seed: u64, count: usize, len: usize) -> Vec<Vec<u8>> {
    (0..count).map(|i| noise(seed * 1_000_000 + i as u64, len)).collect()
}
