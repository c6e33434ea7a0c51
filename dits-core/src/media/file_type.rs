//! The file types of the detection table and what is known of each.

/// The number of the detection table: which bytes mean which type, and which type and size mean which preset.
///
/// A repository records the number it was made with. Any change of [`detect()`](super::detect()) or
/// [`FileType::preset`] that gives some file another preset needs a new number, and leaves existing repositories alone.
pub const TABLE_VERSION: u32 = 1;

/// What a file type is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Moving pictures.
    Video,
    /// Sound.
    Audio,
    /// Still pictures.
    Image,
    /// 3D scenes, meshes and caches.
    Scene,
    /// Assets of game engines.
    Game,
    /// Project files of editing programs.
    Project,
    /// Archives and compressed streams.
    Archive,
    /// Documents, markup and databases.
    Document,
    /// Plain text.
    Text,
    /// Executables and libraries.
    Program,
    /// Nothing known.
    Unknown,
}

/// zstd does not pay on it.
pub(super) const PACKED: u8 = 1;
/// Cannot be merged, so it is locked before it is edited.
pub(super) const LOCK: u8 = 2;
/// Lines of text.
pub(super) const TEXT: u8 = 4;
/// Gets the project preset.
pub(super) const PROJECT: u8 = 8;

struct Row {
    name: &'static str,
    description: &'static str,
    family: Family,
    flags: u8,
}

macro_rules! file_types {
    ($($variant:ident $name:literal $description:literal $family:ident $flags:expr;)*) => {
        /// What a file is, as its content tells.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum FileType {
            $(#[doc = concat!($description, ".")] $variant,)*
        }

        impl FileType {
            /// Every type of the table.
            pub const ALL: &[FileType] = &[$(FileType::$variant,)*];

            fn row(self) -> Row {
                match self {
                    $(FileType::$variant => Row {
                        name: $name, description: $description, family: Family::$family, flags: $flags,
                    },)*
                }
            }
        }
    };
}

