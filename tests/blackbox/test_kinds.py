"""Every envelope, and every kind of event: interruptions, recommendations, changes of state, launches, ended instances."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

from parallel import load_tests  # noqa: F401
from wire import Reply
from world import DEFAULT_HOOK, GROUP, WorldTest, instance_id, launch, sns, termination

QUICK = {"POLL_INTERVAL": "200ms", "EVENT_LINGER": "1s"}
SWEEPING = {"SWEEP": "on", "AUTO_SCALING_GROUPS": "*"}


def bus(kind: str, source: str, detail: dict[str, Any], age: timedelta = timedelta()) -> dict[str, Any]:
    """As EventBridge tells it."""
    moment = datetime.now(timezone.utc) - age
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": kind,
        "source": source,
        "account": "123456789012",
        "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "eu-central-1",
        "resources": [],
        "detail": detail,
    }


def spot(instance: str, age: timedelta = timedelta()) -> dict[str, Any]:
    detail = {"instance-id": instance, "instance-action": "terminate"}
    return bus("EC2 Spot Instance Interruption Warning", "aws.ec2", detail, age)


def rebalance(instance: str, age: timedelta = timedelta()) -> dict[str, Any]:
    return bus("EC2 Instance Rebalance Recommendation", "aws.ec2", {"instance-id": instance}, age)


def state(instance: str, name: str, age: timedelta = timedelta()) -> dict[str, Any]:
    return bus("EC2 Instance State-change Notification", "aws.ec2", {"instance-id": instance, "state": name}, age)


def health(*entities: dict[str, str], **fields: Any) -> dict[str, Any]:
    detail = {
        "service": "EC2", "eventTypeCategory": "scheduledChange", "statusCode": "open", "backupEvent": "false",
        "eventTypeCode": "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED", "startTime": "Thu, 27 Aug 2099 13:19:03 GMT",
        "affectedEntities": list(entities), "page": "1", "totalPages": "1",
    } | fields  # fmt: skip
    return bus("AWS Health Event", "aws.health", detail)


def lifecycle(message: dict[str, Any]) -> dict[str, Any]:
    """The same hook's news on EventBridge."""
    verb = "terminate" if message["LifecycleTransition"].endswith("TERMINATING") else "launch"
    left_out = ("AccountId", "RequestId", "Service", "Time")
    detail = {name: value for name, value in message.items() if name not in left_out}
    return bus(f"EC2 Instance-{verb} Lifecycle Action", "aws.autoscaling", detail)


def sqs(*bodies: Any) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"message-{number}", "receiptHandle": "AQEB",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}, "md5OfBody": "e4e6",
                "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:q",
                "awsRegion": "eu-central-1",
            }
            for number, body in enumerate(bodies)
        ]
    }  # fmt: skip


def topic(message: dict[str, Any]) -> dict[str, Any]:
    """What SNS writes to a queue."""
    return {
        "Type": "Notification", "MessageId": str(uuid.uuid4()), "TopicArn": "arn:aws:sns:eu-central-1:1:t",
        "Message": json.dumps(message), "SigningCertURL": "https://sns", "UnsubscribeURL": "https://sns",
    }  # fmt: skip


