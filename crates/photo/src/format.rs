use cicatrix_model::Reason;

use crate::Rejection;

#[cfg(feature = "heic")]
const ISO_MEDIA: &str = "of this family of files only HEIC is read: export the photo as JPEG";
#[cfg(not(feature = "heic"))]
const ISO_MEDIA: &str = "HEIC and AVIF are not read by this build: export the photo as JPEG";

/// File formats a photo may come in, told by their first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Jpeg,
    Png,
    WebP,
    Tiff,
    #[cfg(feature = "heic")]
    Heic,
}

impl Format {
    /// Tells the format by magic numbers; never by the name.
    pub fn sniff(bytes: &[u8]) -> Result<Self, Rejection> {
        match bytes {
            [] => Err(Rejection::new(Reason::Truncated, "the file is empty")),
            [0xff, 0xd8, 0xff, ..] => Ok(Format::Jpeg),
            [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Ok(Format::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Format::WebP),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Ok(Format::Tiff),
            #[cfg(feature = "heic")]
            _ if crate::heic::is_heic(bytes) => Ok(Format::Heic),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => Err(Rejection::new(Reason::FormatNotAllowed, ISO_MEDIA)),
            _ => Err(Rejection::new(Reason::FormatNotAllowed, "the content is neither JPEG, PNG, WebP nor TIFF")),
        }
    }

    /// The format that a file extension claims, if it claims one.
    pub fn of_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" => Some(Format::Jpeg),
            "png" => Some(Format::Png),
            "webp" => Some(Format::WebP),
            "tif" | "tiff" => Some(Format::Tiff),
            #[cfg(feature = "heic")]
            "heic" => Some(Format::Heic),
            _ => None,
        }
    }

    /// Whether the decoder turns the picture itself, so that EXIF's orientation must not turn it again.
    pub(crate) fn decodes_upright(self) -> bool {
        #[cfg(feature = "heic")]
        return self == Format::Heic;
        #[cfg(not(feature = "heic"))]
        false
    }

    /// Checks the content against the name's extension.
    pub fn sniff_as(bytes: &[u8], extension: &str) -> Result<Self, Rejection> {
        let found = Self::sniff(bytes);
        let Some(claimed) = Self::of_extension(extension) else { return found };
        match found {
            Ok(format) if format == claimed => Ok(format),
            Ok(format) => Err(Rejection::new(
                Reason::TypeMismatch,
                format!("the name says .{extension}, the content is {format:?}"),
            )),
            Err(rejection) if rejection.reason == Reason::Truncated => Err(rejection),
            Err(_) => Err(Rejection::new(
                Reason::TypeMismatch,
                format!("the name says .{extension}, the content is no picture of that kind"),
            )),
        }
    }
}
