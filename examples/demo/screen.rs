//! What people see: one line per thing that happened, with the time it took; on a terminal also a live line of what is awaited.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Standard output.
pub struct Screen {
    colours: bool,
    terminal: bool,
    began: Instant,
    act: Instant,
    live: Option<String>,
    tick: usize,
}

/// What a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A step of the story.
    Step,
    /// Something came into being.
    Added,
    /// Something changed.
    Changed,
    /// Something is gone.
    Removed,
    /// What was waited for is there.
    Done,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";

/// How often the live line moves.
const TICK: Duration = Duration::from_millis(100);
const SPINNER: [char; 4] = ['|', '/', '-', '\\'];

impl Screen {
    /// Colours and a live line appear on a terminal only; `NO_COLOR` switches the colours off.
    pub fn new() -> Self {
        let terminal = std::io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colours: terminal && !no_color,
            terminal,
            began: Instant::now(),
            act: Instant::now(),
            live: None,
            tick: 0,
        }
    }

    /// Begins an act: the times of its lines count from here.
    pub fn act(&mut self, title: &str) {
        self.clear();
        self.write(&format!("\n{}\n", self.paint(BOLD, title)));
        self.act = Instant::now();
    }

    /// Something happened now.
    pub fn line(&mut self, mark: Mark, text: impl Display) {
        let time = format!("{:>7.2} s", self.act.elapsed().as_secs_f64());
        let (sign, colour) = match mark {
            Mark::Step => (' ', None),
            Mark::Added => ('+', Some(GREEN)),
            Mark::Changed => ('~', Some(YELLOW)),
            Mark::Removed => ('-', Some(RED)),
            Mark::Done => ('=', Some(GREEN)),
        };
        let text = match colour {
            Some(colour) => self.paint(colour, &format!("{sign} {text}")),
            None => format!("{sign} {text}"),
        };
        let time = self.paint(DIM, &time);
        self.above(&format!("{time}  {text}\n"));
    }

    /// A remark without a time.
    pub fn remark(&mut self, text: impl Display) {
        let text = text.to_string();
        for line in text.lines() {
            self.above(&format!("             {line}\n"));
        }
    }

    /// How long the act has lasted.
    pub fn elapsed(&self) -> Duration {
        self.act.elapsed()
    }

    /// How long the demo has lasted.
    pub fn total(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits for `task` and says so on the live line.
    pub async fn during<T>(&mut self, what: &str, task: impl Future<Output = T>) -> T {
        let mut task = std::pin::pin!(task);
        loop {
            tokio::select! {
                value = &mut task => {
                    self.clear();
                    return value;
                }
                () = self.animate(what) => {}
            }
        }
    }

    /// Moves the live line once, which takes a moment.
    pub async fn animate(&mut self, what: &str) {
        self.live = Some(what.to_owned());
        self.draw();
        tokio::time::sleep(TICK).await;
        self.tick += 1;
    }

    /// Takes the live line away.
    pub fn clear(&mut self) {
        if self.live.take().is_some() && self.terminal {
            self.write("\r\x1b[2K");
        }
    }

    fn above(&mut self, line: &str) {
        let live = self.live.clone();
        self.clear();
        self.write(line);
        self.live = live;
        self.draw();
    }

    fn draw(&self) {
        if let Some(what) = self.live.as_ref().filter(|_| self.terminal) {
            let time = format!("{:>7.2} s", self.act.elapsed().as_secs_f64());
            let spinner = SPINNER[self.tick % SPINNER.len()];
            // Without line wrapping a long text cannot leave remains behind.
            self.write(&format!(
                "\r\x1b[2K\x1b[?7l{}\x1b[?7h",
                self.paint(DIM, &format!("{time}  {spinner} {what}"))
            ));
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        match self.colours {
            true => format!("\x1b[{colour}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    fn write(&self, text: &str) {
        // Whoever closed the pipe has seen enough.
        let mut output = std::io::stdout().lock();
        let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    }
}
