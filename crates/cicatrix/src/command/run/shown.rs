//! Progress of a night on standard error.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use cicatrix_worker::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::Global;
use crate::print::plain;

/// A bar on a terminal, a line now and then elsewhere.
pub(super) struct Shown {
    bar: ProgressBar,
    lines: bool,
    last: std::sync::Mutex<Instant>,
    started: Instant,
}

const LINE_EVERY: Duration = Duration::from_secs(5);

impl Shown {
    pub(super) fn new(global: &Global) -> Self {
        let silent = global.no_progress || global.quiet;
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal && !silent { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{bar:32} {pos}/{len} photos  {msg}  {elapsed} elapsed, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let now = Instant::now();
        Self { bar, lines: !terminal && !silent, last: std::sync::Mutex::new(now), started: now }
    }

    pub(super) fn tell(&self, progress: Progress) {
        match progress {
            // A name may be a person's: it goes to the quarantine list, not to the log.
            Progress::Notice(text) => tracing::debug!("{}", plain(&text)),
            Progress::Counts { counts, swept } => {
                let done = counts.total() - counts.unfinished() - counts.superseded;
                self.bar.set_length(counts.total() - counts.superseded);
                self.bar.set_position(done);
                let listing = if swept { String::new() } else { ", still listing".to_owned() };
                let waiting = match counts.scheduled {
                    0 => listing,
                    n => format!(", {n} wait for their clinic's window or pause{listing}"),
                };
                let text = format!(
                    "{} measured, {} to retake, {} quarantined{waiting}",
                    counts.measured, counts.not_measurable, counts.quarantined
                );
                self.line(&format!("{done} of {} photos: {text}", counts.total() - counts.superseded));
                self.bar.set_message(text);
            }
        }
    }

    fn line(&self, text: &str) {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.lines && last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("{:>5.0} s  {text}\n", self.started.elapsed().as_secs_f64()),
            );
        }
    }

    pub(super) fn close(&self) {
        self.bar.finish_and_clear();
    }
}
