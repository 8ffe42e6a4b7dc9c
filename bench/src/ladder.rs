//! To be measured.

use crate::ground::Ground;
use crate::report::Section;

/// Measures it.
#[expect(clippy::unused_async, reason = "nothing is measured yet")]
pub(crate) async fn measure(_ground: &Ground) -> anyhow::Result<Section> {
    Ok(Section::new("ladder", "To be measured"))
}
