//! What the samples say.

use serde_json::json;

use super::{Contestant, STARTS, Samples};
use crate::report::{Plot, Section, Series, Shape, Table, Target};
use crate::statistics::{median, percentile};
use crate::units::{milliseconds, number, times};

/// What was promised.
const INIT_TO_FLOOR: f64 = 1.25;
const TO_OLD_WAY: f64 = 40.0;
const SMALLEST_MS: f64 = 150.0;
const SMALLEST_MB: u32 = 128;

/// The section, from the samples. `without_quotas` says why there are none with a part of a CPU.
pub(super) fn section(all: &[Samples], without_quotas: Option<&str>) -> Section {
    let mut section = Section::new("cold", "Cold start");
    let sizes = sizes(all);
    let of = |contestant, size| all.iter().find(|one| one.contestant == contestant && one.memory_mb == size);
    let init = |contestant, size| of(contestant, size).map_or(f64::NAN, |one| median(&one.init_ms));
    let drain = |contestant, size| of(contestant, size).map_or(f64::NAN, |one| median(&one.drain_ms));
    let late_init =
        |contestant, size| of(contestant, size).map_or(f64::NAN, |one| percentile(&one.init_ms, 0.9));
    let late = |contestant, size| of(contestant, size).map_or(f64::NAN, |one| percentile(&one.drain_ms, 0.9));
    let to_floor = |size| init(Contestant::Function, size) / init(Contestant::Floor, size);
    let to_old_way = |size| drain(Contestant::OldWay, size) / drain(Contestant::Function, size);

    let mut slowest = f64::INFINITY;
    for &size in &sizes {
        slowest = slowest.min(to_old_way(size));
    }
    let most = sizes.iter().map(|&size| to_floor(size)).fold(f64::NAN, f64::max);
    section.headlines.push(format!(
        "A cold start takes **{}** as long to its first poll as that of a function that does nothing, and at most {} at every size.",
        times(to_floor(None)),
        times(most)
    ));
    section.headlines.push(format!(
        "From a cold start to the drain's POST it is **{}** faster than the old way, and at least {} at every size.",
        times(to_old_way(None)),
        times(slowest)
    ));
    section.targets.push(Target::at_most(
        "Cold start to first poll, against the floor, on a whole CPU",
        INIT_TO_FLOOR,
        to_floor(None),
        times,
    ));
    section.targets.push(Target::at_least(
        "Cold start to drain, against the old way, at every size",
        TO_OLD_WAY,
        slowest,
        times,
    ));
    if sizes.contains(&Some(SMALLEST_MB)) {
        let measured = drain(Contestant::Function, Some(SMALLEST_MB));
        let what = format!("Cold start to drain with the CPU of {SMALLEST_MB} MB");
        section.headlines.push(format!(
            "With the CPU that Lambda gives to {SMALLEST_MB} MB the drain is posted {} after the process's start.",
            milliseconds(measured)
        ));
        section.targets.push(Target::at_most(&what, SMALLEST_MS, measured, milliseconds));
    }

    let mut table = Table::new(
        "From the process's start to its first poll of the Runtime API: medians (and nine of ten are faster than), in ms",
        &["CPU of", "against the floor", "this function", "the floor", "the old way"],
    );
    for &size in &sizes {
        let ms = |one| format!("{} ({})", number(init(one, size)), number(late_init(one, size)));
        table.row([
            name(size),
            times(to_floor(size)),
            ms(Contestant::Function),
            ms(Contestant::Floor),
            ms(Contestant::OldWay),
        ]);
    }
    section.tables.push(table);
    let mut table = Table::new(
        "From the process's start to the drain's POST: medians (and nine of ten are faster than), in ms",
        &["CPU of", "faster than the old way", "this function", "the same with a sweep", "the old way"],
    );
    for &size in &sizes {
        let ms = |one| format!("{} ({})", number(drain(one, size)), number(late(one, size)));
        let all = [Contestant::Function, Contestant::FunctionWithSweep, Contestant::OldWay].map(ms);
        table.row([name(size), times(to_old_way(size))].into_iter().chain(all));
    }
    section.tables.push(table);
    section.plots.push(plot(
        "cold-init",
        "From start to first poll (median)",
        &sizes,
        &[
            ("this function", &|size| init(Contestant::Function, size)),
            ("the floor", &|size| init(Contestant::Floor, size)),
            ("the old way", &|size| init(Contestant::OldWay, size)),
        ],
    ));
    section.plots.push(plot(
        "cold-drain",
        "From start to the drain's POST (median)",
        &sizes,
        &[
            ("this function", &|size| drain(Contestant::Function, size)),
            ("the same with a sweep", &|size| drain(Contestant::FunctionWithSweep, size)),
            ("the old way", &|size| drain(Contestant::OldWay, size)),
        ],
    ));
    section.how = how(without_quotas);
    section.data = json!(all);
    section
}

type Figure<'a> = (&'a str, &'a dyn Fn(Option<u32>) -> f64);

