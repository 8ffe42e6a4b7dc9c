//! What a run has measured.

use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything that one run has measured.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Results {
    /// When it ended.
    pub(crate) taken_at: Timestamp,
    /// What was measured.
    pub(crate) commit: String,
    /// How long the run took, builds included, in seconds.
    pub(crate) took_s: f64,
    /// Where.
    pub(crate) machine: Machine,
    /// One for each measurement, in the order of the page.
    pub(crate) sections: Vec<Section>,
}

/// A machine.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Machine {
    /// The CPU's own name.
    pub(crate) cpu: String,
    /// `x86_64` or `aarch64`.
    pub(crate) architecture: String,
    /// How many the process may use.
    pub(crate) cores: usize,
    /// With its unit.
    pub(crate) memory: String,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// `rustc --version`.
    pub(crate) rustc: String,
    /// `python3 --version`.
    pub(crate) python: String,
}

/// One measurement: what the page says of it, and the samples behind it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Section {
    /// Its name after `--only`.
    pub(crate) name: String,
    /// Its heading.
    pub(crate) title: String,
    /// What a reader takes away, one sentence each, ratios first.
    pub(crate) headlines: Vec<String>,
    /// What was promised, and what came of it.
    pub(crate) targets: Vec<Target>,
    /// The figures.
    pub(crate) tables: Vec<Table>,
    /// And as pictures.
    pub(crate) plots: Vec<Plot>,
    /// How each figure was made, a paragraph each.
    pub(crate) how: Vec<String>,
    /// The samples, for other programs and for measurements that build on this one.
    pub(crate) data: Value,
}

/// Something that was promised.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Target {
    /// Of what.
    pub(crate) what: String,
    /// With its unit and its bound: `at most 1.25 ×`.
    pub(crate) wanted: String,
    /// With its unit.
    pub(crate) measured: String,
    /// Whether it was kept.
    pub(crate) met: bool,
}

/// A table. The first column names the rows.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Table {
    /// What it shows.
    pub(crate) caption: String,
    /// One for each column.
    pub(crate) head: Vec<String>,
    /// One cell for each column.
    pub(crate) rows: Vec<Vec<String>>,
}

/// A picture.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Plot {
    /// Its file's name, without `.svg`.
    pub(crate) name: String,
    /// What it shows.
    pub(crate) title: String,
    /// What stands below, with its unit.
    pub(crate) x: String,
    /// What grows upwards, with its unit.
    pub(crate) y: String,
    /// Whether each step upwards is ten times as much.
    pub(crate) y_by_tens: bool,
    /// How it is drawn.
    pub(crate) shape: Shape,
}

/// How a picture is drawn.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    /// A group of bars for each name.
    Bars {
        /// What stands below each group.
        groups: Vec<String>,
        /// A bar for each of their points; `x` is the group's place, from 0 on.
        series: Vec<Series>,
    },
    /// A line for each series.
    Lines {
        /// Whether each step to the right is ten times as much.
        x_by_tens: bool,
        /// The lines.
        series: Vec<Series>,
    },
}

/// Points that belong together.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Series {
    /// What they are.
    pub(crate) name: String,
    /// From left to right.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Section {
    /// An empty one.
    pub(crate) fn new(name: &str, title: &str) -> Self {
        Self { name: name.to_owned(), title: title.to_owned(), ..Self::default() }
    }
}

impl Target {
    /// Something that has to be at most so much.
    pub(crate) fn at_most(what: &str, bound: f64, measured: f64, unit: impl Fn(f64) -> String) -> Self {
        let wanted = format!("at most {}", unit(bound));
        Self { what: what.to_owned(), wanted, measured: unit(measured), met: measured <= bound }
    }

    /// Something that has to be at least so much.
    pub(crate) fn at_least(what: &str, bound: f64, measured: f64, unit: impl Fn(f64) -> String) -> Self {
        let wanted = format!("at least {}", unit(bound));
        Self { what: what.to_owned(), wanted, measured: unit(measured), met: measured >= bound }
    }
}

impl Table {
    /// An empty one.
    pub(crate) fn new(caption: &str, head: &[&str]) -> Self {
        let head = head.iter().map(|&name| name.to_owned()).collect();
        Self { caption: caption.to_owned(), head, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl Results {
    /// Reads what [`Results::write`] has written.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read(file).with_context(|| format!("{}: run cargo bench-all first", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{}", file.display()))
    }

    /// Keeps them, so that the page can be made again.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(file, text).with_context(|| format!("{}", file.display()))
    }
}
