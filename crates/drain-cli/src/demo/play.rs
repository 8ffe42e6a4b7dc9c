//! The play: who ends when, what goes wrong, and what the operator does.

use std::time::Duration;

use anyhow::bail;
use drain_lab::lambda::{InvocationRecord, Outcome};
use drain_lab::nomad::{DrainRequest, JobSpec};
use jiff::{SignedDuration, Timestamp};

use super::history::History;
use super::stage::{LOOK, PATIENCE, SERVICES, Stage};
use super::story::Story;
use super::timeline::Actor;

/// A play that goes on.
#[derive(Debug)]
pub(super) struct Play<'a, Look> {
    stage: &'a mut Stage,
    /// Called again and again.
    look: Look,
    ends: Timestamp,
}

impl<'a, Look: FnMut(&Stage)> Play<'a, Look> {
    /// A play that has not begun.
    pub(super) fn on(stage: &'a mut Stage, look: Look) -> Self {
        let ends = stage.lab.clock.now() + PATIENCE;
        Self { stage, look, ends }
    }

    /// Plays everything. It comes to an end in any case: what has not happened by then is in the report.
    pub(super) async fn play(mut self) -> anyhow::Result<()> {
        self.end(Story::Ordinary)?;
        self.end(Story::SlowKill)?;
        self.pause(1).await?;
        self.stage.lab.lose_events(true);
        self.end(Story::LostEvent)?;
        self.stage.note(Some(Story::LostEvent), Actor::Network, "the hook's message is lost on its way");
        self.pause(1).await?;
        self.stage.lab.lose_events(false);
        self.cancel_a_drain().await?;
        let first = [Story::Ordinary, Story::SlowKill, Story::LostEvent, Story::OperatorCancels];
        self.until(|history| first.iter().all(|story| history.is_over(*story))).await?;
        self.cut_nomad_off().await?;
        self.until(|history| history.is_over(Story::NomadOutage)).await?;
        let services = |stage: &Stage| SERVICES.iter().all(|(job, count)| stage.running(job) == *count);
        self.until(|history| services(history.stage)).await
    }

    async fn cancel_a_drain(&mut self) -> anyhow::Result<()> {
        let story = Story::OperatorCancels;
        self.end(story)?;
        self.until(|history| history.drained_at(story).is_some()).await?;
        self.pause(1).await?;
        self.stage.note(Some(story), Actor::Operator, "cancels the drain: the node takes work again");
        self.stage.operate(story, DrainRequest::cancel(true)).await?;
        self.until(|history| history.has_answered(story, "drain_cancelled")).await?;
        self.pause(2).await?;
        self.stage.note(Some(story), Actor::Operator, "drains the node himself, deadline 10m");
        let ten_minutes = DrainRequest::with_deadline(SignedDuration::from_mins(10));
        self.stage.operate(story, ten_minutes).await
    }

    async fn cut_nomad_off(&mut self) -> anyhow::Result<()> {
        let story = Story::NomadOutage;
        // Event and sweep are not to find it in the same moment: either would be right to drain it.
        self.until(|history| history.stage.is_between_sweeps()).await?;
        let second = Duration::from_secs(1);
        // One for each node that is left: work that is not over before the outage is. The function's calls try again for
        // up to 15 s before it says that it cannot reach Nomad; the drain's deadline comes meanwhile.
        let left = self.stage.staying.len() + 1;
        let job = JobSpec::batch("archive", left).runs_for(60 * second);
        let job = job.kill_timeout(6 * second).stop_takes(6 * second);
        self.stage.add_job(job, None).await?;
        self.end(story)?;
        self.until(|history| history.drained_at(story).is_some()).await?;
        self.pause(1).await?;
        self.stage.note(Some(story), Actor::Network, "Nomad's servers cannot be reached any more");
        self.stage.outage = Some((self.stage.lab.clock.now(), None));
        self.stage.set_unreachable(true);
        self.pause(6).await?;
        self.until(|history| history.has_held_through_outage(story)).await?;
        self.stage.set_unreachable(false);
        if let Some((_, to)) = &mut self.stage.outage {
            *to = Some(self.stage.lab.clock.now());
        }
        self.stage.note(Some(story), Actor::Network, "Nomad's servers can be reached again");
        Ok(())
    }

    /// Auto Scaling ends an instance.
    fn end(&self, story: Story) -> anyhow::Result<()> {
        Ok(self.stage.lab.aws.terminate_instance(&self.stage.part(story).worker.instance_id)?)
    }

    /// Lets some seconds pass.
    async fn pause(&mut self, seconds: i64) -> anyhow::Result<()> {
        let over = self.stage.lab.clock.now() + SignedDuration::from_secs(seconds);
        self.until(|history| history.stage.lab.clock.now() >= over).await
    }

    /// Looks on until something has happened, or it is too late for anything. A function that fails is told at once.
    async fn until(&mut self, happened: impl Fn(&History<'_>) -> bool) -> anyhow::Result<()> {
        loop {
            self.stage.look().await?;
            (self.look)(self.stage);
            if let Some(failed) = failure(self.stage) {
                bail!("the function failed: {failed}");
            }
            if happened(&History::of(self.stage)) || self.stage.lab.clock.now() >= self.ends {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn failure(stage: &Stage) -> Option<String> {
    let functions = stage.lab.lambda().into_iter().chain(stage.lab.sweeper());
    functions.flat_map(drain_lab::lambda::Lambda::invocations).find_map(|run: InvocationRecord| {
        match run.outcome {
            Outcome::Failed { error_type, payload } => {
                let message = payload["errorMessage"].as_str().unwrap_or("no message").to_owned();
                Some(format!("{error_type}: {message}"))
            }
            Outcome::Succeeded(_) | Outcome::Throttled => None,
        }
    })
}
