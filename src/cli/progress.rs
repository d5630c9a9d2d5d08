//! How far long work has come: one line on standard error that is drawn again and again, where that is a terminal; else nothing.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::store::care::Step;

/// How often the line is drawn at most.
const PAUSE: Duration = Duration::from_millis(100);
/// How many characters the bar has.
const BAR: u64 = 30;

/// The line.
pub(super) struct ProgressLine {
    is_shown: bool,
    drawn: Option<Instant>,
    total: Option<u64>,
}

impl ProgressLine {
    /// Nothing is drawn before there is something to tell.
    pub(super) fn new() -> ProgressLine {
        ProgressLine { is_shown: std::io::stderr().is_terminal(), drawn: None, total: None }
    }

    /// Of so many in all, whatever the steps say.
    pub(super) fn of(total: Option<u64>) -> ProgressLine {
        ProgressLine { total, ..ProgressLine::new() }
    }

    /// Draws it, if it is time to.
    pub(super) fn step(&mut self, step: Step<'_>) {
        let is_soon = self.drawn.is_some_and(|drawn| drawn.elapsed() < PAUSE);
        if self.is_shown && !is_soon {
            self.drawn = Some(Instant::now());
            let mut err = std::io::stderr().lock();
            let _ = write!(err, "\r\x1b[K{}", line(step, step.total.or(self.total)));
            let _ = err.flush();
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(step: Step<'_>, total: Option<u64>) -> String {
    match total {
        Some(total) if total > 0 => {
            let full = (BAR * step.done.min(total) / total) as usize;
            let bar = format!("{}{}", "#".repeat(full), "-".repeat(BAR as usize - full));
            format!("[{bar}] {:>3} %  {}", 100 * step.done.min(total) / total, step.what)
        }
        _ if step.done > 0 => format!("{} {}", step.what, step.done),
        _ => format!("{} …", step.what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_the_share_that_is_done() {
        let shown = line(Step { what: "servers", done: 1, total: None }, Some(2));
        assert_eq!(shown, "[###############---------------]  50 %  servers");
    }

    #[test]
    fn without_a_total_it_counts() {
        assert_eq!(line(Step { what: "lines", done: 7, total: None }, None), "lines 7");
    }
}
