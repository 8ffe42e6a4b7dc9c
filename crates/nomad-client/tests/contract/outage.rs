//! Servers that stop, and start again.

use crate::stage::{CALL, Stage, batch, last_drain};

pub(crate) async fn a_drain_survives_its_servers(stage: &Stage) {
    stage.run_on(&batch("survivor"), 0, 1).await;
    stage.drain(0, 3600, "survivor").await;
    let before = stage.node(0).await;
    stage.stop_servers().await;
    let error = stage.nomad.node(stage.id(0), CALL).await.unwrap_err();
    assert!(error.is_transient() && error.refusal().is_none(), "{error}");
    stage.start_servers().await;
    let after =
        stage.found("the servers are back", async || stage.nomad.node(stage.id(0), CALL).await.ok()).await;
    assert_eq!(after.drain_strategy, before.drain_strategy);
    assert_eq!(last_drain(&after), last_drain(&before));
    assert_eq!(stage.running(0, "survivor").await, 1);
    // The drainer goes on where it was.
    stage.stop("survivor").await;
    stage.drained(0).await;
}
