//! Commands that can be copied into a shell.

/// A word as a shell takes it: quoted if it has to be. Names of groups may have spaces, and any other sign.
pub(super) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:=,@%+-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_take_apart_is_quoted() {
        assert_eq!(word("workers-1a.eu/x:y=z,w@v%u+t"), "workers-1a.eu/x:y=z,w@v%u+t");
        assert_eq!(word("spot workers"), "'spot workers'");
        assert_eq!(word("$(reboot) & it's"), r"'$(reboot) & it'\''s'");
        assert_eq!(word("größe"), "'größe'");
        assert_eq!(word(""), "''");
    }
}
