//! What was asked of dits, and what was found.

use std::fmt::Write;

use serde_json::{Value, json};

/// A number, and the bound it was to keep.
pub struct Promise {
    pub what: String,
    pub found: f64,
    pub unit: &'static str,
    pub bound: Bound,
}

#[derive(Clone, Copy)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// For information.
    None,
}

impl Promise {
    fn asked(&self) -> String {
        match self.bound {
            Bound::AtLeast(least) => format!("≥ {least}"),
            Bound::AtMost(most) => format!("≤ {most}"),
            Bound::None => String::new(),
        }
    }

    pub fn kept(&self) -> Option<bool> {
        match self.bound {
            Bound::AtLeast(least) => Some(self.found >= least),
            Bound::AtMost(most) => Some(self.found <= most),
            Bound::None => None,
        }
    }
}

pub fn table(promises: &[Promise]) -> String {
    let mut text = "\n## Asked and found\n\n| what | found | | asked | kept |\n|---|--:|---|---|---|\n".to_owned();
    for promise in promises {
        let kept = promise.kept().map_or("", |kept| if kept { "yes" } else { "**no**" });
        let (what, found, unit, asked) = (&promise.what, promise.found, promise.unit, promise.asked());
        let _ = writeln!(text, "| {what} | {found:.3} | {unit} | {asked} | {kept} |");
    }
    text
}

pub fn numbers(promises: &[Promise]) -> Value {
    let one =
        |p: &Promise| json!({"what": p.what, "found": p.found, "unit": p.unit, "asked": p.asked(), "kept": p.kept()});
    promises.iter().map(one).collect()
}
