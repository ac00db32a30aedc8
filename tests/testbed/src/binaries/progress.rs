//! Tells a person who waits for minutes what is going on: a bar on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a plain line says that work goes on.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The display of a list of steps. Writes to standard error itself, which the capture of the test harness does not hide.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    total: usize,
    step: usize,
    what: String,
    started: Instant,
    spoken: Instant,
}

impl Progress {
    /// Begins a display of `total` steps; with none it stays silent.
    pub(super) fn new(total: usize) -> Progress {
        let bar = (total > 0 && std::io::stderr().is_terminal()).then(|| bar(total));
        Progress {
            bar,
            total,
            step: 0,
            what: String::new(),
            started: Instant::now(),
            spoken: Instant::now(),
        }
    }

    /// Begins a display that only waits for somebody else.
    pub(super) fn waiting(what: &str) -> Progress {
        let mut progress = Progress::new(1);
        progress.begin(what);
        progress
    }

    /// Says that the next step has begun.
    pub(super) fn begin(&mut self, what: &str) {
        self.step += 1;
        self.what = what.to_owned();
        match &self.bar {
            Some(bar) => {
                bar.set_position(self.step.saturating_sub(1) as u64);
                bar.set_message(self.what.clone());
            }
            None => self.line(),
        }
    }

    /// To be called often while a step runs.
    pub(super) fn tick(&mut self) {
        match &self.bar {
            Some(bar) => bar.tick(),
            None if self.spoken.elapsed() >= HEARTBEAT => self.line(),
            None => {}
        }
    }

    /// Ends the display.
    pub(super) fn finish(self) {
        match &self.bar {
            Some(bar) => bar.finish_and_clear(),
            None if self.total > 0 => say(&format!("done after {} s", self.started.elapsed().as_secs())),
            None => {}
        }
    }

    fn line(&mut self) {
        self.spoken = Instant::now();
        say(&format!(
            "{} ({} of {}, {} s)",
            self.what,
            self.step,
            self.total,
            self.started.elapsed().as_secs()
        ));
    }
}

fn bar(total: usize) -> ProgressBar {
    let template = "testbed: {spinner} {msg} ({pos} of {len} done, {elapsed})";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new(total as u64).with_style(style)
}

fn say(text: &str) {
    // A closed standard error must not fail a build.
    let _ = writeln!(std::io::stderr(), "testbed: {text}");
}
