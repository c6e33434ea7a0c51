//! Failures of the store.

use dits_core::store::StoreError;

use super::CliError;
use crate::exit::Exit;

/// What to do about damage.
pub(super) const LOOK: &str = "run `dits fsck --full` to see what is damaged; `dits fsck --repair` saves what is good";

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let corrupt = error.is_corruption();
        match error {
            StoreError::Io(error) => error.into(),
            error @ StoreError::Absent { .. } => Self::usage(error.to_string()).hint("`dits fetch PATH` brings it"),
            error if corrupt => Self::new(Exit::Corruption, error.to_string()).hint(LOOK),
            error => Self::usage(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_exits_with_6_and_names_the_next_command() {
        let error = CliError::from(StoreError::Corrupt { file: "p.pack".into(), what: "bad checksum".to_owned() });
        assert_eq!(error.exit, Exit::Corruption);
        assert_eq!(error.message, "p.pack is damaged: bad checksum");
        assert!(error.hints[0].contains("dits fsck"));
    }
}
