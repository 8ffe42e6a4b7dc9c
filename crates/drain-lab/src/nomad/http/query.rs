//! The query parameters of a request.

use axum::http::Uri;
use jiff::SignedDuration;

use super::super::filter::parse_bool;
use super::answer::Failure;

/// The longest that a blocking query blocks, and what it does without `wait`.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(300);

/// All parameters, decoded; of one that is given twice the first counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

/// What every read may ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Consistency {
    /// Answer when the index is past this one; 0 answers at once.
    pub(super) index: u64,
    /// Answer after this long at the latest.
    pub(super) wait: SignedDuration,
    /// A follower's answer will do.
    pub(super) stale: bool,
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    /// How many; all if nothing is said.
    pub(super) size: Option<usize>,
    /// The first id.
    pub(super) from: &'a str,
    /// What every id begins with.
    pub(super) prefix: &'a str,
}

impl Query {
    pub(super) fn read(query: &str) -> Self {
        let uri: Result<Uri, _> = format!("/?{query}").parse();
        let pairs = uri.ok().and_then(|uri| axum::extract::Query::try_from_uri(&uri).ok());
        Self(pairs.map(|axum::extract::Query(pairs)| pairs).unwrap_or_default())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn consistency(&self) -> Result<Consistency, Failure> {
        let stale = match self.get("stale") {
            None => false,
            Some("") => true,
            Some(text) => parse_bool(text).ok_or_else(|| {
                Failure::local(400, "Expect `true` or `false` for `stale` query string parameter")
            })?,
        };
        let wait = match self.get("wait").filter(|text| !text.is_empty()) {
            None => LONGEST_WAIT,
            Some(text) => text.parse().map_err(|_| Failure::local(400, "Invalid wait time"))?,
        };
        let index = match self.get("index").filter(|text| !text.is_empty()) {
            None => 0,
            Some(text) => text.parse().map_err(|_| Failure::local(400, "Invalid index"))?,
        };
        // A wait of zero means the default.
        let wait = if wait.is_zero() { LONGEST_WAIT } else { wait.min(LONGEST_WAIT) };
        Ok(Consistency { index, wait, stale })
    }

    pub(super) fn page(&self) -> Result<Page<'_>, Failure> {
        let size =
            match self.get("per_page").filter(|text| !text.is_empty()) {
                None => None,
                Some(text) => Some(text.parse().map_err(|_| {
                    Failure::local(400, "Expect a number for `per_page` query string parameter")
                })?),
            };
        let from = self.get("next_token").unwrap_or_default();
        Ok(Page { size: size.filter(|size| *size > 0), from, prefix: self.get("prefix").unwrap_or_default() })
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.get(name).filter(|text| !text.is_empty()) {
            None => Ok(false),
            Some(text) => parse_bool(text).ok_or_else(|| {
                Failure::local(
                    400,
                    format!(
                        "Failed to parse node list fields: Failed to parse value of {name:?} ({text}) as a bool: \
                         strconv.ParseBool: parsing {text:?}: invalid syntax"
                    ),
                )
            }),
        }
    }
}
