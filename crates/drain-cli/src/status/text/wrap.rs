//! Text in lines that fit.

/// How many columns a text takes. Names in AWS and Nomad are of single-width characters.
pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}

/// A text without what would move the cursor: whoever names a job or a node could write anything into a terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|one| {
            if one == '\n' {
                ' '
            } else if one.is_control() {
                '\u{fffd}'
            } else {
                one
            }
        })
        .collect()
}

/// A text that is cut if it takes more room than there is.
pub(super) fn ellipsis(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

/// Words in lines, each indented. A word that is longer than a line is broken.
pub(super) fn wrap(text: &str, room: usize, indent: usize) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    lines(&words, room, indent, 1, 0)
}

/// Pieces in lines, each indented, with space between them, in columns that are `column` wide. Empty ones are left out.
pub(super) fn flow(pieces: &[String], room: usize, indent: usize, column: usize) -> Vec<String> {
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).filter(|piece| !piece.is_empty()).collect();
    lines(&pieces, room, indent, 2, column)
}

fn lines(pieces: &[&str], room: usize, indent: usize, gap: usize, column: usize) -> Vec<String> {
    let margin = " ".repeat(indent);
    let room = room.saturating_sub(indent).max(1);
    let (mut lines, mut line) = (Vec::new(), String::new());
    for piece in pieces {
        let taken = width(&line);
        let stop = (taken + gap).next_multiple_of(if column == 0 { 1 } else { column + gap });
        let padding = if line.is_empty() { 0 } else { stop - taken };
        if !line.is_empty() && width(&line) + padding + width(piece) > room {
            lines.push(std::mem::take(&mut line));
        } else {
            line.push_str(&" ".repeat(padding));
        }
        for one in piece.chars() {
            if width(&line) == room {
                lines.push(std::mem::take(&mut line));
            }
            line.push(one);
        }
    }
    lines.push(line);
    lines.into_iter().map(|line| format!("{margin}{line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_and_long_ones_broken() {
        assert_eq!(wrap("to be or not to be", 8, 2), ["  to be", "  or not", "  to be"]);
        assert_eq!(wrap("abcdefghij kl", 6, 0), ["abcdef", "ghij", "kl"]);
        assert_eq!(wrap("", 10, 2), ["  "]);
    }

    #[test]
    fn pieces_stand_below_each_other() {
        let pieces =
            ["one".to_owned(), "two".to_owned(), String::new(), "three".to_owned(), "four".to_owned()];
        assert_eq!(flow(&pieces, 18, 0, 8), ["one       two", "three     four"]);
    }

    #[test]
    fn what_would_move_the_cursor_is_shown_as_what_it_is() {
        assert_eq!(clean("web\u{1b}[2J\u{7}\nx"), "web\u{fffd}[2J\u{fffd} x");
        assert_eq!(ellipsis("worker-123456", 8), "worker-…");
    }
}
