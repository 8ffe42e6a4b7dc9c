//! The whole page of a run that never was.

use serde_json::json;

use super::*;

fn results() -> Results {
    let mut cold = Section::new("cold", "Cold start");
    cold.headlines.push(
        "From its start to the drain's POST the function is **52.1 ×** faster than the old way.".to_owned(),
    );
    cold.targets.push(Target::at_most(
        "start to first poll, against the floor",
        1.25,
        1.19,
        crate::units::times,
    ));
    cold.targets.push(Target::at_least(
        "start to drain, against the old way",
        40.0,
        38.0,
        crate::units::times,
    ));
    let mut table = Table::new("Start to drain", &["memory", "this function", "the old way"]);
    table.row(["128 MB".to_owned(), "98.0 ms".to_owned(), "7,900 ms | at best".to_owned()]);
    cold.tables.push(table);
    cold.plots.push(Plot {
        name: "cold-drain".to_owned(),
        title: "From start to drain".to_owned(),
        x: "memory".to_owned(),
        y: "milliseconds".to_owned(),
        y_by_tens: true,
        shape: Shape::Bars {
            groups: vec!["128 MB".to_owned(), "full".to_owned()],
            series: vec![
                Series { name: "this function".to_owned(), points: vec![(0.0, 98.0), (1.0, 12.0)] },
                Series { name: "the old way".to_owned(), points: vec![(0.0, 7900.0)] },
            ],
        },
    });
    cold.how.push("Twenty starts of each, in turn.".to_owned());
    cold.data = json!({"samples": [98.0]});
    let mut ladder = Section::new("ladder", "Many at once");
    ladder.plots.push(Plot {
        name: "ladder-calls".to_owned(),
        title: "Calls & instances".to_owned(),
        x: "instances".to_owned(),
        y: "calls".to_owned(),
        y_by_tens: false,
        shape: Shape::Lines {
            x_by_tens: true,
            series: vec![Series { name: "Nomad".to_owned(), points: vec![(100.0, 300.0), (1000.0, 3000.0)] }],
        },
    });
    Results {
        taken_at: "2026-11-29T16:00:00Z".parse().unwrap(),
        commit: "0123456789ab".to_owned(),
        took_s: 480.0,
        machine: Machine {
            cpu: "A CPU".to_owned(),
            architecture: "x86_64".to_owned(),
            cores: 2,
            memory: "25.2 GB of memory".to_owned(),
            kernel: "6.18".to_owned(),
            rustc: "rustc 1.95.0".to_owned(),
            python: "Python 3.11.7".to_owned(),
        },
        sections: vec![cold, ladder],
    }
}

#[test]
fn the_page() {
    insta::assert_snapshot!("page", markdown::page(&results()));
}

#[test]
fn the_plots() {
    for plot in results().sections.iter().flat_map(|section| &section.plots) {
        insta::assert_snapshot!(plot.name.clone(), svg::draw(plot));
    }
}

#[test]
fn the_page_can_be_made_again_from_what_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, results) = (folder.path().join("kept/results.json"), results());
    results.write(&kept).unwrap();
    assert_eq!(Results::read(&kept).unwrap(), results);
}

#[test]
fn plots_of_an_earlier_run_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("performance/old.svg");
    std::fs::create_dir_all(old.parent().unwrap()).unwrap();
    std::fs::write(&old, "").unwrap();
    write(&results(), folder.path()).unwrap();
    assert!(!old.exists());
    assert!(folder.path().join("performance/cold-drain.svg").exists());
    assert!(folder.path().join("performance.md").exists());
}
