//! A selection from a list that both sides know, as lengths of runs.

use bincode::{Decode, Encode};

/// Lengths of stretches of a list, alternately not selected and selected, beginning with not. What follows the last
/// stretch is not selected. One bit an item at most would do for the worst case; runs are shorter wherever it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Runs(Vec<u32>);

impl Runs {
    /// The runs of a selection given item by item.
    pub fn of(selected: impl IntoIterator<Item = bool>) -> Self {
        let mut runs = vec![0];
        for item in selected {
            let in_selected = runs.len() % 2 == 0;
            if in_selected != item {
                runs.push(0);
            }
            if let Some(last) = runs.last_mut() {
                *last += 1;
            }
        }
        if runs.len() % 2 == 1 {
            runs.pop();
        }
        Self(runs)
    }

    /// The numbers of what is selected from a list of `len` items; fails when runs reach beyond it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn selected(&self, len: usize) -> Result<Vec<usize>, &'static str> {
        let total = self.0.iter().try_fold(0usize, |sum, run| sum.checked_add(*run as usize));
        if total.is_none_or(|total| total > len) {
            return Err("a selection that reaches beyond the list");
        }
        let mut at = 0;
        let mut selected = Vec::new();
        for (i, run) in self.0.iter().enumerate() {
            let end = at + *run as usize;
            if i % 2 == 1 {
                selected.extend(at..end);
            }
            at = end;
        }
        Ok(selected)
    }

    /// One selection has one encoding: only the first run may be empty, and the last is selected.
    pub(super) fn is_canonical(&self) -> bool {
        self.0.len().is_multiple_of(2) && self.0.iter().skip(1).all(|run| *run > 0)
    }

    /// Whether nothing is selected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().skip(1).step_by(2).all(|run| *run == 0)
    }
}