class Kinds(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.node = self.world.node(self.instance)

    def held(self, hook: str = DEFAULT_HOOK) -> dict[str, Any]:
        """The hook's message, and Auto Scaling that knows of it."""
        message = termination(self.instance, LifecycleHookName=hook)
        self.world._happens(message)
        return message

    def deadline(self) -> float:
        """Of the newest drain, in seconds."""
        return self.world.drains[-1].json["DrainSpec"]["Deadline"] / 1e9


class Envelopes(Kinds):
    def assertSameEffect(self, wrap: Any, queue: bool) -> None:
        message = self.held()
        answer = self.world.invoke(wrap(message))
        body = self.assertDrained(self.node, answer)
        self.assertEqual(body["Meta"]["cause"], "terminate")
        self.assertEqual(body["Meta"]["lifecycle-hook"], DEFAULT_HOOK)
        self.assertEqual(body["DrainSpec"], {"Deadline": 3_600_000_000_000, "IgnoreSystemJobs": False})
        self.assertCompleted()
        if queue:
            self.assertEqual(answer.body, {"batchItemFailures": []})
        else:
            self.assertSaid(answer, "completed", "drained")

    def test_topic_to_function(self) -> None:
        self.assertSameEffect(sns, False)

    def test_topic_to_queue(self) -> None:
        self.assertSameEffect(lambda message: sqs(topic(message)), True)

    def test_topic_to_queue_raw_and_hook_to_queue(self) -> None:
        self.assertSameEffect(sqs, True)

    def test_hook_to_function(self) -> None:
        self.assertSameEffect(lambda message: message, False)

    def test_rule_to_function(self) -> None:
        self.assertSameEffect(lifecycle, False)

    def test_rule_to_queue(self) -> None:
        self.assertSameEffect(lambda message: sqs(lifecycle(message)), True)

    def test_a_bad_record_fails_alone(self) -> None:
        answer = self.world.invoke(sqs("not json", self.held(), {"AlarmName": "cpu"}, '{"LifecycleTransition": 7}'))
        self.assertEqual(answer.body, {"batchItemFailures": [
            {"itemIdentifier": "message-0"}, {"itemIdentifier": "message-3"},
        ]})  # fmt: skip
        self.assertEqual(len(self.world.drains), 1)
        self.assertCompleted()

    def test_a_record_whose_instance_cannot_be_begun_is_delivered_again(self) -> None:
        self.world.fail("drain", Reply.text(403, "Permission denied"), times=None)
        answer = self.world.invoke(sqs(self.held()), 3)
        self.assertEqual(answer.body, {"batchItemFailures": [{"itemIdentifier": "message-0"}]})

    def test_a_queue_without_a_sweep_is_a_warning(self) -> None:
        self.world.invoke(sqs(self.held()))
        self.assertTrue(self.warnings("queue", "SWEEP"), self._story())

    def test_event_bridge_acts_only_on_the_default_hook(self) -> None:
        answer = self.world.invoke(lifecycle(self.held("somebody-elses")))
        self.assertIgnored(answer, "other_hook")

    def test_event_bridge_acts_on_the_named_hook(self) -> None:
        answer = self.world.invoke(lifecycle(self.held("mine")), LIFECYCLE_HOOK_NAME="yours, mine")
        self.assertDrained(self.node, answer)

    def test_a_batch_reads_the_token_once(self) -> None:
        others = [instance_id() for _ in range(5)]
        messages = []
        for other in others:
            self.world.node(other)
            messages.append(termination(other, LifecycleHookName=DEFAULT_HOOK))
            self.world._happens(messages[-1])
        function = self.world.start()
        function.invoke(sqs(*messages))
        function.invoke(sqs(self.held()))
        self.assertEqual(len(self.world.drains), 6)
        self.assertEqual(len(self.world.calls("ssm")), 1)

    def test_a_replaced_token_is_read_again_once(self) -> None:
        function = self.world.start()
        function.invoke(sqs(self.held()))
        self.world.rotate_token()
        self.instance = instance_id()
        self.world.node(self.instance)
        self.assertSaid(function.invoke(self.held()), "completed", "drained")
        self.assertEqual(len(self.world.calls("ssm")), 2)


class Interruptions(Kinds):
    def test_two_minutes_less_a_margin(self) -> None:
        body = self.assertDrained(self.node, self.world.invoke(spot(self.instance)))
        self.assertGreater(self.deadline(), 90)
        self.assertLess(self.deadline(), 120)
        self.assertEqual(body["Meta"]["cause"], "spot")
        self.assertEqual(self.world.calls("ec2"), [], "EC2 is not asked")

    def test_less_its_age(self) -> None:
        self.assertDrained(self.node, self.world.invoke(spot(self.instance, timedelta(seconds=70))))
        self.assertLess(self.deadline(), 50)

    def test_hardly_any_time_left_is_force(self) -> None:
        self.assertDrained(self.node, self.world.invoke(spot(self.instance, timedelta(seconds=118))))
        self.assertEqual(self.deadline(), -1)

    def test_too_late(self) -> None:
        self.assertIgnored(self.world.invoke(spot(self.instance, timedelta(seconds=150))), "too_late")
        self.assertEqual(self.world.kinds(), [], "and nobody was asked")

    def test_a_capacity_reservation(self) -> None:
        detail = {"instance-id": self.instance, "instance-action": "terminate", "azId": "euc1-az1"}
        event = bus("EC2 Capacity Reservation Instance Interruption Warning", "aws.ec2", detail)
        event["resources"] = f"arn:aws:ec2:eu-central-1:1:instance/{self.instance}"
        self.assertDrained(self.node, self.world.invoke(event))
        self.assertLess(self.deadline(), 120)

    def test_a_running_drain_is_brought_forward_and_keeps_its_meta(self) -> None:
        self.node.draining_for(timedelta(minutes=50), {"who": "operator"})
        self.world.alloc(self.node, stop_takes=None)
        self.assertDrained(self.node, self.world.invoke(spot(self.instance)))
        self.assertLess(self.deadline(), 120)
        self.assertEqual(self.node.last_drain["Meta"], {"who": "operator"})

    def test_a_nearer_drain_is_left_alone(self) -> None:
        self.node.draining_for(timedelta(seconds=60))
        self.world.alloc(self.node, stop_takes=None)
        self.assertSaid(self.world.invoke(spot(self.instance)), "draining")
        self.assertNothingDrained()

    def test_a_stranger_costs_one_question(self) -> None:
        self.assertIgnored(self.world.invoke(spot(instance_id())), "not_our_instance")
        self.assertEqual([kind for kind in self.world.kinds() if kind != "ssm"], ["nodes"])


class MaySurvive(Kinds):
    def test_ignored_by_default(self) -> None:
        self.assertIgnored(self.world.invoke(rebalance(self.instance)), "rebalance_ignored")
        self.assertIgnored(self.world.invoke(health({"entityValue": self.instance})), "scheduled_change_ignored")

    def test_a_recommendation(self) -> None:
        body = self.assertDrained(self.node, self.world.invoke(rebalance(self.instance), ON_REBALANCE="drain", SWEEP="on"))
        self.assertEqual((body["Meta"]["cause"], self.deadline()), ("rebalance", 3600))

    def test_a_scheduled_change_of_several(self) -> None:
        other = instance_id()
        self.world.node(other)
        arn = f"arn:aws:ec2:eu-central-1:123456789012:instance/{self.instance}"
        event = health({"entityValue": arn}, {"entityValue": other}, {"entityValue": instance_id(), "status": "RESOLVED"})
        answer = self.world.invoke(event, ON_SCHEDULED_CHANGE="drain", SWEEP="on")
        self.assertEqual(len(self.world.drains), 2, answer)
        self.assertSaid(answer, "drain_started", "drain_posted")

    def test_one_that_is_closed_or_a_backup_drains_nothing(self) -> None:
        for fields in ({"statusCode": "closed"}, {"backupEvent": "true"}, {"service": "RDS"}):
            event = health({"entityValue": self.instance}, **fields)
            self.assertIgnored(self.world.invoke(event, ON_SCHEDULED_CHANGE="drain", SWEEP="on"))

    def test_a_late_one_of_an_instance_in_service(self) -> None:
        self.world.group()
        self.world.hold(self.instance, state="InService").hook = None
        answer = self.world.invoke(rebalance(self.instance, timedelta(hours=24)), ON_REBALANCE="drain", SWEEP="on")
        self.assertIgnored(answer, "no_longer_held")


class ChangesOfState(Kinds):
    def test_stopping_and_shutting_down_are_force(self) -> None:
        for name in ("stopping", "shutting-down"):
            self.world.invoke(state(self.instance, name))
            self.assertEqual(self.deadline(), -1)
            self.assertEqual(self.world.drains[-1].json["Meta"]["cause"], "state-change")
            self.node.drain, self.node.last_drain, self.node.eligibility = None, None, "eligible"

    def test_running_is_nothing(self) -> None:
        self.assertIgnored(self.world.invoke(state(self.instance, "running")), "instance_running")

    def test_ended_is_nothing_unless_nodes_are_purged(self) -> None:
        detail = {"EC2InstanceId": self.instance, "AutoScalingGroupName": GROUP}
        gone = bus("EC2 Instance Terminate Successful", "aws.autoscaling", detail)
        for event in (state(self.instance, "stopped"), state(self.instance, "terminated"), gone):
            self.assertIgnored(self.world.invoke(event), "instance_ended")
        self.assertEqual(self.world.kinds(), [])

    def test_a_node_that_is_down_is_purged_and_a_live_one_never(self) -> None:
        event = state(self.instance, "terminated")
        self.assertSaid(self.world.invoke(event, 9, PURGE_NODES="on", **QUICK), "held", "node_not_down")
        self.assertEqual(self.world.calls("purge"), [])
        self.node.status = "down"
        self.assertSaid(self.world.invoke(event, 9, PURGE_NODES="on", **QUICK), "completed", "node_purged")
        self.assertNotIn(self.node, self.world.nomad.nodes)

    def test_a_stopped_member_of_a_warm_pool_keeps_its_node(self) -> None:
        self.world.group(warm_pool=True)
        self.world.hold(self.instance, state="Warmed:Stopped").hook = None
        self.node.status = "down"
        self.world.invoke(state(self.instance, "stopped"), 9, PURGE_NODES="on", **QUICK)
        self.assertEqual(self.world.calls("purge"), [])


class Launches(Kinds):
    HOOK = "nomad-launch-hook"

    def coming(self) -> dict[str, Any]:
        self.world.may_cut_off = True  # it comes, it does not go
        message = launch(self.instance) | {"LifecycleHookName": self.HOOK}
        self.world.group()
        held = self.world.hold(self.instance, hook=self.HOOK, state="Pending:Wait")
        held.token = message["LifecycleActionToken"]
        return message

    def test_completed_when_the_node_is_ready(self) -> None:
        answer = self.world.invoke(sns(self.coming()), 9, ON_LAUNCH="wait", **QUICK)
        self.assertSaid(answer, "completed", "node_ready")
        self.assertNothingDrained()
        self.assertCompleted()

    def test_not_before(self) -> None:
        message = self.coming()
        for status, eligibility in (("initializing", "eligible"), ("down", "eligible"), ("ready", "ineligible")):
            self.node.status, self.node.eligibility = status, eligibility
            answer = self.world.invoke(sns(message), 9, ON_LAUNCH="wait", **QUICK, **SWEEPING)
            self.assertSaid(answer, "held", "waiting_for_node|node_not_eligible")
        self.assertNotCompleted()
        self.assertEqual(self.world.calls("heartbeat"), [])

    def test_ignored_by_default_and_for_other_hooks(self) -> None:
        self.assertIgnored(self.world.invoke(sns(self.coming())), "launch_transition")
        message = self.coming()
        answer = self.world.invoke(sns(message), ON_LAUNCH="wait", LAUNCH_HOOK_NAME="another")
        self.assertIgnored(answer, "other_hook")
