"""Auto Scaling as far as lifecycle hooks need it: the query protocol, groups, holds, activities.

Nothing expires here by itself: a test that needs an old hold says so with `since`.
Every completion keeps what was still running at that moment, so that no test has to look for itself.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Callable, Iterable, Iterator
from xml.sax.saxutils import escape

from wire import Call, Reply

XMLNS = "http://autoscaling.amazonaws.com/doc/2011-01-01/"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
KINDS = {
    "DescribeAutoScalingGroups": "groups",
    "DescribeAutoScalingInstances": "instances",
    "DescribeLifecycleHooks": "hooks",
    "DescribeWarmPool": "warm_pool",
    "DescribeScalingActivities": "activities",
    "RecordLifecycleActionHeartbeat": "heartbeat",
    "CompleteLifecycleAction": "complete",
}


@dataclass
class Hook:
    name: str
    heartbeat_timeout: int = 3600
    transition: str = TERMINATING
    default_result: str = "CONTINUE"

    @property
    def global_timeout(self) -> int:
        return min(172_800, 100 * self.heartbeat_timeout)


@dataclass
class Held:
    """An instance of a group. While `hook` is set, that hook holds it."""

    instance_id: str
    group: str
    state: str = "InService"
    hook: str | None = None
    token: str = field(default_factory=lambda: str(uuid.uuid4()))
    since: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    lifecycle: str = "on-demand"


@dataclass
class Group:
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    hooks: list[Hook] = field(default_factory=list)
    warm_pool: bool = False


@dataclass
class Completion:
    instance_id: str
    result: str
    at: float  # time.monotonic()
    running: list[str]  # what still ran on it
    call: Call


@dataclass
class FakeAutoScaling:
    groups: dict[str, Group] = field(default_factory=dict)
    instances: dict[str, Held] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)  # actions that the role may not do
    completions: list[Completion] = field(default_factory=list)
    heartbeats: list[str] = field(default_factory=list)  # instance ids, accepted ones only
    running_on: Callable[[str], list[str]] = lambda instance_id: []
    page: int = 50  # the most that one page holds
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def handles(self, call: Call) -> bool:
        return call.form.get("Action") in KINDS

    def kind(self, call: Call) -> str:
        return KINDS[call.form["Action"]]

    def reply(self, call: Call) -> Reply:
        action, form = call.form["Action"], call.form
        if not call.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 Credential="):
            return error(403, "MissingAuthenticationToken", "Missing Authentication Token")
        if "/autoscaling/aws4_request" not in call.headers["authorization"]:
            return error(403, "SignatureDoesNotMatch", "Credential should be scoped to correct service: 'autoscaling'.")
        if form.get("Version") != "2011-01-01":
            return error(400, "InvalidAction", f"Could not find operation {action} for version {form.get('Version')}")
        if action in self.denied:
            return access_denied(action, form.get("AutoScalingGroupName"))
        with self._lock:
            try:
                body = getattr(self, f"_{KINDS[action]}")(form, call)
            except Refused as refused:
                return refused.reply
        return Reply(
            200,
            f'<{action}Response xmlns="{XMLNS}">\n  <{action}Result>{body}</{action}Result>\n  '
            f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>\n</{action}Response>\n",
            {"Content-Type": "text/xml", "x-amzn-RequestId": str(uuid.uuid4())},
        )

    # ---- what a test does

    def group(self, name: str, *hooks: Hook, tags: dict[str, str] | None = None, warm_pool: bool = False) -> Group:
        group = Group(name, tags if tags is not None else {"nomad-drain": "on"}, list(hooks), warm_pool)
        self.groups[name] = group
        return group

    def hold(
        self, instance_id: str, group: str, hook: str, state: str = "Terminating:Wait", ago: timedelta = timedelta()
    ) -> Held:
        held = Held(instance_id, group, state, hook, since=datetime.now(timezone.utc) - ago)
        self.instances[instance_id] = held
        return held

    def results(self, instance_id: str) -> list[str]:
        return [done.result for done in self.completions if done.instance_id == instance_id]

    # ---- the describe calls

    def _groups(self, form: dict[str, str], call: Call) -> str:
        names, tests = _members(form, "AutoScalingGroupNames"), list(_filters(form))
        limit = _limit(form, self.page, 100)
        if len(names) > limit:
            raise Refused(400, "ValidationError", "The number of names may not be more than MaxRecords")
        chosen = [
            group
            for group in self.groups.values()
            if (not names or group.name in names) and all(test(group) for test in tests)
        ]
        show = form.get("IncludeInstances", "true") != "false"
        return self._paged(form, limit, "AutoScalingGroups", (self._group_xml(group, show) for group in chosen))

    def _group_xml(self, group: Group, show_instances: bool) -> str:
        mine = [held for held in self.instances.values() if held.group == group.name and not _warmed(held.state)]
        tags = "".join(
            f"<member><ResourceId>{escape(group.name)}</ResourceId><ResourceType>auto-scaling-group</ResourceType>"
            f"<Key>{escape(key)}</Key><Value>{escape(value)}</Value>"
            "<PropagateAtLaunch>false</PropagateAtLaunch></member>"
            for key, value in group.tags.items()
        )
        pool = (
            "<WarmPoolConfiguration><MinSize>0</MinSize><PoolState>Stopped</PoolState></WarmPoolConfiguration>"
            f"<WarmPoolSize>{len(self._warm(group.name))}</WarmPoolSize>"
            if group.warm_pool
            else ""
        )
        arn = (
            "arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:"
            f"{uuid.uuid5(uuid.NAMESPACE_DNS, group.name)}:autoScalingGroupName/{escape(group.name)}"
        )
        return (
            f"<AutoScalingGroupName>{escape(group.name)}</AutoScalingGroupName>"
            f"<AutoScalingGroupARN>{arn}</AutoScalingGroupARN>"
            "<LaunchTemplate><LaunchTemplateId>lt-0a</LaunchTemplateId><Version>1</Version></LaunchTemplate>"
            "<MinSize>0</MinSize><MaxSize>9</MaxSize><DesiredCapacity>3</DesiredCapacity>"
            "<DefaultCooldown>300</DefaultCooldown>"
            "<AvailabilityZones><member>eu-central-1a</member></AvailabilityZones>"
            "<LoadBalancerNames/><TargetGroupARNs/><HealthCheckType>EC2</HealthCheckType>"
            "<HealthCheckGracePeriod>300</HealthCheckGracePeriod>"
            f"<Instances>{''.join(map(_instance_xml, mine)) if show_instances else ''}</Instances>"
            "<CreatedTime>2026-01-02T03:04:05.678Z</CreatedTime><SuspendedProcesses/>"
            "<VPCZoneIdentifier>subnet-1,subnet-2</VPCZoneIdentifier><EnabledMetrics/>"
            f"<Tags>{tags}</Tags><TerminationPolicies><member>Default</member></TerminationPolicies>"
            f"<NewInstancesProtectedFromScaleIn>false</NewInstancesProtectedFromScaleIn>{pool}"
        )

    def _instances(self, form: dict[str, str], call: Call) -> str:
        names = _members(form, "InstanceIds")
        if len(names) > 50:
            raise Refused(400, "ValidationError", "The number of instance ids may not be more than 50")
        # Asked by name, instances of a warm pool are shown too.
        chosen = [
            held for held in self.instances.values()
            if (held.instance_id in names if names else not _warmed(held.state))
        ]  # fmt: skip
        return self._paged(
            form,
            _limit(form, min(50, self.page), 50),
            "AutoScalingInstances",
            (
                f"<InstanceId>{held.instance_id}</InstanceId><InstanceType>t3.small</InstanceType>"
                f"<AutoScalingGroupName>{escape(held.group)}</AutoScalingGroupName>"
                f"<AvailabilityZone>eu-central-1a</AvailabilityZone><LifecycleState>{held.state}</LifecycleState>"
                "<HealthStatus>HEALTHY</HealthStatus><ProtectedFromScaleIn>false</ProtectedFromScaleIn>"
                for held in chosen
            ),
        )

    def _hooks(self, form: dict[str, str], call: Call) -> str:
        group = self._known_group(form)
        names = _members(form, "LifecycleHookNames")
        chosen = [hook for hook in group.hooks if not names or hook.name in names]
        members = (
            f"<member><LifecycleHookName>{escape(hook.name)}</LifecycleHookName>"
            f"<AutoScalingGroupName>{escape(group.name)}</AutoScalingGroupName>"
            f"<LifecycleTransition>{hook.transition}</LifecycleTransition>"
            f"<HeartbeatTimeout>{hook.heartbeat_timeout}</HeartbeatTimeout>"
            f"<GlobalTimeout>{hook.global_timeout}</GlobalTimeout>"
            f"<DefaultResult>{hook.default_result}</DefaultResult></member>"
            for hook in chosen
        )
        return f"<LifecycleHooks>{''.join(members)}</LifecycleHooks>"

    def _warm_pool(self, form: dict[str, str], call: Call) -> str:
        group = self._known_group(form)
        if not group.warm_pool:
            return "<Instances/>"
        configuration = (
            "<WarmPoolConfiguration><MinSize>0</MinSize><PoolState>Stopped</PoolState></WarmPoolConfiguration>"
        )
        shown = (_instance_xml(held, wrap=False) for held in self._warm(group.name))
        return configuration + self._paged(form, _limit(form, self.page, 50), "Instances", shown)

    def _activities(self, form: dict[str, str], call: Call) -> str:
        name = form.get("AutoScalingGroupName")
        mine = [held for held in self.instances.values() if held.hook is not None and name in (None, held.group)]
        mine.sort(key=lambda held: held.since, reverse=True)
        return self._paged(form, _limit(form, self.page, 100), "Activities", map(_activity_xml, mine))

    def _known_group(self, form: dict[str, str]) -> Group:
        name = form.get("AutoScalingGroupName", "")
        if name not in self.groups:
            raise Refused(400, "ValidationError", f"AutoScalingGroup name not found - Group {name} not found")
        return self.groups[name]

    def _warm(self, group: str) -> list[Held]:
        return [held for held in self.instances.values() if held.group == group and _warmed(held.state)]

    def _paged(self, form: dict[str, str], limit: int, name: str, members: Iterable[str]) -> str:
        everything = list(members)
        start = 0
        if token := form.get("NextToken"):
            if not (match := re.fullmatch(r"page/(\d+)\+=&amp;", token)):
                raise Refused(400, "InvalidNextToken", "The NextToken value is not valid.")
            start = int(match[1])
        shown = "".join(f"<member>{member}</member>" for member in everything[start : start + limit])
        # The token has letters that need escaping, in XML and in a form.
        more = escape(f"page/{start + limit}+=&amp;") if start + limit < len(everything) else ""
        return f"<{name}>{shown}</{name}>" + (f"<NextToken>{more}</NextToken>" if more else "")

    # ---- the lifecycle action

    def _heartbeat(self, form: dict[str, str], call: Call) -> str:
        held = self._active(form)
        self.heartbeats.append(held.instance_id)
        return ""

    def _complete(self, form: dict[str, str], call: Call) -> str:
        if form.get("LifecycleActionResult") not in ("CONTINUE", "ABANDON"):
            raise Refused(400, "ValidationError", "Value at 'lifecycleActionResult' is not CONTINUE or ABANDON")
        held = self._active(form)
        running = self.running_on(held.instance_id)
        self.completions.append(
            Completion(held.instance_id, form["LifecycleActionResult"], time.monotonic(), running, call)
        )
        held.hook, held.state = None, held.state.replace(":Wait", ":Proceed")
        return ""

    def _active(self, form: dict[str, str]) -> Held:
        missing = [n for n in ("LifecycleHookName", "AutoScalingGroupName") if not form.get(n)]
        if missing:
            raise Refused(400, "ValidationError", f"1 validation error detected: Value null at '{missing[0]}'")
        instance, token = form.get("InstanceId"), form.get("LifecycleActionToken")
        if token is not None and len(token) != 36:
            raise Refused(400, "ValidationError", "Value at 'lifecycleActionToken' failed: length must be 36")
        if instance is None and token is None:
            raise Refused(400, "ValidationError", "Either InstanceId or LifecycleActionToken must be specified")
        for held in self.instances.values():
            if held.hook != form["LifecycleHookName"] or held.group != form["AutoScalingGroupName"]:
                continue
            if instance in (None, held.instance_id) and token in (None, held.token):
                return held
        raise Refused(400, "ValidationError", no_active_action(instance, token))


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = error(status, code, message)


def no_active_action(instance: str | None, token: str | None = None) -> str:
    by = f"instance ID {instance}" if instance else f"token {token}"
    return f"No active Lifecycle Action found with {by}"


def error(status: int, code: str, message: str) -> Reply:
    body = (
        f'<ErrorResponse xmlns="{XMLNS}">\n  <Error>\n    <Type>Sender</Type>\n    <Code>{escape(code)}</Code>\n'
        f"    <Message>{escape(message)}</Message>\n  </Error>\n  <RequestId>{uuid.uuid4()}</RequestId>\n"
        "</ErrorResponse>\n"
    )
    return Reply(status, body, {"Content-Type": "text/xml"})


def throttled() -> Reply:
    return error(400, "Throttling", "Rate exceeded")


def access_denied(action: str, group: str | None = None) -> Reply:
    resource = f"arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:*:autoScalingGroupName/{group or '*'}"
    return error(
        403,
        "AccessDenied",
        "User: arn:aws:sts::123456789012:assumed-role/nomad-drain/nomad-drain is not authorized to perform: "
        f"autoscaling:{action} on resource: {resource} because no identity-based policy allows the "
        f"autoscaling:{action} action",
    )


def _warmed(state: str) -> bool:
    return state.startswith("Warmed:")


def _instance_xml(held: Held, wrap: bool = True) -> str:
    body = (
        f"<InstanceId>{held.instance_id}</InstanceId><InstanceType>t3.small</InstanceType>"
        f"<AvailabilityZone>eu-central-1a</AvailabilityZone><LifecycleState>{held.state}</LifecycleState>"
        "<HealthStatus>Healthy</HealthStatus><ProtectedFromScaleIn>false</ProtectedFromScaleIn>"
    )
    return f"<member>{body}</member>" if wrap else body


def _activity_xml(held: Held) -> str:
    start = held.since.strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f"<ActivityId>{uuid.uuid4()}</ActivityId><AutoScalingGroupName>{escape(held.group)}</AutoScalingGroupName>"
        f"<Description>Terminating EC2 instance: {held.instance_id}</Description>"
        f"<Cause>At {start} instance {held.instance_id} was selected for termination.</Cause>"
        f"<StartTime>{start}</StartTime><StatusCode>MidTerminatingLifecycleAction</StatusCode><Progress>60</Progress>"
        '<Details>{"Subnet ID":"subnet-1","Availability Zone":"eu-central-1a"}</Details>'
    )


def _members(form: dict[str, str], name: str) -> list[str]:
    pattern = re.compile(rf"{re.escape(name)}\.member\.(\d+)")
    found = [(int(match[1]), value) for key, value in form.items() if (match := pattern.fullmatch(key))]
    return [value for _, value in sorted(found)]


def _limit(form: dict[str, str], page: int, most: int) -> int:
    asked = int(form.get("MaxRecords", 50))
    if not 1 <= asked <= most:
        raise Refused(400, "ValidationError", f"MaxRecords must be between 1 and {most}, was {asked}")
    return min(asked, page)


def _filters(form: dict[str, str]) -> Iterator[Callable[[Group], bool]]:
    numbers = sorted({int(m[1]) for key in form if (m := re.match(r"Filters\.member\.(\d+)\.", key))})
    for number in numbers:
        name = form.get(f"Filters.member.{number}.Name", "")
        values = _members(form, f"Filters.member.{number}.Values")
        match name:
            case "tag-key":
                yield lambda group, values=values: any(value in group.tags for value in values)
            case "tag-value":
                yield lambda group, values=values: any(value in group.tags.values() for value in values)
            case _ if name.startswith("tag:"):
                yield lambda group, key=name[4:], values=values: group.tags.get(key) in values
            case _:
                raise Refused(400, "ValidationError", f"Filter name {name!r} is not valid")


