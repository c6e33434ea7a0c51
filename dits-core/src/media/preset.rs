//! Which chunk sizes a file gets, by its type and size.

use super::file_type::{Family, FileType, PACKED, PROJECT, TEXT};

/// Up to this size, content that is not already compressed gets small chunks whatever it is.
const SMALL_FILE: u64 = 256 << 10;
/// Up to this size text gets small chunks; beyond, the list of chunks would cost more than it saves.
const SMALL_TEXT: u64 = 16 << 20;
/// Up to this size a project file gets the project preset.
const PROJECT_FILE: u64 = 64 << 20;

/// A named choice of chunk sizes (average in brackets).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preset {
    /// Whatever has no better preset (64 KiB).
    Default,
    /// Video streams and containers (64 KiB).
    Video,
    /// Project files, scenes and assets that are edited in place (8 KiB).
    Project,
    /// Text and small files (4 KiB).
    Small,
}

impl Preset {
    /// The name used in `.ditsattributes` and in output.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Default => "default",
            Preset::Video => "video",
            Preset::Project => "project",
            Preset::Small => "small",
        }
    }

    /// The preset called `name`, as [`Preset::name`] spells it.
    pub fn from_name(name: &str) -> Option<Self> {
        [Preset::Default, Preset::Video, Preset::Project, Preset::Small].into_iter().find(|p| p.name() == name)
    }
}

impl FileType {
    /// The preset for a file of this type and `size` bytes, part of the numbered table.
    ///
    /// Types that grow by editing (video, projects) do not depend on the small-file limit, so that a growing file is
    /// not chunked anew when it crosses it. Small compressed files keep few, large chunks: nothing inside them is ever
    /// shared.
    pub fn preset(self, size: u64) -> Preset {
        if self.family() == Family::Video {
            Preset::Video
        } else if self.has(PROJECT) {
            if size <= PROJECT_FILE { Preset::Project } else { Preset::Default }
        } else if (self.has(TEXT) && size <= SMALL_TEXT) || (!self.has(PACKED) && size <= SMALL_FILE) {
            Preset::Small
        } else {
            Preset::Default
        }
    }
}
