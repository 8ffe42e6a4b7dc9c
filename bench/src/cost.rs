//! To be computed.

use crate::ground::Ground;
use crate::report::Section;

/// Computes it from what was measured before.
#[expect(clippy::unused_async, reason = "nothing is computed yet")]
pub(crate) async fn measure(_ground: &Ground, _before: &[Section]) -> anyhow::Result<Section> {
    Ok(Section::new("cost", "To be computed"))
}
