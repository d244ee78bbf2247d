//! The files themselves: finding, reading and writing one, and what the system's errors mean.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use crate::{Object, ObjectKey, StoreError};

/// How the names of files begin that are not finished; a listing leaves them out.
pub(super) const TEMPORARY: &str = ".cicatrix-part-";

/// An existing folder, its path resolved.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    place: String,
}

impl Tree {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let place = path.display().to_string();
        let root = path.canonicalize().map_err(|error| refused(&place, "open", &error))?;
        if !root.is_dir() {
            let why = "it is no folder; give a folder or s3://bucket/prefix".to_owned();
            return Err(StoreError::Invalid { place, action: "open", why });
        }
        Ok(Self { root, place })
    }

    pub(super) fn create(path: &Path) -> Result<Self, StoreError> {
        let place = path.display().to_string();
        fs::create_dir_all(path).map_err(|error| refused(&place, "create", &error))?;
        let tree = Self::open(path)?;
        let probe = temporary_in(&tree.root).and_then(|(probe, _)| fs::remove_file(probe));
        probe.map_err(|error| tree.refused("write to", &error))?;
        Ok(tree)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        let mut entries = fs::read_dir(&self.root).map_err(|error| self.refused("list", &error))?;
        match entries.next() {
            Some(Err(error)) => Err(self.refused("list", &error)),
            _ => Ok(()),
        }
    }

    pub(super) fn read(&self, key: &ObjectKey, limit: u64) -> Result<Object, StoreError> {
        let path = self.find(key)?;
        let file = File::open(&path).map_err(|error| self.refused_object(key, &error))?;
        let before = file.metadata().map_err(|error| self.refused_object(key, &error))?;
        if before.len() > limit {
            return Err(StoreError::TooLarge {
                place: self.place.clone(),
                key: key.clone(),
                bytes: before.len(),
                limit,
            });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(0));
        let read = (&file).take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| self.refused_object(key, &error))?;
        let after = file.metadata().map_err(|error| self.refused_object(key, &error))?;
        if bytes.len() as u64 != after.len() || version(&before) != version(&after) {
            return Err(StoreError::Unavailable {
                place: self.place.clone(),
                action: "read",
                why: "a file changed while it was read".to_owned(),
            });
        }
        Ok(Object { bytes: Bytes::from(bytes), version: version(&after) })
    }

    /// The path of an object, once no part of it is a link.
    fn find(&self, key: &ObjectKey) -> Result<PathBuf, StoreError> {
        let mut path = self.root.clone();
        let mut is_file = false;
        for segment in key.segments() {
            path.push(segment);
            let found = fs::symlink_metadata(&path).map_err(|error| self.refused_object(key, &error))?;
            if found.is_symlink() {
                return Err(self.link());
            }
            is_file = found.is_file();
        }
        if !is_file {
            return Err(self.missing(key));
        }
        Ok(path)
    }

    pub(super) fn write(&self, key: &ObjectKey, bytes: &[u8]) -> Result<(), StoreError> {
        let folder = self.make_folders(key)?;
        let target = folder.join(key.file_name());
        let (temporary, file) = temporary_in(&folder).map_err(|error| self.refused("write to", &error))?;
        let written = fill(file, bytes).and_then(|()| fs::rename(&temporary, &target));
        written.map_err(|error| {
            // The first error is the one to tell; a file left behind is hidden and harmless.
            let _ = fs::remove_file(&temporary);
            self.refused("write to", &error)
        })
    }

    /// Makes the folders above an object one by one: a root that has gone away, such as an unplugged disk, is
    /// not made anew.
    fn make_folders(&self, key: &ObjectKey) -> Result<PathBuf, StoreError> {
        let mut folder = self.root.clone();
        let mut segments = key.segments();
        segments.next_back();
        for segment in segments {
            folder.push(segment);
            match fs::create_dir(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => self.is_folder(&folder)?,
                Err(error) => return Err(self.refused("write to", &error)),
            }
        }
        Ok(folder)
    }

    fn is_folder(&self, path: &Path) -> Result<(), StoreError> {
        let found = fs::symlink_metadata(path).map_err(|error| self.refused("write to", &error))?;
        if found.is_symlink() {
            return Err(self.link());
        }
        if !found.is_dir() {
            return Err(StoreError::Invalid {
                place: self.place.clone(),
                action: "write to",
                why: "a file stands where a folder is needed".to_owned(),
            });
        }
        Ok(())
    }

    pub(super) fn link(&self) -> StoreError {
        StoreError::Denied {
            place: self.place.clone(),
            action: "follow a link in",
            why: "it could lead out of the folder".to_owned(),
            advice: "put the file itself there, or open the folder that the link leads to",
        }
    }

    fn missing(&self, key: &ObjectKey) -> StoreError {
        StoreError::NotFound { place: self.place.clone(), key: key.clone() }
    }

    pub(super) fn refused(&self, action: &'static str, error: &io::Error) -> StoreError {
        refused(&self.place, action, error)
    }

    pub(super) fn refused_object(&self, key: &ObjectKey, error: &io::Error) -> StoreError {
        match error.kind() {
            // A name that this file system cannot have is a name that is not there.
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename => self.missing(key),
            _ => self.refused("read", error),
        }
    }
}

/// What an error of the system means for the person who has to act.
pub(super) fn refused(place: &str, action: &'static str, error: &io::Error) -> StoreError {
    let (place, why) = (place.to_owned(), error.to_string());
    match error.kind() {
        ErrorKind::NotFound => StoreError::NoSuchFolder { path: place },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            StoreError::Denied { place, action, why, advice: "give the user that runs this program the right to it" }
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            StoreError::Full { place, action, why }
        }
        ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::DirectoryNotEmpty
        | ErrorKind::AlreadyExists
        | ErrorKind::InvalidFilename
        | ErrorKind::InvalidInput => StoreError::Invalid { place, action, why },
        _ => StoreError::Unavailable { place, action, why },
    }
}

/// Size and time of change, opaque to everyone else.
pub(super) fn version(file: &Metadata) -> String {
    let changed = file.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    format!("{}-{}", file.len(), changed.unwrap_or_default().as_nanos())
}

/// A new file beside the target. Process and number keep it apart from those of others, also in containers
/// that share a disk and a process number.
fn temporary_in(folder: &Path) -> io::Result<(PathBuf, File)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{TEMPORARY}{}-{number}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// The content reaches the disk before the name does: what the ledger calls written survives a power cut.
fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_data()
}
