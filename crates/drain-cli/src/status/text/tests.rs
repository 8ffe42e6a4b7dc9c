use std::collections::BTreeMap;

use super::super::view::Node;
use super::*;

const NOW: &str = "2026-11-29T15:02:13Z";

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn today(clock: &str) -> Timestamp {
    moment(&format!("2026-11-29T{clock}Z"))
}

/// An instance whose drain runs as it should.
fn draining(number: u8) -> Row {
    Row {
        instance_id: format!("i-0123456789abcde{number:02}"),
        auto_scaling_group: Some("workers".to_owned()),
        lifecycle_hooks: vec!["nomad-drain-hook".to_owned()],
        state: "Terminating:Wait".to_owned(),
        nomad_cluster: None,
        nodes: Some(vec![Node {
            node_id: "6f0d3a52-6f5e-4a53-9d3c-0a1b2c3d4e5f".to_owned(),
            name: format!("worker-{number}"),
            status: "ready",
            eligible: false,
        }]),
        held_since: Some(today("14:50:08")),
        held_for_s: Some(725),
        drains_since: Some(today("14:50:10")),
        deadline: Some(today("15:50:10")),
        next_heartbeat: Some(today("15:04:00")),
        allocations_left: Some(BTreeMap::from([("web".to_owned(), 2), ("report".to_owned(), 1)])),
        attention: Attention::None,
        decision: "wait",
        reason: Some("allocations_running"),
        why: format!(
            "3 allocations still run: report (default), web (default), web (default) on node worker-{number} of \
             i-0123456789abcde{number:02}"
        ),
    }
}

/// Instances in all sorts of trouble.
fn troubled() -> Vec<Row> {
    let batch = Some("batch".to_owned());
    let held_long = Row {
        auto_scaling_group: batch.clone(),
        held_since: Some(moment("2026-11-27T11:00:00Z")),
        drains_since: Some(moment("2026-11-27T11:00:02Z")),
        deadline: Some(moment("2026-11-28T11:00:00Z")),
        allocations_left: None,
        attention: Attention::Error,
        reason: Some("cannot_see_allocations"),
        why: "the Nomad token may not read jobs in every namespace, so that nobody can tell whether node worker-7 of \
              i-0123456789abcde07 is empty. Add to its policy: namespace \"*\" { capabilities = [\"read-job\"] }"
            .to_owned(),
        ..draining(7)
    };
    let without_node = Row {
        auto_scaling_group: batch,
        nodes: Some(vec![]),
        drains_since: None,
        deadline: None,
        next_heartbeat: None,
        held_since: None,
        allocations_left: None,
        attention: Attention::Warning,
        reason: Some("held_without_node"),
        why: "no node is known for i-0123456789abcde08, and ON_NODE_NOT_FOUND is hold".to_owned(),
        ..draining(8)
    };
    let unseen = Row {
        nodes: None,
        drains_since: None,
        deadline: None,
        next_heartbeat: Some(today("15:02:11")),
        allocations_left: None,
        attention: Attention::Error,
        reason: Some("nomad_unreachable"),
        why: "nobody can tell what runs on i-0123456789abcde03".to_owned(),
        ..draining(3)
    };
    let empty = Row {
        allocations_left: Some(BTreeMap::new()),
        decision: "complete",
        reason: Some("drained"),
        why: "the lifecycle action of i-0123456789abcde02 would be completed with CONTINUE (drained)"
            .to_owned(),
        ..draining(2)
    };
    vec![held_long, without_node, draining(1), empty, unseen]
}

fn view(instances: Vec<Row>) -> View {
    View::for_test(moment("2026-11-29T15:02:11Z"), &["batch", "workers"], instances)
}

fn drawn(newest: &Newest, width: usize) -> String {
    frame(newest, &Drawing { now: moment(NOW), width, colours: false }).join("\n")
}

fn seen(view: View) -> Newest {
    Newest { view: Some(view), failed: None }
}

