//! The log: as Lambda's logging settings ask for it, or as somebody at a terminal does.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Our own crates. Whatever other libraries log below a warning is not for operators, and might hold what must not be
/// in a log.
const OURS: [&str; 6] = ["bootstrap", "drain", "drain_core", "drain_http", "nomad_client", "nomad_drain"];

/// Starts logging to standard output. `AWS_LAMBDA_LOG_FORMAT=JSON` gives one JSON object a line;
/// `AWS_LAMBDA_LOG_LEVEL`, else `RUST_LOG`, sets the level: TRACE, DEBUG, INFO (the default), WARN, ERROR or FATAL.
pub fn start(lookup: impl Fn(&str) -> Option<String>) {
    let level = level(lookup("AWS_LAMBDA_LOG_LEVEL").or_else(|| lookup("RUST_LOG")).as_deref());
    let filter = ours(level);
    // It repeats every error that we have logged ourselves, without the fields that say what it was about.
    let filter = filter.with_target("lambda_runtime", LevelFilter::OFF);
    let json = lookup("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json"));
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(false);
    let registry = tracing_subscriber::registry();
    if json {
        let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(true);
        registry.with(lines.with_filter(filter)).init();
    } else {
        registry.with(lines.without_time().with_filter(filter)).init();
    }
}

/// Starts logging for people, as lines of text: to standard error, say, because a program's result goes to standard output.
/// Without a level these are warnings, but not those of every call that is tried again: in an outage there are hundreds, and
/// what failed in the end is told by whoever asked.
pub fn start_for_people<W>(wanted: Option<LevelFilter>, writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(false).without_time();
    let level = wanted.unwrap_or(LevelFilter::WARN);
    // Libraries warn of what they try in vain, such as credentials of an instance on a laptop. What failed in the end is told
    // by whoever asked.
    let others = if level > LevelFilter::WARN { LevelFilter::WARN } else { LevelFilter::ERROR };
    let mut filter = ours(level).with_default(level.min(others));
    if wanted.is_none() {
        filter = filter.with_target(crate::live::RETRIES, LevelFilter::OFF);
    }
    tracing_subscriber::registry().with(lines.with_writer(writer).with_filter(filter)).init();
}

/// Starts logging to standard output for a program that runs for long without Lambda, which would add the time of a line: as
/// text, or as the JSON objects of [`start`].
pub fn start_for_service(level: LevelFilter, json: bool) {
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(false);
    let registry = tracing_subscriber::registry();
    if json {
        let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(true);
        registry.with(lines.with_filter(ours(level))).init();
    } else {
        registry.with(lines.with_filter(ours(level))).init();
    }
}

fn ours(level: LevelFilter) -> Targets {
    OURS.iter().fold(Targets::new().with_default(level.min(LevelFilter::WARN)), |filter, target| {
        filter.with_target(*target, level)
    })
}

fn level(text: Option<&str>) -> LevelFilter {
    match text.map(|text| text.trim().to_ascii_uppercase()).as_deref() {
        Some("TRACE") => LevelFilter::TRACE,
        Some("DEBUG") => LevelFilter::DEBUG,
        Some("WARN") => LevelFilter::WARN,
        // Lambda's FATAL is above everything that tracing has.
        Some("ERROR" | "FATAL") => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_lambdas_word_for_it_and_else_info() {
        assert_eq!(level(Some("debug")), LevelFilter::DEBUG);
        assert_eq!(level(Some("FATAL")), LevelFilter::ERROR);
        assert_eq!(level(Some("nonsense")), LevelFilter::INFO);
        assert_eq!(level(None), LevelFilter::INFO);
    }
}
