//! The lines and asterisks of `log --graph`.
//!
//! Each lane waits for one commit. A commit takes the place of its lane; its parents get lanes there, and lanes that
//! wait for the same commit run together to the left. A lane stands at every second character; what is between two
//! lanes moves on it by one lane per row.

use dits_core::object::CommitId;

/// What is drawn for one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// Rows that make room, before the commit.
    pub before: Vec<String>,
    /// The row with the commit's mark.
    pub commit: String,
    /// Rows that follow: the first lines of text after the commit's own go beside them.
    pub after: Vec<String>,
    /// What stands beside all further text.
    pub padding: String,
}

/// The lanes as they are below the commits drawn so far.
#[derive(Debug, Default)]
pub struct Graph {
    lanes: Vec<CommitId>,
}

/// An edge on its way from one row to the next.
#[derive(Debug, Clone, Copy)]
struct Edge {
    position: usize,
    target: usize,
}

impl Graph {
    /// Draws the next commit. Commits come before their parents; a parent that never comes keeps its lane.
    pub fn commit(&mut self, id: CommitId, parents: &[CommitId], mark: char) -> Rows {
        let at = self.lanes.iter().position(|lane| *lane == id).unwrap_or_else(|| {
            self.lanes.push(id);
            self.lanes.len() - 1
        });
        let count = self.lanes.len();
        let width = 2 * (count + parents.len().max(1) - 1);
        let room = parents.len().saturating_sub(2);
        let before = if at + 1 < count { (0..room).map(|step| self.make_room(at, step)).collect() } else { Vec::new() };
        let commit = self.mark(at, room, mark);
        let mut after = Vec::new();
        if parents.len() > 1 {
            after.push(self.spread(at, parents.len()));
        }
        let edges = self.advance(at, parents);
        after.extend(collapse(edges));
        let mut padding = Row::default();
        (0..self.lanes.len()).for_each(|lane| padding.put(2 * lane, '|'));
        let pad = |row: Row| row.padded(width);
        Rows {
            before: before.into_iter().map(pad).collect(),
            commit: commit.padded(width),
            after: after.into_iter().map(pad).collect(),
            padding: padding.padded(width),
        }
    }

    /// Moves the lanes right of a merge with many parents one to the right.
    fn make_room(&self, at: usize, step: usize) -> Row {
        let mut row = Row::default();
        (0..=at).for_each(|lane| row.put(2 * lane, '|'));
        (at + 1..self.lanes.len()).for_each(|lane| row.put(2 * (lane + step) + 1, '\\'));
        row
    }

    fn mark(&self, at: usize, room: usize, mark: char) -> Row {
        let mut row = Row::default();
        (0..at).for_each(|lane| row.put(2 * lane, '|'));
        row.put(2 * at, mark);
        if room > 0 {
            (1..2 * room).for_each(|step| row.put(2 * at + step, '-'));
            row.put(2 * (at + room), '.');
        }
        (at + 1..self.lanes.len()).for_each(|lane| row.put(2 * (lane + room), '|'));
        row
    }

    /// The row below a merge, where its parents part.
    fn spread(&self, at: usize, parents: usize) -> Row {
        let mut row = Row::default();
        (0..=at).for_each(|lane| row.put(2 * lane, '|'));
        (1..parents).for_each(|parent| row.put(2 * (at + parent) - 1, '\\'));
        (at + 1..self.lanes.len()).for_each(|lane| row.put(2 * (lane + parents - 2) + 1, '\\'));
        row
    }

    /// Replaces the commit's lane by those of its parents, and says where every edge is and where it has to go.
    fn advance(&mut self, at: usize, parents: &[CommitId]) -> Vec<Edge> {
        let mut waiting: Vec<(usize, CommitId)> = Vec::new();
        for (lane, id) in self.lanes.iter().enumerate() {
            if lane == at {
                waiting.extend(parents.iter().enumerate().map(|(parent, id)| (at + parent, *id)));
            } else {
                let shift = if lane > at { parents.len().saturating_sub(1) } else { 0 };
                waiting.push((lane + shift, *id));
            }
        }
        self.lanes.clear();
        let mut edges = Vec::new();
        for (position, id) in waiting {
            let target = self.lanes.iter().position(|lane| *lane == id).unwrap_or_else(|| {
                self.lanes.push(id);
                self.lanes.len() - 1
            });
            edges.push(Edge { position, target });
        }
        edges
    }
}

