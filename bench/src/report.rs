//! The page: what was measured, as plain data, and the Markdown and SVG that are made of it.

mod markdown;
mod results;
mod svg;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::Context as _;

pub(crate) use self::results::{Machine, Plot, Results, Section, Series, Shape, Table, Target};

/// Writes `performance.md` and its plots into a folder. Plots of an earlier run are gone afterwards.
pub(crate) fn write(results: &Results, out: &Path) -> anyhow::Result<()> {
    let plots = out.join("performance");
    std::fs::create_dir_all(&plots).with_context(|| format!("{}", plots.display()))?;
    for old in std::fs::read_dir(&plots)? {
        let old = old?.path();
        if old.extension().is_some_and(|extension| extension == "svg") {
            std::fs::remove_file(&old)?;
        }
    }
    for plot in results.sections.iter().flat_map(|section| &section.plots) {
        let file = plots.join(format!("{}.svg", plot.name));
        std::fs::write(&file, svg::draw(plot)).with_context(|| format!("{}", file.display()))?;
    }
    let page = out.join("performance.md");
    std::fs::write(&page, markdown::page(results)).with_context(|| format!("{}", page.display()))
}
