use std::cell::Cell;

use super::super::golden::random;
use super::*;
use proptest::prelude::*;

/// The list of old chunks as an array.
struct List(Vec<ChunkRef>);

impl OldChunks for List {
    type Error = RechunkError;

    fn total_len(&self) -> u64 {
        self.0.iter().map(|chunk| u64::from(chunk.len)).sum()
    }

    fn at_offset(&self, offset: u64) -> Result<Option<(u64, ChunkRef)>, RechunkError> {
        let mut start = 0;
        for chunk in &self.0 {
            if offset < start + u64::from(chunk.len) {
                return Ok(Some((start, *chunk)));
            }
            start += u64::from(chunk.len);
        }
        Ok(None)
    }
}

impl List {
    fn of(profile: &Profile, data: &[u8]) -> Self {
        Self(Cutter::new(profile).slices(data).map(ChunkRef::of).collect())
    }

    fn starts(&self) -> Vec<u64> {
        let ends = self.0.iter().scan(0, |end, chunk| {
            *end += u64::from(chunk.len);
            Some(*end)
        });
        std::iter::once(0).chain(ends).collect()
    }

    /// The list with the splices applied, which have to lie on its boundaries.
    fn spliced(&self, splices: &[Splice]) -> Vec<ChunkRef> {
        let starts = self.starts();
        let at = |offset| starts.binary_search(&offset).expect("a splice begins and ends where chunks do");
        let (mut list, mut done) = (Vec::new(), 0);
        for Splice { old, new } in splices {
            list.extend_from_slice(&self.0[done..at(old.start)]);
            list.extend_from_slice(new);
            done = at(old.end);
        }
        list.extend_from_slice(&self.0[done..]);
        list
    }
}

/// Content that counts how many bytes are read of it.
struct Counted<'a>(&'a [u8], Cell<u64>);

impl ReadAt for Counted<'_> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read_at(offset, buf)?;
        self.1.set(self.1.get() + count as u64);
        Ok(count)
    }
}

/// An edit and the bytes it brings.
type Change = (Range<usize>, Vec<u8>);

fn edited(data: &[u8], changes: &[Change]) -> (Vec<u8>, Vec<Edit>) {
    let (mut new, mut done) = (Vec::new(), 0);
    for (old, bytes) in changes {
        new.extend_from_slice(&data[done..old.start]);
        new.extend_from_slice(bytes);
        done = old.end;
    }
    new.extend_from_slice(&data[done..]);
    let edit = |(old, bytes): &Change| Edit { old: old.start as u64..old.end as u64, new_len: bytes.len() as u64 };
    (new, changes.iter().map(edit).collect())
}

/// Chunks again, checks the outcome against a full run, and says how many bytes were read.
fn check_against_full_run(profile: &Profile, data: &[u8], changes: &[Change]) -> u64 {
    let old = List::of(profile, data);
    let (new, edits) = edited(data, changes);
    let content = Counted(&new, Cell::new(0));
    let mut seen = Vec::new();
    let splices = rechunk(profile, &old, &edits, &content, |chunk, bytes| {
        assert_eq!(*chunk, ChunkRef::of(bytes));
        seen.push(*chunk);
        Ok::<_, RechunkError>(())
    })
    .unwrap();
    assert!(splices.iter().flat_map(|splice| &splice.new).all(|chunk| seen.contains(chunk)));
    assert_eq!(old.spliced(&splices), List::of(profile, &new).0, "{edits:?} of {} bytes: {splices:?}", data.len());
    content.1.get()
}

fn tiny() -> Profile {
    Profile::new(64, 256, 1024).unwrap()
}

#[test]
fn every_single_byte_edit_around_every_cut() {
    for profile in [tiny(), Profile::fixed(128).unwrap()] {
        let data = random(1, 6000);
        for cut in List::of(&profile, &data).starts() {
            for at in cut.saturating_sub(3)..(cut + 4).min(6000) {
                let at = at as usize;
                check_against_full_run(&profile, &data, &[(at..at + 1, vec![data[at] ^ 0x55])]);
                check_against_full_run(&profile, &data, &[(at..at + 1, vec![])]);
                check_against_full_run(&profile, &data, &[(at..at, vec![0x55])]);
                check_against_full_run(&profile, &data, &[(at..6000, vec![])]);
            }
        }
    }
}

/// A cut at an even place within its chunk is only found if two bytes follow; cutting the file off after one undoes it.
#[test]
fn truncation_just_past_a_cut_undoes_the_cut() {
    let profile = tiny();
    let data = random(2, 20_000);
    let old = List::of(&profile, &data);
    let mut undone = 0;
    for cut in old.starts() {
        let at = cut as usize + 1;
        if at < data.len() {
            check_against_full_run(&profile, &data, &[(at..data.len(), vec![])]);
            undone += usize::from(!List::of(&profile, &data[..at]).starts().contains(&cut));
        }
    }
    assert!(undone > 5, "the case this test is about occurs: {undone}");
}

#[test]
fn to_nothing_and_from_nothing() {
    let data = random(3, 5000);
    check_against_full_run(&tiny(), &data, &[(0..5000, vec![])]);
    check_against_full_run(&tiny(), &[], &[(0..0, data.clone())]);
    check_against_full_run(&tiny(), &[], &[]);
    check_against_full_run(&tiny(), &[], &[(0..0, vec![])]);
    check_against_full_run(&tiny(), &data[..1], &[(1..1, vec![1]), (1..1, vec![2])]);
}

