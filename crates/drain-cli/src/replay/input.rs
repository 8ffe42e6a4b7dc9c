//! What an operator hands over: a record, a line or a whole log that holds some, or an event.
//!
//! Records are found wherever they stand: `CloudWatch`, `aws logs tail`, `aws logs filter-log-events` and a query in Logs
//! Insights each wrap the same line in another way.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use drain_core::record::{FIELD, Record, check_version};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// What a text holds.
#[derive(Debug)]
pub(super) enum Input {
    /// Decisions that were logged.
    Log(Log),
    /// Something else that is JSON: an event, if it is one.
    Event,
}

/// The records of a log, in the order in which they stand there.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) found: Vec<Found>,
    /// Records that cannot be read.
    pub(super) broken: Vec<Broken>,
    /// Lines without a record.
    pub(super) other_lines: usize,
}

/// A record.
#[derive(Debug)]
pub(super) struct Found {
    /// The line, from 1 on; of a document that is JSON as a whole, 1.
    pub(super) line: usize,
    pub(super) record: Record,
}

/// A record that cannot be read.
#[derive(Debug, Serialize)]
pub(super) struct Broken {
    pub(super) line: usize,
    pub(super) why: String,
}

/// What is taken, for whoever brings something else.
const EXPECTED: &str = "What is taken: a record as the function logs it at DEBUG (AWS_LAMBDA_LOG_LEVEL=DEBUG), bare, in its line \
                        or in a whole log, as text or as JSON; or an event as Lambda gets it";

/// Finds out what a text is.
pub(super) fn read(text: &str) -> anyhow::Result<Input> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        bail!("it is empty. {EXPECTED}");
    }
    let mut log = Log::default();
    let whole = match serde_json::from_str::<Box<RawValue>>(text) {
        Ok(whole) => {
            search_json(whole.get(), 1, &mut log);
            return Ok(if log.is_empty() { Input::Event } else { Input::Log(log) });
        }
        Err(error) => error,
    };
    for (index, line) in text.lines().enumerate() {
        let before = log.len();
        search_line(line, index + 1, &mut log);
        log.other_lines += usize::from(log.len() == before && !line.trim().is_empty());
    }
    if !log.is_empty() {
        return Ok(Input::Log(log));
    }
    if text.trim_start().starts_with(['{', '[', '"']) {
        return Err(whole)
            .with_context(|| format!("it is no JSON, and no line of it holds a record. {EXPECTED}"));
    }
    let lines = log.other_lines;
    bail!(
        "it has {lines} {}, and none of them holds a record. {EXPECTED}",
        if lines == 1 { "line" } else { "lines" }
    )
}

/// What is said of an event that is none.
pub(super) fn no_event(error: &drain::event::EventError) -> String {
    let mut said = format!("it holds no record, and as an event it cannot be read: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let _ = write!(said, ": {error}");
        source = error.source();
    }
    format!("{said}. {EXPECTED}")
}

impl Log {
    fn len(&self) -> usize {
        self.found.len() + self.broken.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn take(&mut self, text: &str, line: usize) {
        match record(text) {
            Ok(record) => self.found.push(Found { line, record }),
            Err(why) => self.broken.push(Broken { line, why }),
        }
    }
}

/// A record, of whose version it has to be known first whether it can be read.
fn record(text: &str) -> Result<Record, String> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let said = |error: serde_json::Error| error.to_string();
    let Head { version } = serde_json::from_str(text).map_err(said)?;
    check_version(version).map_err(|error| error.to_string())?;
    serde_json::from_str(text).map_err(said)
}

/// Whatever is JSON: a record, or something with records anywhere in it, as objects or as text.
fn search_json(text: &str, line: usize, log: &mut Log) {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    if is_record(&value) {
        // As it is written, so that an error tells the place.
        log.take(text, line);
        return;
    }
    search_value(&value, line, log);
}

