//! What was asked of sharing, and what was found: ratios of what was measured in the same rounds.

use super::marks::{CARRIERS, TLS};
use super::road::LINK_MBIT;
use super::{Change, Step};
use crate::bench::measure::Cost;
use crate::bench::promise::{Bound, Promise};
use crate::bench::report::{Measured, median};

/// Those that the measurements tell something about.
pub fn of(measured: &Measured) -> Vec<Promise> {
    let mut found = Vec::new();
    for (workload, bytes) in &measured.sizes {
        let looked = Looked { measured, workload, bytes: *bytes as f64 };
        match workload.as_str() {
            "link" | "link-all" => looked.link(&mut found),
            // It is cut into the smallest chunks for their number's sake: its first push is no measure of speed.
            "large" => looked.changes(&mut found),
            _ => {
                looked.speeds(&mut found);
                looked.changes(&mut found);
            }
        }
    }
    found
}

/// One workload.
struct Looked<'a> {
    measured: &'a Measured,
    workload: &'a str,
    bytes: f64,
}

impl Looked<'_> {
    fn cost(&self, subject: &str, step: &str) -> Option<Cost> {
        let key = (self.workload.to_owned(), subject.to_owned(), step.to_owned());
        self.measured.samples.get(&key).map(|costs| median(costs))
    }

    fn promise(&self, what: &str, found: f64, unit: &'static str, bound: Bound) -> Promise {
        Promise { what: format!("{}: {what}", self.workload), found, unit, bound }
    }

    /// Speeds as shares of others' speeds, and the processor's share in them.
    fn speeds(&self, found: &mut Vec<Promise>) {
        let mut speed = |[subject, step]: [&str; 2], [peer, at]: [&str; 2], bound| {
            if let (Some(ours), Some(theirs)) = (self.cost(subject, step), self.cost(peer, at)) {
                let what = format!("speed of {subject} ({step}) to that of {peer}");
                found.push(self.promise(&what, theirs.wall / ours.wall, "", bound));
            }
        };
        speed([CARRIERS[1], "push"], [TLS, "push"], Bound::AtLeast(0.9));
        speed([CARRIERS[0], "push"], [TLS, "push"], Bound::None);
        for step in ["push", "clone"] {
            for peer in [TLS, "rsync", "rsync-fsync", "rclone"] {
                let at = if peer == TLS { "push" } else { step };
                speed(["dits-tls", step], [peer, at], Bound::AtLeast(0.9));
            }
        }
        for (subject, step) in
            [(CARRIERS[0], "push"), (CARRIERS[1], "push"), (TLS, "push"), ("dits", "push"), ("dits-tls", "push")]
                .into_iter()
                .chain([("dits", "clone"), ("dits-tls", "clone")])
        {
            if let Some(cost) = self.cost(subject, step) {
                let each = (cost.cpu + cost.server_cpu) / (self.bytes / 1e9);
                found.push(self.promise(&format!("{subject} ({step}), both ends"), each, "CPU s/GB", Bound::None));
            }
        }
    }

    /// What a change costs; that a renamed file sends no content is checked where it is measured.
    fn changes(&self, found: &mut Vec<Promise>) {
        let mut changed = vec![Step::PullNothing];
        for change in [Change::Insert, Change::Edit, Change::Rename] {
            changed.extend([Step::PushChange(change), Step::PullChange(change)]);
        }
        for step in changed {
            let Some(cost) = self.cost("dits", &step.name()) else { continue };
            let asked = matches!(step, Step::PushChange(Change::Insert) | Step::PullChange(Change::Insert));
            let bound = |most| if asked { Bound::AtMost(most) } else { Bound::None };
            found.push(self.promise(&step.name(), cost.wire as f64 / 1e6, "MB on the wire", bound(1.0)));
            found.push(self.promise(&step.name(), cost.wall, "s", bound(3.0)));
            if let Some(lfs) = self.cost("git-lfs", &step.name()) {
                let what = format!("{}, git-lfs's seconds to those of dits", step.name());
                found.push(self.promise(&what, lfs.wall / cost.wall, "", Bound::None));
            }
        }
    }

    /// How full the long link is. Its rate is that of IP packets, headers included.
    fn link(&self, found: &mut Vec<Promise>) {
        let subjects = [CARRIERS[0], "dits", "dits-tls", "rsync"];
        for (subject, step) in subjects.into_iter().flat_map(|s| [(s, "push"), (s, "clone")]) {
            let Some(cost) = self.cost(subject, step) else { continue };
            // Short transfers are over before a link is full, and other tools are not ours to judge.
            let asked = self.workload == "link";
            let [least, most] = if asked { [Bound::AtLeast(80.0), Bound::AtMost(1.15)] } else { [Bound::None; 2] };
            let share = self.bytes * 8.0 / cost.wall / LINK_MBIT / 1e6 * 100.0;
            found.push(self.promise(&format!("{subject} ({step})"), share, "% of the link", least));
            let overhead = cost.wire as f64 / self.bytes;
            found.push(self.promise(&format!("{subject} ({step}), bytes both ways"), overhead, "x payload", most));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Samples, promise};

    #[test]
    fn what_is_not_kept_is_said() {
        let mut samples = Samples::new();
        for (subject, wall) in [("dits-tls", 2.0), ("rsync", 1.0), ("rclone", 4.0)] {
            let key = ("random".to_owned(), subject.to_owned(), "push".to_owned());
            samples.insert(key, vec![Cost { wall, ..Cost::default() }]);
        }
        let sizes = [("random".to_owned(), 1_000_000_000)].into();
        let promises = of(&Measured { samples, sizes, versions: Default::default() });
        let kept: Vec<_> = promises.iter().filter_map(|p| Some((p.found, p.kept()?))).collect();
        assert_eq!(kept, [(0.5, false), (2.0, true)]);
        assert!(promise::table(&promises).contains("| 0.500 |  | ≥ 0.9 | **no** |"));
    }
}
