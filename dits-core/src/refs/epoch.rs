//! Which life of the lock store the refs know (`docs/locks.md`): a line with a checksum, beside the refs.

use super::record;

/// The longest record, in bytes.
pub(super) const MAX_RECORD: usize = 512;
/// The longest name of an instance, in bytes.
pub const MAX_INSTANCE: usize = 256;

/// What fencing tokens are worth: those of another epoch, nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockEpoch {
    /// Only ever rises. 0 before any lock store was seen.
    pub number: u64,
    /// The instance of the lock store that was seen last; empty before. Printable, without spaces.
    pub instance: String,
}

impl LockEpoch {
    /// The one after this, for another instance.
    #[must_use]
    pub fn next(&self, instance: &str) -> Self {
        Self { number: self.number + 1, instance: instance.to_owned() }
    }

    /// Whether an instance's name can be written down.
    #[must_use]
    pub fn can_name(instance: &str) -> bool {
        (1..=MAX_INSTANCE).contains(&instance.len()) && instance.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

/// The line that stands for an epoch.
#[must_use]
pub fn encode(epoch: &LockEpoch) -> String {
    record::seal(&format!("epoch {} {}", epoch.number, epoch.instance))
}

/// Reads a line made by [`encode`], and nothing else.
///
/// # Errors
/// What is wrong with it.
pub fn decode(bytes: &[u8]) -> Result<LockEpoch, String> {
    let text = record::unseal(bytes)?;
    let fields = text.strip_prefix("epoch ").and_then(|rest| rest.split_once(' '));
    let (number, instance) = fields.ok_or("it does not start with `epoch`")?;
    let number = number.parse().map_err(|_| "its epoch is no number")?;
    let epoch = LockEpoch { number, instance: instance.to_owned() };
    match LockEpoch::can_name(instance) && encode(&epoch).as_bytes() == bytes {
        true => Ok(epoch),
        false => Err("it is not in canonical form".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_and_damage() {
        let epoch = LockEpoch { number: 3, instance: "c0ffee/master".to_owned() };
        let line = encode(&epoch);
        assert!(line.starts_with("epoch 3 c0ffee/master "), "{line}");
        assert_eq!(decode(line.as_bytes()).unwrap(), epoch);
        for at in 0..line.len() {
            assert!(decode(&line.as_bytes()[..at]).is_err());
        }
        for bad in ["epoch 03 x", "epoch 3 ", "epoch 3 a b", "epoch x y", "3 x"] {
            assert!(decode(record::seal(bad).as_bytes()).is_err(), "{bad}");
        }
    }
}