/// The rows in which edges move to the left until each is in its lane.
fn collapse(mut edges: Vec<Edge>) -> Vec<Row> {
    let mut rows = Vec::new();
    while edges.iter().any(|edge| edge.position != edge.target) {
        let mut row = Row::default();
        let settled: Vec<Edge> = edges.iter().copied().filter(|edge| edge.position == edge.target).collect();
        settled.iter().for_each(|edge| row.put(2 * edge.position, '|'));
        let mut horizontal = false;
        for edge in edges.iter_mut().filter(|edge| edge.position != edge.target) {
            row.put(2 * edge.position - 1, '/');
            let next = edge.position - 1;
            // One edge per row may pass under several lanes at once.
            let crosses = settled.iter().any(|other| other.position == next && other.target != edge.target);
            if crosses && !horizontal {
                horizontal = true;
                (edge.target + 1..next).for_each(|lane| row.put(2 * lane + 1, '_'));
                edge.position = edge.target + 1;
            } else {
                edge.position = next;
            }
        }
        rows.push(row);
    }
    rows
}

#[derive(Debug, Default)]
struct Row(Vec<char>);

impl Row {
    fn put(&mut self, at: usize, mark: char) {
        if self.0.len() <= at {
            self.0.resize(at + 1, ' ');
        }
        self.0[at] = mark;
    }

    fn padded(self, width: usize) -> String {
        let mut text: String = self.0.into_iter().collect();
        let missing = width.saturating_sub(text.chars().count());
        text.extend(std::iter::repeat_n(' ', missing));
        if !text.ends_with(' ') {
            text.push(' ');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws `commit:parents` words, each commit with its letter as the text, as `log --graph --oneline` would.
    fn draw(history: &str) -> String {
        let id = |name: char| CommitId::of(&[name as u8]);
        let mut graph = Graph::default();
        let mut text = String::new();
        for word in history.split_whitespace() {
            let (name, parents) = word.split_once(':').unwrap();
            let name = name.chars().next().unwrap();
            let parents: Vec<CommitId> = parents.chars().map(id).collect();
            let rows = graph.commit(id(name), &parents, '*');
            rows.before.iter().for_each(|row| text.push_str(&format!("{}\n", row.trim_end())));
            text.push_str(&format!("{}{name}\n", rows.commit));
            rows.after.iter().for_each(|row| text.push_str(&format!("{}\n", row.trim_end())));
        }
        text
    }

    #[test]
    fn a_line() {
        insta::assert_snapshot!(draw("c:b b:a a:"), @r"
        * c
        * b
        * a
        ");
    }

    #[test]
    fn a_merge_and_its_fork() {
        // As git 2.39 draws it.
        insta::assert_snapshot!(draw("m:bd d:a b:a a:"), @r"
        *   m
        |\
        | * d
        * | b
        |/
        * a
        ");
    }

    #[test]
    fn two_tips() {
        insta::assert_snapshot!(draw("y:a x:a a:"), @r"
        * y
        | * x
        |/
        * a
        ");
    }

    #[test]
    fn a_root_between_lanes_lets_them_close_up() {
        insta::assert_snapshot!(draw("m:br r: b:a a:"), @r"
        *   m
        |\
        | * r
        * b
        * a
        ");
        insta::assert_snapshot!(draw("y:a x: a:"), @r"
        * y
        | * x
        * a
        ");
        insta::assert_snapshot!(draw("m:ra a:b r: b:"), @r"
        *   m
        |\
        | * a
        * | r
         /
        * b
        ");
    }

    #[test]
    fn an_octopus() {
        // git draws `* / b`, with the edge on its way beside the commit; else the same.
        insta::assert_snapshot!(draw("m:bcd d:a c:a b:a a:"), @r"
        *-.   m
        |\ \
        | | * d
        | * | c
        | |/
        * | b
        |/
        * a
        ");
    }

    #[test]
    fn an_octopus_makes_room_for_lanes_to_its_right() {
        insta::assert_snapshot!(draw("m:bcd z:a d:a c:a b:a a:"), @r"
        *-.   m
        |\ \
        | | | * z
        | | * | d
        | | |/
        | * | c
        | |/
        * | b
        |/
        * a
        ");
        insta::assert_snapshot!(draw("n:mx m:bcd x:a d:a c:a b:a a:"), @r"
        *   n
        |\
        |  \
        *-. |   m
        |\ \ \
        | | | * x
        | | * | d
        | | |/
        | * | c
        | |/
        * | b
        |/
        * a
        ");
    }

    #[test]
    fn an_edge_passes_under_lanes_between() {
        // As git 2.47 draws it.
        insta::assert_snapshot!(draw("p:a q:b r:c s:a b:a c:a a:"), @r"
        * p
        | * q
        | | * r
        | | | * s
        | |_|/
        |/| |
        | * | b
        |/ /
        | * c
        |/
        * a
        ");
    }

    #[test]
    fn a_parent_that_never_comes_keeps_its_lane() {
        insta::assert_snapshot!(draw("c:x b:a a:"), @r"
        * c
        | * b
        | * a
        ");
    }
}
