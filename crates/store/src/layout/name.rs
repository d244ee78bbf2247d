//! The last part of a key: `<view>.<shot>.<extension>`.

use cicatrix_model::View;

/// What photos may be called. Whether the content is what the name says, the pixel process finds out.
const PHOTO: [&str; 7] = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "heic"];

/// Pictures that are not read. Meeting one is worth telling: somebody expects it to be measured.
const OTHER_PICTURE: [&str; 14] =
    ["arw", "avif", "bmp", "cr2", "cr3", "dng", "gif", "heif", "jp2", "jxl", "nef", "orf", "raf", "rw2"];

pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const SESSIONS: &str = "sessions.csv";

/// A file name by its extension.
#[derive(Debug, PartialEq)]
pub(super) enum Name<'k> {
    Photo {
        stem: &'k str,
        extension: String,
    },
    /// A picture of a kind that is not read.
    OtherPicture {
        extension: String,
    },
    Unrelated,
}

impl<'k> Name<'k> {
    pub(super) fn of(name: &'k str) -> Self {
        let Some((stem, extension)) = name.rsplit_once('.') else {
            return Name::Unrelated;
        };
        let extension = extension.to_ascii_lowercase();
        if PHOTO.contains(&extension.as_str()) {
            return Name::Photo { stem, extension };
        }
        if OTHER_PICTURE.contains(&extension.as_str()) {
            return Name::OtherPicture { extension };
        }
        Name::Unrelated
    }
}

pub(super) fn is_photo_extension(text: &str) -> bool {
    PHOTO.iter().any(|known| known.eq_ignore_ascii_case(text))
}

pub(super) fn not_read(extension: &str) -> String {
    format!("'.{extension}' is not read: export the photo as JPEG, PNG, WebP or TIFF")
}

/// Reads `closeup.left_cheek.2` or, for the first shot, `closeup.left_cheek`: a view has a dot of its own.
pub(super) fn view_and_shot(stem: &str) -> Result<(View, u16), String> {
    if let Some((before, number)) = stem.rsplit_once('.')
        && let Ok(view) = before.parse::<View>()
        && number.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Ok((view, shot(number)?));
    }
    match stem.parse::<View>() {
        Ok(view) => Ok((view, 1)),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn shot(text: &str) -> Result<u16, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(number) if digits && number > 0 => Ok(number),
        _ => Err("a shot is a number from 1 to 65535".to_owned()),
    }
}
