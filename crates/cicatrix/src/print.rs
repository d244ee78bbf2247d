//! What people read on stdout: plain tables, as wide as they need.

use std::io::{self, Write};

/// Prints lines; a closed pipe (`| head`) is no error.
pub(crate) fn out(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// A text that came from outside, made harmless for a terminal: control and format characters are escaped.
pub(crate) fn plain(text: &str) -> String {
    let is_hidden = |c: char| c.is_control() || is_format(c);
    text.chars().flat_map(|c| if is_hidden(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Characters that print nothing and change how others look, such as U+202E, which turns a name round.
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A word as it is typed into a shell.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", plain(word).replace('\'', r"'\''"))
}

/// A table with a header; numbers stand to the right.
pub(crate) struct TextTable {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl TextTable {
    pub(crate) fn new(header: &[&'static str]) -> Self {
        Self { header: header.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row.iter().map(|cell| plain(cell)).collect());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl std::fmt::Display for TextTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |i: usize| {
            let cells = self.rows.iter().map(|r| r[i].chars().count());
            cells.chain([self.header[i].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let header: Vec<String> = self.header.iter().map(|h| (*h).to_owned()).collect();
        let numeric: Vec<bool> = (0..widths.len()).map(|i| self.rows.iter().all(|r| is_number(&r[i]))).collect();
        for row in std::iter::once(&header).chain(&self.rows) {
            let cells = row.iter().enumerate().map(|(i, cell)| {
                if numeric[i] { format!("{cell:>w$}", w = widths[i]) } else { format!("{cell:<w$}", w = widths[i]) }
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

fn is_number(cell: &str) -> bool {
    cell.is_empty()
        || cell == "–"
        || cell.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '−' | '['))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_turn_or_hide_text_is_escaped() {
        assert_eq!(plain("a\u{202e}gpj\u{1b}\u{200b}"), "a\\u{202e}gpj\\u{1b}\\u{200b}");
        assert_eq!(plain("Wange links, größer – 1.jpg"), "Wange links, größer – 1.jpg");
    }

    #[test]
    fn a_path_with_spaces_is_typed_in_quotes() {
        assert_eq!(quoted("sqlite://a/b-1.db"), "sqlite://a/b-1.db");
        assert_eq!(quoted("sqlite://my photos/c.db"), "'sqlite://my photos/c.db'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
