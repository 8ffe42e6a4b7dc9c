//! Every incident becomes a test: each file in `replays` holds what was seen, what was asked for and what is to be decided
//! from it. `nomad-drain replay --fixture` writes them from the log.

#![expect(clippy::disallowed_methods, reason = "a test reads its cases")]

use std::fs;
use std::path::Path;

use drain_core::record::Record;

#[test]
fn what_was_recorded_is_decided_in_the_same_way() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replays");
    let mut cases = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let record: Record = serde_json::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        cases += 1;
        let decision = record.decide();
        if decision != record.decision {
            wrong.push(format!("{name}:\n  expected {:?}\n  decided  {decision:?}", record.decision));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases > 0, "no case was found");
}
