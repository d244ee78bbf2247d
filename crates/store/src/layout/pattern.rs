//! A layout that a clinic writes itself: literals and fields.
//!
//! The matcher is a small backtracking one: a field tries the shortest text up to the next literal first, and
//! a longer one if the rest does not fit. A field only ever takes text that it can mean (an id of at most 64
//! characters, a date, a view), so a hostile key cannot make it try long.

use std::str::FromStr;

use cicatrix_model::{ClinicId, PatientId, SessionKey, View};

use super::name::{MANIFEST, Name, SESSIONS, is_photo_extension, not_read, shot, view_and_shot};
use super::{Entry, PhotoAddress, SessionAddress, is_ours};
use crate::ObjectKey;

/// Why a text is no layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    #[error("the layout has an unpaired '{{' or '}}'")]
    Braces,
    #[error("'{{{0}}}' is no field: use clinic, patient, session, view, shot, ext")]
    UnknownField(String),
    #[error("the layout needs some text between '{{{0}}}' and the field before it")]
    Adjacent(&'static str),
    #[error("the layout needs the field '{{{0}}}'")]
    Missing(&'static str),
    #[error("the layout has no '{{clinic}}': add it, or name the clinic with --clinic")]
    NoClinic,
    #[error("the layout begins with '/': write it relative to the folder or prefix")]
    Absolute,
    #[error("the layout must end in '{{ext}}' or in the extension of a photo, such as '.jpg'")]
    Extension,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(String),
    Field(Field),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Clinic,
    Patient,
    Session,
    View,
    Shot,
    Ext,
}

impl Field {
    const ALL: [Field; 6] = [Field::Clinic, Field::Patient, Field::Session, Field::View, Field::Shot, Field::Ext];

    fn name(self) -> &'static str {
        match self {
            Field::Clinic => "clinic",
            Field::Patient => "patient",
            Field::Session => "session",
            Field::View => "view",
            Field::Shot => "shot",
            Field::Ext => "ext",
        }
    }
}

impl FromStr for Field {
    type Err = LayoutError;
    fn from_str(text: &str) -> Result<Self, LayoutError> {
        let known = Field::ALL.into_iter().find(|field| field.name() == text);
        known.ok_or_else(|| LayoutError::UnknownField(text.to_owned()))
    }
}

#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    tokens: Vec<Token>,
    /// The part up to the last '/', if it tells one session from another: there a manifest may lie.
    session_folder: Option<Vec<Token>>,
    default_clinic: Option<ClinicId>,
}

