//! The files of a tree in byte order of their keys, a page at a time.
//!
//! Key order is not folder order: `a.b` comes before `a/x`, for '.' sorts before '/'. A folder therefore
//! takes its place among its neighbours by its name with a '/' behind it, and then a walk that enters each
//! folder at its place is sorted as a whole. Memory: the names of the folders on the way down, not of the
//! tree.

use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec::IntoIter;

use tracing::debug;

use super::tree::{TEMPORARY, Tree, version};
use crate::{BadKey, Continuation, KeyError, ObjectInfo, ObjectKey, PAGE_LIMIT, Page, Problem, StoreError};

#[derive(Debug)]
pub(super) struct Walk {
    tree: Arc<Tree>,
    /// Keys up to and including this one are left out.
    after: String,
    levels: Vec<Level>,
}

/// A folder on the way down with what is left of it.
#[derive(Debug)]
struct Level {
    /// What the keys in it begin with: empty, or with '/' at its end.
    prefix: String,
    path: PathBuf,
    entries: IntoIter<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// With '/' at its end if it is a folder.
    name: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    File,
    Folder,
    Link,
    /// A file or folder whose name is not UTF-8; `name` only shows it.
    Nameless,
}

impl Walk {
    pub(super) fn begin(tree: &Arc<Tree>, after: String) -> Result<Self, StoreError> {
        let root = tree.root().to_path_buf();
        let entries = read(&root, &after).map_err(|error| tree.refused("list", &error))?;
        let level = Level { prefix: String::new(), path: root, entries };
        Ok(Self { tree: Arc::clone(tree), after, levels: vec![level] })
    }

    pub(super) fn page(&mut self) -> Page {
        let mut page = Page::default();
        while page.objects.len() + page.bad.len() < PAGE_LIMIT {
            let Some(level) = self.levels.last_mut() else {
                return page;
            };
            let Some(entry) = level.entries.next() else {
                self.levels.pop();
                continue;
            };
            let key = format!("{}{}", level.prefix, entry.name);
            let path = level.path.join(entry.name.trim_end_matches('/'));
            self.visit(entry.kind, key, path, &mut page);
        }
        page.next = last_key(&page).map(Continuation::after_text);
        page
    }

    fn visit(&mut self, kind: Kind, key: String, path: PathBuf, page: &mut Page) {
        match kind {
            Kind::File => self.add_file(key, &path, page),
            Kind::Folder => self.enter(key, path, page),
            Kind::Link => page.problems.push(Problem { place: key, error: self.tree.link() }),
            Kind::Nameless => page.bad.push(BadKey { key, why: KeyError::NotUtf8 }),
        }
    }

    fn add_file(&self, text: String, path: &Path, page: &mut Page) {
        let key = match ObjectKey::parse(&text) {
            Ok(key) => key,
            Err(why) => return page.bad.push(BadKey { key: text, why }),
        };
        match fs::symlink_metadata(path) {
            Ok(file) => {
                let (bytes, version) = (file.len(), version(&file));
                page.objects.push(ObjectInfo { key, bytes, version });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => debug!("a file went away while listing"),
            Err(error) => {
                let error = self.tree.refused("look at a file in", &error);
                page.problems.push(Problem { place: text, error });
            }
        }
    }

    fn enter(&mut self, prefix: String, path: PathBuf, page: &mut Page) {
        if prefix.len() > ObjectKey::MAX_BYTES {
            // Nothing below can have a valid key, and a hostile tree may be deep.
            let why = KeyError::TooLong(prefix.len());
            return page.bad.push(BadKey { key: prefix, why });
        }
        let after = self.after.strip_prefix(&prefix).unwrap_or_default();
        match read(&path, after) {
            Ok(entries) => self.levels.push(Level { prefix, path, entries }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                debug!("a folder went away while listing");
            }
            Err(error) => {
                let error = self.tree.refused("list a folder in", &error);
                page.problems.push(Problem { place: prefix, error });
            }
        }
    }
}

/// What a folder holds behind `after` (a key relative to it), in key order.
fn read(folder: &Path, after: &str) -> io::Result<IntoIter<Entry>> {
    let mut entries = Vec::new();
    for found in fs::read_dir(folder)? {
        let found = found?;
        let entry = match found.file_type() {
            Ok(kind) => Entry::new(&found.file_name(), kind),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        entries.extend(entry.filter(|entry| entry.is_behind(after)));
    }
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(entries.into_iter())
}

impl Entry {
    /// `None` for what is no object: unfinished files, sockets, devices, and hidden links (editors' locks).
    fn new(name: &OsStr, found: FileType) -> Option<Self> {
        let kind = if found.is_symlink() {
            Kind::Link
        } else if !found.is_dir() && !found.is_file() {
            return None;
        } else if name.to_str().is_none() {
            Kind::Nameless
        } else if found.is_dir() {
            Kind::Folder
        } else {
            Kind::File
        };
        let name = name.to_string_lossy();
        let unwanted = match kind {
            Kind::File => name.starts_with(TEMPORARY),
            Kind::Link => name.starts_with('.'),
            Kind::Folder | Kind::Nameless => false,
        };
        let slash = if matches!(kind, Kind::Folder) { "/" } else { "" };
        (!unwanted).then(|| Self { name: format!("{name}{slash}"), kind })
    }

    /// Whether it, or something in it, comes behind `after`.
    fn is_behind(&self, after: &str) -> bool {
        let may_hold_more = matches!(self.kind, Kind::Folder) && after.starts_with(&self.name);
        may_hold_more || self.name.as_str() > after
    }
}

/// The key that a page ended with. Both lists are sorted, so it is the greater of their ends.
fn last_key(page: &Page) -> Option<&str> {
    let object = page.objects.last().map(|object| object.key.as_str());
    let bad = page.bad.last().map(|bad| bad.key.as_str());
    object.max(bad)
}