fn search_value(value: &Value, line: usize, log: &mut Log) {
    match value {
        Value::Object(fields) if is_record(value) => {
            log.take(&Value::Object(fields.clone()).to_string(), line);
        }
        Value::Object(fields) => fields.values().for_each(|value| search_value(value, line, log)),
        Value::Array(values) => values.iter().for_each(|value| search_value(value, line, log)),
        Value::String(text) if text.contains("\"observation\"") || text.contains("\\\"observation\\\"") => {
            match serde_json::from_str::<Value>(text) {
                Ok(_) => search_json(text, line, log),
                Err(_) => text.lines().for_each(|part| search_line(part, line, log)),
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_record(value: &Value) -> bool {
    ["observation", "policy", "decision"].iter().all(|name| value.get(name).is_some_and(Value::is_object))
}

/// A line of a log: text that ends with a record, or JSON, perhaps behind a time and the name of a stream. In a table of
/// values separated by commas every quote is there twice; and `CloudWatch`'s console shows JSON in many lines, of which one is
/// the record.
fn search_line(line: &str, number: usize, log: &mut Log) {
    if line.contains("{\"\"") {
        return search_line(&line.replace("\"\"", "\""), number, log);
    }
    let (text, json) = (format!("{FIELD}={{"), format!("\"{FIELD}\":"));
    if let Some(at) = line.find(&text) {
        let record = &line[at + FIELD.len() + 1..];
        match first_json(record) {
            Ok(record) => log.take(record, number),
            Err(error) => log.broken.push(cut_off(number, at, &error)),
        }
        return;
    }
    let Some(at) = line.find('{') else { return };
    let error = match first_json(&line[at..]) {
        Ok(json) => return search_json(json, number, log),
        Err(error) => error,
    };
    let Some(field) = line.find(&json) else { return };
    match first_json(line[field + json.len()..].trim_start()) {
        Ok(value) => search_json(value, number, log),
        Err(_) => log.broken.push(cut_off(number, at, &error)),
    }
}

/// The JSON that a text begins with, whatever follows it.
fn first_json(text: &str) -> serde_json::Result<&str> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    match values.next() {
        Some(value) => value.map(RawValue::get),
        None => serde_json::from_str::<&RawValue>(text).map(RawValue::get),
    }
}

fn cut_off(line: usize, at: usize, error: &serde_json::Error) -> Broken {
    let why = format!("it begins at column {}, and the line is cut off or changed: {error}", at + 1);
    Broken { line, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as the function writes it.
    fn example() -> String {
        let case = include_str!("../../../drain-core/tests/replays/drain_posted-i-120d43ca60abacb44.json");
        serde_json::to_string(&serde_json::from_str::<Record>(case).unwrap()).unwrap()
    }

    /// How many records were found, how many are broken, and how many other lines there are.
    fn counts(text: &str) -> (usize, usize, usize) {
        match read(text) {
            Ok(Input::Log(log)) => (log.found.len(), log.broken.len(), log.other_lines),
            other => panic!("{other:?}: {text}"),
        }
    }

    fn refusal(text: &str) -> String {
        format!("{:#}", read(text).unwrap_err())
    }

    #[test]
    fn a_record_is_found_bare_and_in_every_line_that_holds_one() {
        let record = example();
        let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&record).unwrap()).unwrap();
        let quoted = serde_json::to_string(&record).unwrap();
        let text =
            format!("DEBUG invocation{{request_id=\"1\"}}:drain{{instance_id=i-1}}: decided record={record}");
        let json = format!(
            r#"{{"timestamp":"2026-11-29T14:00:00Z","level":"DEBUG","message":"decided","record":{quoted},"spans":[]}}"#
        );
        let message = |line: &str| serde_json::to_string(line).unwrap();
        let fetched =
            |line: &str| format!(r#"{{"events":[{{"logStreamName":"a","message":{}}}]}}"#, message(line));
        for whole in [
            record.clone(),
            pretty,
            text.clone(),
            json.clone(),
            format!("2026-11-29T14:00:00.000Z 2026/11/29/[$LATEST]0123 {json}"),
            format!("{text} trailing=yes"),
            fetched(&json),
            fetched(&text),
            format!(r#"{{"results":[[{{"field":"record","value":{quoted}}}]],"status":"Complete"}}"#),
        ] {
            assert_eq!(counts(&whole), (1, 0, 0), "{whole}");
        }
        // As Logs Insights exports a table, and as the console shows a line that is JSON.
        for whole in [&json, &text] {
            let row = whole.replace('"', "\"\"");
            assert_eq!(
                counts(&format!("@timestamp,@message\n2026-11-29 14:00:00.000,\"{row}\"\n")),
                (1, 0, 1),
                "{row}"
            );
        }
        let shown = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&json).unwrap()).unwrap();
        let lines = shown.lines().count();
        assert_eq!(counts(&format!("2026-11-29T14:00:00.000Z\n{shown}\nEND\n{shown}")), (2, 0, 2 * lines));
        let log = format!("START RequestId: 1\n{text}\n\n{json}\n{{\"level\":\"INFO\"}}\n{text}\r\nEND");
        assert_eq!(counts(&log), (3, 0, 3));
    }

    #[test]
    fn what_is_cut_off_is_told_with_its_place_and_hides_no_other() {
        let record = example();
        let cut = &record[..record.len() / 2];
        let quoted = serde_json::to_string(cut).unwrap();
        let log = format!(
            "decided record={record}\ndecided record={cut}\n{{\"record\":{}",
            &quoted[..quoted.len() - 1]
        );
        assert_eq!(counts(&log), (1, 2, 0));
        let Ok(Input::Log(log)) = read(&log) else { panic!() };
        assert_eq!(log.broken[0].line, 2);
        assert!(
            log.broken[0].why.starts_with("it begins at column 9, and the line is cut off or changed: EOF")
        );
    }

    #[test]
    fn a_record_of_a_later_version_is_refused_for_its_version() {
        let Ok(Input::Log(log)) = read(&example().replacen("\"version\":1", "\"version\":2", 1).replacen(
            "\"observation\":{",
            "\"observation\":{\"weather\":\"fine\",",
            1,
        )) else {
            panic!()
        };
        assert!(log.broken[0].why.starts_with("the record has version 2, and this program reads version 1"));
    }

    #[test]
    fn what_is_neither_is_refused_with_what_is_taken_and_where_reading_ended() {
        assert!(refusal(" \n").starts_with("it is empty. What is taken: a record"));
        assert!(refusal("hello\nworld").starts_with("it has 2 lines, and none of them holds a record."));
        let error = refusal("{\"a\":1,\n \"b\"}");
        assert!(error.starts_with("it is no JSON, and no line of it holds a record."), "{error}");
        assert!(error.ends_with("line 2 column 5"), "{error}");
    }

    #[test]
    fn any_other_json_may_be_an_event() {
        assert!(matches!(read(r#"{"action":"sweep"}"#), Ok(Input::Event)));
    }
}
