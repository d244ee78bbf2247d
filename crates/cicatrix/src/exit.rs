//! Exit codes: part of the contract with scripts.

use std::io::Write;
use std::process::ExitCode;

use cicatrix_assess::ProtocolError;
use cicatrix_ledger::LedgerError;
use cicatrix_outcome::CalibrationError;
use cicatrix_store::{LayoutError, StoreError};

pub(crate) const DONE: u8 = 0;
pub(crate) const BUG: u8 = 1;
/// What was typed is no command.
pub(crate) const USAGE: u8 = 2;
/// Done; some photos need a retake.
pub(crate) const RETAKES: u8 = 10;
/// Done; some files were quarantined.
pub(crate) const QUARANTINED: u8 = 11;
/// The deadline came before the end.
pub(crate) const LATE: u8 = 12;
pub(crate) const BAD_INPUT: u8 = 65;
pub(crate) const UNAVAILABLE: u8 = 69;
pub(crate) const DISK: u8 = 74;
pub(crate) const TRY_AGAIN: u8 = 75;
pub(crate) const NOT_PERMITTED: u8 = 77;
pub(crate) const BAD_CONFIG: u8 = 78;
/// Interrupted; run again to go on.
pub(crate) const INTERRUPTED: u8 = 130;

/// What a person typed or configured is wrong, in words.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) code: u8,
    pub(crate) text: String,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Wrong {}

pub(crate) fn bad_input(text: impl Into<String>) -> anyhow::Error {
    Wrong { code: BAD_INPUT, text: text.into() }.into()
}

pub(crate) fn bad_usage(text: impl Into<String>) -> anyhow::Error {
    Wrong { code: USAGE, text: text.into() }.into()
}

pub(crate) fn bad_config(text: impl Into<String>) -> anyhow::Error {
    Wrong { code: BAD_CONFIG, text: text.into() }.into()
}

/// Prints an error with its causes, as JSON for machines, and gives its code.
pub(crate) fn of_error(error: &anyhow::Error, json: bool) -> ExitCode {
    let code = error.chain().find_map(code).unwrap_or(BUG);
    let line = if json {
        serde_json::json!({ "error": format!("{error:#}"), "exit_code": code }).to_string()
    } else {
        format!("error: {error:#}")
    };
    let _ = writeln!(std::io::stderr(), "{line}");
    ExitCode::from(code)
}

/// A pixel process speaks to its parent alone; a broken pipe means that the parent is gone.
pub(crate) fn of_pixel(result: std::io::Result<()>) -> ExitCode {
    ExitCode::from(if result.is_ok() { DONE } else { BUG })
}

fn code(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if let Some(wrong) = cause.downcast_ref::<Wrong>() {
        return Some(wrong.code);
    }
    if let Some(error) = cause.downcast_ref::<StoreError>() {
        return Some(match error {
            StoreError::Denied { .. } => NOT_PERMITTED,
            StoreError::Unavailable { .. } => UNAVAILABLE,
            StoreError::Full { .. } => DISK,
            _ => BAD_INPUT,
        });
    }
    if let Some(error) = cause.downcast_ref::<LedgerError>() {
        return Some(of_ledger(error));
    }
    if cause.is::<ProtocolError>() || cause.is::<CalibrationError>() || cause.is::<LayoutError>() {
        return Some(BAD_CONFIG);
    }
    cause.downcast_ref::<std::io::Error>().and_then(of_io)
}

fn of_ledger(error: &LedgerError) -> u8 {
    match error {
        LedgerError::Unavailable(_) => UNAVAILABLE,
        LedgerError::Locked(_) => TRY_AGAIN,
        LedgerError::Full(_) => DISK,
        LedgerError::ReadOnly(_) => NOT_PERMITTED,
        LedgerError::Corrupt(_)
        | LedgerError::Schema { .. }
        | LedgerError::NoSuchRun(_)
        | LedgerError::NoSuchClinic(_)
        | LedgerError::NoSuchSession { .. }
        | LedgerError::NoSuchSource { .. }
        | LedgerError::OtherSource { .. } => BAD_INPUT,
        LedgerError::Unsupported(_) => BAD_CONFIG,
        LedgerError::Output(error) => of_io(error).unwrap_or(BUG),
        _ => BUG,
    }
}

fn of_io(error: &std::io::Error) -> Option<u8> {
    use std::io::ErrorKind::*;
    match error.kind() {
        PermissionDenied | ReadOnlyFilesystem => Some(NOT_PERMITTED),
        StorageFull | QuotaExceeded | FileTooLarge => Some(DISK),
        NotFound | NotADirectory | IsADirectory => Some(BAD_INPUT),
        _ => None,
    }
}