#[expect(clippy::cast_precision_loss, reason = "there are few sizes")]
fn plot(file: &str, title: &str, sizes: &[Option<u32>], figures: &[Figure<'_>]) -> Plot {
    let points = |of: &dyn Fn(Option<u32>) -> f64| {
        let points = sizes.iter().enumerate().map(|(place, &size)| (place as f64, of(size)));
        points.filter(|point| point.1.is_finite()).collect()
    };
    let series = figures.iter().map(|(name, of)| Series { name: (*name).to_owned(), points: points(*of) });
    Plot {
        name: file.to_owned(),
        title: title.to_owned(),
        x: "share of a CPU".to_owned(),
        y: "ms, each line ten times the one below".to_owned(),
        y_by_tens: true,
        shape: Shape::Bars {
            groups: sizes.iter().map(|&size| name(size)).collect(),
            series: series.collect(),
        },
    }
}

/// Every size that was measured, the largest first.
fn sizes(all: &[Samples]) -> Vec<Option<u32>> {
    let mut sizes = Vec::new();
    for one in all {
        if !sizes.contains(&one.memory_mb) {
            sizes.push(one.memory_mb);
        }
    }
    sizes
}

fn name(size: Option<u32>) -> String {
    size.map_or_else(|| "the whole machine".to_owned(), |memory_mb| format!("{memory_mb} MB"))
}

fn how(without_quotas: Option<&str>) -> Vec<String> {
    let quotas = match without_quotas {
        None => "Sizes are shares of one CPU as Lambda gives them, memory / 1,769 MB, as quotas of a control group with a period of \
                 20 ms. Lambda itself gives more CPU than that while a function starts, so the small sizes are worse here than \
                 there. A process that has used its share waits for the next 20 ms: in the small sizes a start that needs a little \
                 more than one share takes many times as long as one that needs a little less. Where several small processes fit into a part of the machine, they run side by side."
            .to_owned(),
        Some(why) => format!("Shares of a CPU could not be measured on this machine: {why}."),
    };
    vec![
        format!(
            "{STARTS} starts of each at each size, and {} of the function and the floor, in turn, after one that is not counted. The clock starts with the spawn; \
             in a small size, where a shell waits in the control group, with the word at which it becomes the program. It ends when the Runtime API is \
             asked for the first event, and when the drain's POST is read by the emulated Nomad server. Every start has an \
             account and a cluster of its own, on loopback: there is no network in these figures.",
            2 * STARTS
        ),
        quotas,
        "Every call but those of the Runtime API, which Lambda serves over plain HTTP, is HTTPS with a full handshake: TLS 1.3, \
         ECDSA P-256 certificates made for the run. The function is told their authority by `AWS_CA_BUNDLE` and \
         `NOMAD_CACERT`; without the former it would take the public authorities that are built in. It calls SSM for the token \
         and the servers of Nomad for the node, the node again, and the drain: two handshakes. With a sweep it asks Auto Scaling \
         for the group and its hooks before. The old way calls SSM, EC2, the \
         agent on the instance, and the servers of Nomad: four. As its predecessor did, it checks no certificate of Nomad's. \
         The random sleep of 1 to 30 s with which its predecessor began is left out."
            .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(contestant: Contestant, memory_mb: Option<u32>, init: f64, drain: Option<f64>) -> Samples {
        Samples {
            contestant,
            memory_mb,
            init_ms: vec![init, init + 1.0, init - 1.0],
            drain_ms: drain.into_iter().flat_map(|drain| [drain - 1.0, drain, drain + 50.0]).collect(),
        }
    }

    fn all() -> Vec<Samples> {
        vec![
            samples(Contestant::Function, None, 4.4, Some(10.0)),
            samples(Contestant::Floor, None, 4.0, None),
            samples(Contestant::OldWay, None, 500.0, Some(900.0)),
            samples(Contestant::Function, Some(128), 22.0, Some(160.0)),
            samples(Contestant::Floor, Some(128), 20.0, None),
            samples(Contestant::OldWay, Some(128), 7000.0, Some(6240.0)),
        ]
    }

    #[test]
    fn targets_are_judged_by_the_medians_and_the_worst_size() {
        let told: Vec<(String, bool)> =
            section(&all(), None).targets.into_iter().map(|it| (it.measured, it.met)).collect();
        let wanted = [("1.10 ×", true), ("39.0 ×", false), ("160 ms", false)];
        assert_eq!(told, wanted.map(|(measured, met)| (measured.to_owned(), met)));
    }

    #[test]
    fn a_machine_without_quotas_says_so_and_promises_nothing_for_them() {
        let whole: Vec<Samples> = all().into_iter().filter(|one| one.memory_mb.is_none()).collect();
        let section = section(&whole, Some("it has no control groups"));
        assert_eq!(section.targets.len(), 2);
        assert!(section.how.iter().any(|text| text.contains("it has no control groups")));
        assert_eq!(
            section.tables[1].rows,
            [["the whole machine", "90.0 ×", "10.0 (60.0)", "– (–)", "900 (950)"]]
        );
    }
}
