//! Which versions of Nomad this works with.

/// How far a version is supported. (README.md, "Limits".)
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Support {
    /// In full: 1.6 and later.
    Full,
    /// As far as it goes: 1.3 and later.
    Partly,
    /// Not at all: servers before 1.3 ignore filters, by which nodes are found.
    No,
    /// It is no version that could be compared.
    Unknown,
}

impl Support {
    /// Of a version as Nomad writes it: `1.7.7`, `1.7.7+ent`, `1.8.0-rc.1`.
    pub fn of(version: &str) -> Self {
        match numbers(version) {
            Some([major, minor, _]) if (major, minor) >= (1, 6) => Self::Full,
            Some([major, minor, _]) if (major, minor) >= (1, 3) => Self::Partly,
            Some(_) => Self::No,
            None => Self::Unknown,
        }
    }
}

/// Whether a server of this version starts again after a drain whose token has ended.
pub(crate) fn takes_tokens_that_end(version: &str) -> bool {
    match numbers(version) {
        Some([1, 5, patch]) => patch >= 17,
        Some([1, 6, patch]) => patch >= 10,
        Some([1, 7, patch]) => patch >= 7,
        Some([major, minor, _]) => (major, minor) > (1, 7),
        None => false,
    }
}

/// Major, minor and patch.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let core = version.split(['-', '+']).next()?;
    let numbers: Vec<u32> = core.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_supported_from_a_number_on() {
        for (version, support) in [
            ("2.0.5", Support::Full),
            ("1.10.5+ent", Support::Full),
            ("1.6.0-beta.1", Support::Full),
            ("1.5.17", Support::Partly),
            ("1.3.0", Support::Partly),
            ("1.2.16", Support::No),
            ("0.12.0", Support::No),
            ("1.9", Support::Unknown),
            ("", Support::Unknown),
        ] {
            assert_eq!(Support::of(version), support, "{version}");
        }
    }

    #[test]
    fn versions_that_forget_no_token_are_known() {
        for version in ["1.5.17", "1.6.10+ent", "1.7.7", "1.8.0", "1.11.3", "2.0.5", "10.0.0", "1.8.0-beta.1"]
        {
            assert!(takes_tokens_that_end(version), "{version}");
        }
        for version in ["1.4.14", "1.5.16", "1.6.9", "1.7.6", "0.12.0", "", "new", "1.9"] {
            assert!(!takes_tokens_that_end(version), "{version}");
        }
    }
}
