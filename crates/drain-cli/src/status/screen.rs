//! The terminal: how wide it is, whether it has colours, and a screen of one's own that is always given back.

use std::io::{self, IsTerminal as _, Write as _};

use jiff::Timestamp;
use terminal_size::{Height, Width, terminal_size_of};

use super::text::Drawing;

/// Where nobody says how wide it is: a file is as wide as its lines.
const WITHOUT_TERMINAL: usize = 160;

/// What is drawn on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paper {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) is_terminal: bool,
    colours: bool,
}

impl Paper {
    /// Standard output, as it is now: a terminal may change its size. `COLUMNS` says it where there is none.
    pub(super) fn of_stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let size = terminal_size_of(io::stdout()).filter(|(Width(width), _)| *width > 0);
        let columns = || std::env::var("COLUMNS").ok()?.trim().parse().ok().filter(|columns| *columns > 0);
        let (width, height) = match size {
            Some((Width(width), Height(height))) => (usize::from(width), usize::from(height)),
            None => (columns().unwrap_or(if is_terminal { 80 } else { WITHOUT_TERMINAL }), 24),
        };
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { width, height, is_terminal, colours: is_terminal && !is_set("NO_COLOR") && !is_dumb }
    }

    /// How something is drawn on it at this moment.
    pub(super) fn drawing(&self, now: Timestamp) -> Drawing {
        // The last column stays free: after it, END_OF_LINE would erase what stands there, and some terminals wrap.
        let width = if self.is_terminal { self.width.saturating_sub(1) } else { self.width };
        Drawing { now, width, colours: self.colours }
    }
}

/// The terminal's other screen, without a cursor. When it is dropped the first one is back as it was.
#[derive(Debug)]
pub(super) struct Screen;

/// The other screen; no cursor; lines that are too long are cut (xterm, "Private Modes": 1049, 25, 7).
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Nothing is shown before all of it is there, where the terminal knows that (mode 2026).
const BEGIN: &str = "\x1b[?2026h\x1b[H";
const END_OF_LINE: &str = "\x1b[K";
const END: &str = "\x1b[J\x1b[?2026l";

impl Screen {
    pub(super) fn enter() -> io::Result<Self> {
        // Made first: what is half done is undone too.
        let screen = Self;
        write(ENTER)?;
        Ok(screen)
    }

    /// Shows these lines instead of what is there, as far as there is room: each is written over the one before it, so that
    /// nothing flickers.
    pub(super) fn show(&self, lines: &[String], height: usize) -> io::Result<()> {
        let Self = self;
        let mut frame = String::from(BEGIN);
        for (place, line) in cut(lines, height).iter().enumerate() {
            if place > 0 {
                frame.push_str("\r\n");
            }
            frame.push_str(line);
            frame.push_str(END_OF_LINE);
        }
        frame.push_str(END);
        write(&frame)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody left to tell if the terminal is gone.
        let _ = write(LEAVE);
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// As many lines as there is room for; the last one says what is missing.
fn cut(lines: &[String], height: usize) -> Vec<String> {
    if lines.len() <= height {
        return lines.to_vec();
    }
    let shown = height.saturating_sub(1);
    let more = format!(
        "... {} more lines: a taller window shows them, and so does status without --watch",
        lines.len() - shown
    );
    lines.iter().take(shown).cloned().chain([more]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let lines: Vec<String> = (1..=5).map(|line| line.to_string()).collect();
        assert_eq!(cut(&lines, 5), lines);
        assert_eq!(
            cut(&lines, 3),
            ["1", "2", "... 3 more lines: a taller window shows them, and so does status without --watch"]
        );
        assert_eq!(cut(&lines, 0).len(), 1);
    }
}