#[test]
fn no_edit_reads_nothing_and_a_vain_one_changes_nothing() {
    let data = random(4, 50_000);
    assert_eq!(check_against_full_run(&tiny(), &data, &[]), 0);
    let old = List::of(&tiny(), &data);
    let edits = [Edit { old: 20_000..30_000, new_len: 10_000 }];
    let splices = rechunk(&tiny(), &old, &edits, &data[..], |_, _| Ok::<_, RechunkError>(())).unwrap();
    assert_eq!(splices, []);
}

#[test]
fn reads_what_is_dirty_and_little_more() {
    let profile = Profile::SMALL;
    let data = random(5, 4 << 20);
    let slack = 10 * u64::from(profile.max);
    for at in (0..data.len()).step_by(333_331) {
        let read = check_against_full_run(&profile, &data, &[(at..at, vec![1])]);
        assert!(read < slack, "insertion at {at}: {read}");
    }
    let read = check_against_full_run(&profile, &data, &[(data.len()..data.len(), random(6, 100_000))]);
    assert!(read < 100_000 + slack, "appending: {read}");
    let two = [(100_000..100_010, vec![]), (3_000_000..3_000_500, random(7, 500))];
    let read = check_against_full_run(&profile, &data, &two);
    assert!(read < 2 * slack, "two edits far apart: {read}");
    let read = check_against_full_run(&profile, &vec![0; 4 << 20], &[(1 << 20..1 << 20, vec![0; 3 * 16384])]);
    assert!(read < 5 * slack, "whole chunks into zeros: {read}");
}

#[test]
fn impossible_edits_are_refused() {
    let data = random(8, 1000);
    let old = List::of(&tiny(), &data);
    let run = |edits: &[Edit]| rechunk(&tiny(), &old, edits, &data[..], |_, _| Ok::<_, RechunkError>(()));
    let edit = |old: Range<u64>, new_len| Edit { old, new_len };
    assert!(matches!(run(&[edit(0..10, 10), edit(9..20, 11)]), Err(RechunkError::Edits { index: 1, .. })));
    assert!(matches!(run(&[edit(990..1001, 11)]), Err(RechunkError::Edits { index: 0, .. })));
    #[expect(clippy::reversed_empty_ranges, reason = "that is the point")]
    let reversed = edit(20..10, 0);
    assert!(matches!(run(&[reversed]), Err(RechunkError::Edits { index: 0, .. })));
    assert!(matches!(run(&[edit(0..0, u64::MAX)]), Err(RechunkError::Edits { .. })));
    assert!(matches!(run(&[edit(1000..1000, 5)]), Err(RechunkError::Read(_))), "shorter than the edits say");
}

#[test]
fn a_failing_sink_ends_the_run() {
    let data = random(9, 1000);
    let old = List::of(&tiny(), &data);
    let failing = |_: &ChunkRef, _: &[u8]| Err(RechunkError::Read(io::Error::other("full")));
    assert!(rechunk(&tiny(), &old, &[Edit { old: 5..6, new_len: 1 }], &data[..], failing).is_err());
}

/// Random bytes, zeros, a short period, or zeros between random bytes.
fn content() -> impl Strategy<Value = Vec<u8>> {
    (0u8..5, any::<u64>(), 0usize..9000).prop_map(|(kind, seed, len)| match kind {
        0 | 1 => random(seed, len),
        2 => vec![0; len],
        3 => random(seed, 1 + (seed % 300) as usize).into_iter().cycle().take(len).collect(),
        _ => random(seed, len)
            .chunks(1500)
            .enumerate()
            .flat_map(|(i, part)| if i % 2 == 0 { part.to_vec() } else { vec![0; part.len()] })
            .collect(),
    })
}

/// Where an edit is: a chunk to count from, a distance, and how far that is taken literally.
type Spot = (prop::sample::Index, i64, bool, usize, u8, u64);

fn spots() -> impl Strategy<Value = Vec<Spot>> {
    let spot = (any::<prop::sample::Index>(), -3i64..4, any::<bool>(), 0usize..1500, 0u8..7, any::<u64>());
    prop::collection::vec(spot, 0..6)
}

fn changes(data: &[u8], starts: &[u64], spots: Vec<Spot>) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut places: Vec<_> = spots
        .into_iter()
        .map(|(index, near, at_cut, len, kind, seed)| {
            let at = if at_cut {
                index.get(starts).saturating_add_signed(near) as usize
            } else {
                index.index(data.len() + 1)
            };
            (at.min(data.len()), len, kind, seed)
        })
        .collect();
    places.sort_unstable();
    for (at, len, kind, seed) in places {
        let at = at.max(changes.last().map_or(0, |(old, _)| old.end));
        let end = (at + len).min(data.len());
        changes.push(match kind {
            0 => (at..end, random(seed, end - at)),
            1 => (at..at, random(seed, len)),
            2 => (at..end, vec![]),
            3 => (at..end, data[at..end].to_vec()),
            4 => (at..at, vec![0; len]),
            5 => (at..data.len(), random(seed, (seed % 3) as usize)),
            _ => (at..(at + 1).min(data.len()), random(seed, len % 4)),
        });
    }
    changes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn equals_a_full_run(data in content(), spots in spots(), level in 0u8..4, fixed in prop::bool::weighted(0.1)) {
        let profile = if fixed { Profile::fixed(256).unwrap() } else { Profile { normalization: level, ..tiny() } };
        let changes = changes(&data, &List::of(&profile, &data).starts(), spots);
        check_against_full_run(&profile, &data, &changes);
    }
}
