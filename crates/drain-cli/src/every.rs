//! The time between two looks or sweeps, as a flag.

use std::time::Duration;

use drain::config::parse_duration;

/// Reads it as the configuration's durations are written. Less than a second would be a burden to AWS and Nomad.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let every = parse_duration(text.trim()).map_err(str::to_owned)?.unsigned_abs();
    if every < Duration::from_secs(1) { Err("less than a second".to_owned()) } else { Ok(every) }
}
