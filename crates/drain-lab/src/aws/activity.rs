//! A group's history: scaling activities begin and end.

use jiff::Timestamp;

use super::activity_event::ActivityEnd;
use super::ec2_event::Ec2News;
use super::hook::Transition;
use super::instance::Activity;
use super::lifecycle::Journey;
use super::state::State;

impl State {
    /// Notes that something begins for an instance.
    pub(super) fn begin_activity(&mut self, index: usize, description: String, at: Timestamp) {
        let id = self.ids.uuid();
        let instance = &self.instances[index].instance;
        let (instance_id, group) = (instance.id.clone(), instance.group.clone());
        let cause = format!("At {at:.0} the lab asked for it.");
        if let Ok(group) = self.group_mut(&group) {
            group.activities.push(Activity {
                id,
                instance_id,
                description,
                cause,
                started_at: at,
                ended_at: None,
            });
        }
    }

    /// Ends what goes on for an instance, and tells the end of the activity that belongs to its journey.
    pub(super) fn end_activity(&mut self, index: usize, journey: Journey, at: Timestamp) {
        let instance = &self.instances[index].instance;
        let (id, group) = (instance.id.clone(), instance.group.clone());
        let facts = journey.facts();
        let Ok(group) = self.group_mut(&group) else { return };
        let open = |activity: &&mut Activity| activity.instance_id == id && activity.ended_at.is_none();
        let mut ended = Vec::new();
        for activity in group.activities.iter_mut().filter(open) {
            activity.ended_at = Some(at);
            ended.push(activity.clone());
        }
        // What was given up on the way, as a launch that a hook abandoned, is not told as a success.
        let kind = match facts.transition {
            Transition::Launching => "Launching",
            Transition::Terminating => "Terminating",
        };
        let is_told = |activity: &Activity| activity.description.starts_with(kind);
        let Some(activity) = ended.into_iter().rfind(is_told) else { return };
        let end = ActivityEnd {
            transition: facts.transition,
            group: group.settings.name.clone(),
            group_arn: group.arn.clone(),
            activity,
            origin: facts.origin,
            destination: facts.destination,
        };
        self.announce(index, Ec2News::ActivityEnded(Box::new(end)), at);
    }
}