#[track_caller]
fn assert_fits(text: &str, width: usize) {
    for line in text.lines() {
        assert!(line.chars().count() <= width, "wider than {width}: {line}");
    }
}

#[test]
fn in_160_columns_it_is_a_table() {
    let text = drawn(&seen(view(troubled())), 160);
    assert_fits(&text, 160);
    insta::assert_snapshot!(text);
}

#[test]
fn in_80_columns_each_instance_has_some_lines() {
    let text = drawn(&seen(view(troubled())), 80);
    assert_fits(&text, 80);
    insta::assert_snapshot!(text);
}

#[test]
fn without_held_instances_it_says_what_was_looked_at() {
    insta::assert_snapshot!(drawn(&seen(view(vec![])), 80));
}

#[test]
fn a_look_that_failed_is_told_above_what_was_seen_before() {
    let error =
        "the Auto Scaling groups could not be listed: nothing answers at autoscaling.eu-west-1.amazonaws.com";
    let failed = Some((moment("2026-11-29T15:02:12Z"), error.to_owned()));
    let both = Newest { view: Some(view(vec![draining(1)])), failed: failed.clone() };
    insta::assert_snapshot!(drawn(&both, 80));
    insta::assert_snapshot!(drawn(&Newest { view: None, failed }, 80));
}

#[test]
fn problems_and_what_the_limit_leaves_out_are_told() {
    let mut view = view(troubled());
    view.problems = vec!["AUTO_SCALING_GROUPS names wokers, and there is no group of that name".to_owned()];
    view.instances.truncate(1);
    insta::assert_snapshot!(drawn(&seen(view), 80));
}

#[test]
fn long_names_are_cut_in_a_table_and_shown_in_full_elsewhere() {
    let mut row = draining(1);
    row.nodes.as_mut().unwrap()[0].name = "ip-10-0-112-134.eu-west-1.compute.internal".to_owned();
    row.state = "Warmed:Terminating:Wait".to_owned();
    let jobs = ["web", "api", "report", "ingest", "cache"].map(|job| (format!("prod-{job}"), 3));
    row.allocations_left = Some(BTreeMap::from(jobs));
    let text = drawn(&seen(view(vec![row])), 172);
    assert_fits(&text, 172);
    assert!(text.contains("ip-10-0-112-134.eu-west-1.c…"), "{text}");
    let text = drawn(&seen(view(vec![draining(1)])), 40);
    assert_fits(&text, 40);
}

#[test]
fn what_needs_attention_comes_first_and_groups_stay_together() {
    let group = |name: &str, row: Row| Row { auto_scaling_group: Some(name.to_owned()), ..row };
    let warned = Row { attention: Attention::Warning, ..draining(5) };
    let younger = Row { held_since: Some(today("15:00:00")), ..draining(6) };
    let mut rows = vec![group("api", draining(4)), younger, warned];
    rows.extend(troubled());

    super::super::view::sort(&mut rows, moment(NOW));

    let order: Vec<&str> =
        rows.iter().map(|row| row.instance_id.trim_start_matches("i-0123456789abcde")).collect();
    // batch: an error and a warning; workers: an error, a warning, and those that are held for longest; api has nothing.
    assert_eq!(order, ["07", "08", "03", "05", "01", "02", "06", "04"]);
}

#[test]
fn every_width_is_kept() {
    for width in 20..200 {
        assert_fits(&drawn(&seen(view(troubled())), width), width);
    }
}

#[test]
fn colours_stress_words_and_add_none() {
    let drawing = Drawing { now: moment(NOW), width: 80, colours: true };
    let coloured = table(&view(troubled()), &drawing).join("\n");
    assert!(coloured.contains("\x1b[31m") && coloured.contains("\x1b[33m"), "{coloured:?}");
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    assert_eq!(plain, drawn(&seen(view(troubled())), 80));
}