impl Pattern {
    pub(super) fn parse(text: &str, default_clinic: Option<ClinicId>) -> Result<Self, LayoutError> {
        let tokens = tokens(text)?;
        if text.starts_with('/') {
            return Err(LayoutError::Absolute);
        }
        for needed in [Field::Patient, Field::Session, Field::View] {
            if !has(&tokens, needed) {
                return Err(LayoutError::Missing(needed.name()));
            }
        }
        if default_clinic.is_none() && !has(&tokens, Field::Clinic) {
            return Err(LayoutError::NoClinic);
        }
        let ends_well = match tokens.last() {
            Some(Token::Field(field)) => *field == Field::Ext,
            Some(Token::Literal(end)) => matches!(Name::of(end), Name::Photo { .. }),
            None => false,
        };
        if !ends_well {
            return Err(LayoutError::Extension);
        }
        let session_folder = session_folder(&tokens);
        Ok(Self { text: text.to_owned(), tokens, session_folder, default_clinic })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn classify(&self, key: &ObjectKey) -> Entry {
        let mut folders = key.segments();
        let name = folders.next_back().unwrap_or_default();
        if folders.next().is_some_and(is_ours) {
            return Entry::Other;
        }
        match Name::of(name) {
            Name::Photo { extension, .. } => match self.photo(key, extension) {
                Some(photo) => Entry::Photo(photo),
                None => self.bad(key, format!("it does not follow the layout '{}'", self.text)),
            },
            Name::OtherPicture { extension } => self.bad(key, not_read(&extension)),
            Name::Unrelated if name == MANIFEST => self.beside(key).map_or(Entry::Other, Entry::Manifest),
            Name::Unrelated if key.as_str() == SESSIONS => Entry::SessionsCsv,
            Name::Unrelated => Entry::Other,
        }
    }

    fn photo(&self, key: &ObjectKey, extension: String) -> Option<PhotoAddress> {
        let found = Matcher::of(&self.tokens).find(&self.tokens, key.as_str(), Found::default())?;
        let session = self.session(&found)?;
        let view = found.text(Field::View)?;
        let (view, shot) = match found.text(Field::Shot) {
            Some(number) => (view.parse::<View>().ok()?, shot(number).ok()?),
            None => view_and_shot(view).ok()?,
        };
        Some(PhotoAddress { session, view, shot, extension })
    }

    fn bad(&self, key: &ObjectKey, why: String) -> Entry {
        Entry::Bad { why, session: self.beside(key) }
    }

    /// The session that the object's folder is of.
    fn beside(&self, key: &ObjectKey) -> Option<SessionAddress> {
        let tokens = self.session_folder.as_deref()?;
        let folder = key.parent()?;
        let found = Matcher::of(tokens).find(tokens, folder.as_str(), Found::default())?;
        self.session(&found)
    }

    fn session(&self, found: &Found<'_>) -> Option<SessionAddress> {
        let clinic = match found.text(Field::Clinic) {
            Some(text) => ClinicId::new(text).ok()?,
            None => self.default_clinic.clone()?,
        };
        Some(SessionAddress {
            clinic,
            patient: PatientId::new(found.text(Field::Patient)?).ok()?,
            session: found.text(Field::Session)?.parse().ok()?,
        })
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, LayoutError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (literal, brace) = rest.split_at(at);
        let inside = brace.strip_prefix('{').ok_or(LayoutError::Braces)?;
        let (name, behind) = inside.split_once('}').ok_or(LayoutError::Braces)?;
        let field: Field = name.parse()?;
        if !literal.is_empty() {
            tokens.push(Token::Literal(literal.to_owned()));
        } else if !tokens.is_empty() {
            return Err(LayoutError::Adjacent(field.name()));
        }
        tokens.push(Token::Field(field));
        rest = behind;
    }
    if !rest.is_empty() {
        tokens.push(Token::Literal(rest.to_owned()));
    }
    Ok(tokens)
}

fn has(tokens: &[Token], field: Field) -> bool {
    tokens.contains(&Token::Field(field))
}

fn session_folder(tokens: &[Token]) -> Option<Vec<Token>> {
    let splits = |token: &Token| matches!(token, Token::Literal(text) if text.contains('/'));
    let at = tokens.iter().rposition(splits)?;
    let mut folder = tokens[..at].to_vec();
    if let Token::Literal(text) = &tokens[at]
        && let Some((before, _)) = text.rsplit_once('/')
        && !before.is_empty()
    {
        folder.push(Token::Literal(before.to_owned()));
    }
    let clinic_is_told = has(&folder, Field::Clinic) || !has(tokens, Field::Clinic);
    let told = has(&folder, Field::Patient) && has(&folder, Field::Session) && clinic_is_told;
    told.then_some(folder)
}

/// The text of each field so far.
#[derive(Debug, Clone, Copy, Default)]
struct Found<'k>([Option<&'k str>; 6]);

impl<'k> Found<'k> {
    fn text(&self, field: Field) -> Option<&'k str> {
        self.0[field as usize]
    }

    fn with(mut self, field: Field, text: &'k str) -> Self {
        self.0[field as usize] = Some(text);
        self
    }
}

#[derive(Debug, Clone, Copy)]
struct Matcher {
    shot_apart: bool,
}

impl Matcher {
    fn of(tokens: &[Token]) -> Self {
        Self { shot_apart: has(tokens, Field::Shot) }
    }

    fn find<'k>(self, tokens: &[Token], text: &'k str, found: Found<'k>) -> Option<Found<'k>> {
        let Some((first, rest)) = tokens.split_first() else {
            return text.is_empty().then_some(found);
        };
        let field = match first {
            Token::Literal(literal) => {
                return self.find(rest, text.strip_prefix(literal.as_str())?, found);
            }
            Token::Field(field) => *field,
        };
        let next = match rest.first() {
            Some(Token::Literal(literal)) => Some(literal.as_str()),
            // Two fields in a row were refused, so this is the end.
            _ => None,
        };
        ends(text, next).find_map(|end| {
            let (value, behind) = text.split_at(end);
            if !self.fits(field, value, &found) {
                return None;
            }
            self.find(rest, behind, found.with(field, value))
        })
    }

    fn fits(self, field: Field, text: &str, found: &Found<'_>) -> bool {
        if let Some(before) = found.text(field) {
            return before == text;
        }
        match field {
            Field::Clinic => ClinicId::new(text).is_ok(),
            Field::Patient => PatientId::new(text).is_ok(),
            Field::Session => text.parse::<SessionKey>().is_ok(),
            Field::View if self.shot_apart => text.parse::<View>().is_ok(),
            Field::View => view_and_shot(text).is_ok(),
            Field::Shot => shot(text).is_ok(),
            Field::Ext => is_photo_extension(text),
        }
    }
}

/// Where a field that begins `text` may end, shortest first: before each `next`, or at the very end.
fn ends<'t>(text: &'t str, next: Option<&'t str>) -> impl Iterator<Item = usize> + 't {
    let reach = text.find('/').unwrap_or(text.len());
    let inner = text.char_indices().map(|(at, _)| at).take_while(move |&at| at <= reach);
    let before_next = inner.filter(move |&at| next.is_some_and(|next| text[at..].starts_with(next)));
    let very_end = (next.is_none() && reach == text.len()).then_some(text.len());
    before_next.chain(very_end)
}