file_types! {
    Mp4 "mp4" "MPEG-4 video" Video PACKED;
    Mov "mov" "QuickTime movie" Video 0;
    Mkv "mkv" "Matroska video" Video PACKED;
    Webm "webm" "WebM video" Video PACKED;
    Avi "avi" "AVI video" Video 0;
    Mxf "mxf" "MXF video" Video 0;
    MpegTs "mpeg-ts" "MPEG transport stream" Video PACKED;
    MpegPs "mpeg-ps" "MPEG program stream" Video PACKED;
    Flv "flv" "Flash video" Video PACKED;
    Asf "asf" "Windows Media (ASF)" Video PACKED;
    R3d "r3d" "RED camera raw video" Video PACKED;
    Braw "braw" "Blackmagic RAW video" Video PACKED;
    Dv "dv" "DV video" Video PACKED;

    Wav "wav" "WAVE audio" Audio 0;
    Bwf "bwf" "Broadcast WAVE audio" Audio 0;
    Rf64 "rf64" "WAVE audio with 64-bit sizes" Audio 0;
    Aiff "aiff" "AIFF audio" Audio 0;
    Caf "caf" "Core Audio file" Audio 0;
    Flac "flac" "FLAC audio" Audio PACKED;
    Mp3 "mp3" "MP3 audio" Audio PACKED;
    Ogg "ogg" "Ogg media" Audio PACKED;
    Aac "aac" "AAC audio (ADTS)" Audio PACKED;
    M4a "m4a" "MPEG-4 audio" Audio PACKED;
    Midi "midi" "MIDI music" Audio 0;

    Png "png" "PNG image" Image PACKED;
    Jpeg "jpeg" "JPEG image" Image PACKED;
    Gif "gif" "GIF image" Image PACKED;
    Tiff "tiff" "TIFF image" Image 0;
    Dng "dng" "DNG camera raw" Image 0;
    Cr2 "cr2" "Canon raw (CR2)" Image PACKED;
    Cr3 "cr3" "Canon raw (CR3)" Image PACKED;
    Nef "nef" "Nikon raw" Image 0;
    Arw "arw" "Sony raw" Image 0;
    CameraRaw "camera-raw" "Camera raw (Fujifilm, Olympus, Panasonic)" Image 0;
    Exr "exr" "OpenEXR image" Image 0;
    Dpx "dpx" "DPX image" Image 0;
    Cineon "cineon" "Cineon image" Image 0;
    Hdr "hdr" "Radiance HDR image" Image 0;
    Psd "psd" "Photoshop document" Image LOCK;
    Psb "psb" "Photoshop large document" Image LOCK;
    Xcf "xcf" "GIMP image" Image LOCK;
    Webp "webp" "WebP image" Image PACKED;
    Heic "heic" "HEIF image" Image PACKED;
    Avif "avif" "AVIF image" Image PACKED;
    Jp2 "jp2" "JPEG 2000 image" Image PACKED;
    Jxl "jxl" "JPEG XL image" Image PACKED;
    Bmp "bmp" "BMP image" Image 0;
    Dds "dds" "DirectDraw texture" Image 0;
    Ktx "ktx" "Khronos texture" Image 0;
    Svg "svg" "SVG drawing" Image TEXT;

    Blend "blend" "Blender scene" Scene LOCK | PROJECT;
    FbxBinary "fbx" "FBX scene (binary)" Scene LOCK | PROJECT;
    FbxAscii "fbx-ascii" "FBX scene (text)" Scene LOCK | TEXT | PROJECT;
    Glb "glb" "glTF scene (binary)" Scene LOCK;
    Usdc "usdc" "USD scene (binary)" Scene LOCK | PROJECT;
    Usda "usda" "USD scene (text)" Scene TEXT;
    Usdz "usdz" "USD package" Scene LOCK;
    Alembic "alembic" "Alembic cache (Ogawa)" Scene LOCK;
    Hdf5 "hdf5" "HDF5 (Alembic, Substance)" Scene LOCK;
    Vdb "vdb" "OpenVDB volume" Scene LOCK;
    StlBinary "stl" "STL mesh (binary)" Scene LOCK;
    StlAscii "stl-ascii" "STL mesh (text)" Scene TEXT;
    Ply "ply" "PLY mesh" Scene LOCK;
    MayaBinary "maya" "Maya scene (binary)" Scene LOCK | PROJECT;
    MayaAscii "maya-ascii" "Maya scene (text)" Scene LOCK | TEXT | PROJECT;
    Cinema4d "c4d" "Cinema 4D scene" Scene LOCK | PROJECT;

    Unreal "unreal" "Unreal asset or map" Game LOCK | PROJECT;
    UnityYaml "unity-yaml" "Unity asset (text)" Game LOCK | TEXT | PROJECT;
    UnityBundle "unity-bundle" "Unity asset bundle" Game LOCK | PACKED;

    AfterEffects "aep" "After Effects project" Project LOCK | PROJECT;
    PremiereXml "premiere-xml" "Premiere project (uncompressed)" Project LOCK | TEXT | PROJECT;
    Fcpxml "fcpxml" "Final Cut Pro XML" Project LOCK | TEXT | PROJECT;
    Xmeml "xmeml" "Final Cut 7 XML" Project LOCK | TEXT | PROJECT;
    Otio "otio" "OpenTimelineIO timeline" Project LOCK | TEXT | PROJECT;
    AvidBin "avid-bin" "Avid bin" Project LOCK | PROJECT;
    ProTools "pro-tools" "Pro Tools session" Project LOCK | PROJECT;
    Reaper "reaper" "Reaper project" Project LOCK | TEXT | PROJECT;
    Nuke "nuke" "Nuke script" Project LOCK | TEXT | PROJECT;
    InDesign "indesign" "InDesign document" Project LOCK | PROJECT;
    Affinity "affinity" "Affinity document" Project LOCK | PROJECT;
    Krita "krita" "Krita document" Project LOCK;
    Ole2 "ole2" "OLE compound file (AAF, 3ds Max, Office)" Project LOCK | PROJECT;

    Gzip "gzip" "gzip data" Archive PACKED;
    Zip "zip" "zip archive" Archive PACKED;
    Zstd "zstd" "Zstandard data" Archive PACKED;
    Xz "xz" "xz data" Archive PACKED;
    Bzip2 "bzip2" "bzip2 data" Archive PACKED;
    Lz4 "lz4" "LZ4 data" Archive PACKED;
    SevenZip "7z" "7-Zip archive" Archive PACKED;
    Rar "rar" "RAR archive" Archive PACKED;
    Tar "tar" "tar archive" Archive 0;

    Pdf "pdf" "PDF document" Document PACKED;
    PostScript "postscript" "PostScript document" Document TEXT;
    Xml "xml" "XML document" Document TEXT | PROJECT;
    Html "html" "HTML document" Document TEXT;
    Json "json" "JSON document" Document TEXT;
    Rtf "rtf" "Rich text document" Document TEXT;
    Sqlite "sqlite" "SQLite database" Document LOCK | PROJECT;
    Font "font" "Font" Document 0;
    WebFont "web-font" "Web font" Document PACKED;

    Text "text" "Text" Text TEXT;
    Utf16 "text-utf16" "Text (UTF-16)" Text TEXT;

    Elf "elf" "ELF program" Program 0;
    Pe "pe" "Windows program" Program 0;
    MachO "mach-o" "macOS program" Program 0;
    Wasm "wasm" "WebAssembly module" Program 0;

    Empty "empty" "Empty file" Unknown 0;
    Binary "binary" "Unknown binary data" Unknown 0;
}

impl FileType {
    /// A short stable token, such as `mp4`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The type called `name`, as [`FileType::name`] spells it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|t| t.name() == name)
    }

    /// What people call it.
    pub fn description(self) -> &'static str {
        self.row().description
    }

    /// What it is for.
    pub fn family(self) -> Family {
        self.row().family
    }

    /// Whether the content is lines of text that a line-by-line comparison can show.
    pub fn is_text(self) -> bool {
        self.has(TEXT)
    }

    /// Whether the content is compressed already, so that trying zstd is a waste.
    ///
    /// Containers that may hold uncompressed streams (mov, avi, mxf, tiff) say no: the entropy probe decides there.
    pub fn is_precompressed(self) -> bool {
        self.has(PACKED)
    }

    /// Whether a file of this type is lockable when `.ditsattributes` says nothing: editing it on two branches cannot
    /// be merged.
    pub fn lockable_by_default(self) -> bool {
        self.has(LOCK)
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.row().flags & flag != 0
    }
}
