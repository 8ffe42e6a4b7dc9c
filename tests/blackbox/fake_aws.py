"""SSM Parameter Store, EC2 and Auto Scaling behind one endpoint, and a check of signatures."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape

from fake_autoscaling import FakeAutoScaling
from wire import Call, Reply

ACCESS_KEY = "AKIABLACKBOXBLACKBOX"
SECRET_KEY = "bl4ckb0x/secret+key/of/nobody/0123456789"
SESSION_TOKEN = "bl4ckb0x//session//token//of//nobody=="

XMLNS = "http://ec2.amazonaws.com/doc/2016-11-15/"


@dataclass
class FakeAws:
    parameters: dict[str, str] = field(default_factory=dict)
    instances: dict[str, str | None] = field(default_factory=dict)  # id -> private IP, None: has none
    scaling: FakeAutoScaling = field(default_factory=FakeAutoScaling)

    def kind(self, call: Call) -> str:
        if target := call.headers.get("x-amz-target"):
            return "ssm" if target == "AmazonSSM.GetParameter" else f"aws:{target}"
        if self.scaling.handles(call):
            return self.scaling.kind(call)
        action = call.form.get("Action", "?")
        return "ec2" if action == "DescribeInstances" else f"aws:{action}"

    def reply(self, call: Call) -> Reply:
        match call.kind:
            case "ssm":
                return self._get_parameter(call)
            case "ec2":
                return self._describe_instances(call)
            case _ if self.scaling.handles(call):
                return self.scaling.reply(call)
            case _:
                return ec2_error(400, "InvalidAction", f"The action {call.kind} is not valid for this web service.")

    def _get_parameter(self, call: Call) -> Reply:
        name = call.json.get("Name")
        if name not in self.parameters:
            return ssm_error("ParameterNotFound")
        value = self.parameters[name] if call.json.get("WithDecryption") is True else "AQICAHencrypted"
        parameter = {
            "ARN": f"arn:aws:ssm:eu-central-1:123456789012:parameter{name}",
            "DataType": "text",
            "LastModifiedDate": 1700000000.123,
            "Name": name,
            "Type": "SecureString",
            "Value": value,
            "Version": 3,
        }
        return Reply.json({"Parameter": parameter}, **{"x-amzn-RequestId": "c0ffee"})

    def _describe_instances(self, call: Call) -> Reply:
        instance_id = call.form.get("InstanceId.1", "")
        if instance_id not in self.instances:
            return ec2_error(
                400, "InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist"
            )
        return Reply(
            200, _reservation(instance_id, self.instances[instance_id]), {"Content-Type": "text/xml;charset=UTF-8"}
        )


def ssm_error(code: str, message: str | None = None, status: int = 400) -> Reply:
    body = {"__type": code} | ({"message": message} if message else {})
    reply = Reply.json(body, status)
    reply.headers["Content-Type"] = "application/x-amz-json-1.1"
    return reply


def ec2_error(status: int, code: str, message: str) -> Reply:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
        f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        "</Error></Errors><RequestID>59dbff89-35bd-4eac-99ed-be587ed81825</RequestID></Response>"
    )
    return Reply(status, body, {"Content-Type": "text/xml;charset=UTF-8"})


def _reservation(instance_id: str, ip: str | None) -> str:
    state = "<code>48</code><name>terminated</name>" if ip is None else "<code>16</code><name>running</name>"
    address = "" if ip is None else f"<privateIpAddress>{ip}</privateIpAddress>"
    # A second address of the first interface: only the instance's own one counts.
    interfaces = "" if ip is None else (
        "<networkInterfaceSet><item><networkInterfaceId>eni-0a</networkInterfaceId>"
        "<privateIpAddress>127.255.255.1</privateIpAddress><privateIpAddressesSet><item>"
        "<privateIpAddress>127.255.255.2</privateIpAddress><primary>false</primary>"
        "</item></privateIpAddressesSet></item></networkInterfaceSet>"
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="{XMLNS}">
    <requestId>8f7724cf-496f-496e-8fe3-example</requestId>
    <reservationSet>
        <item>
            <reservationId>r-1234567890abcdef0</reservationId>
            <groupSet/>
            <instancesSet>
                <item>
                    <instanceId>{instance_id}</instanceId>
                    <instanceState>{state}</instanceState>
                    <privateDnsName/>
                    {address}
                    {interfaces}
                    <tagSet><item><key>Name</key><value>a &amp; b</value></item></tagSet>
                </item>
            </instancesSet>
        </item>
    </reservationSet>
</DescribeInstancesResponse>"""


def signature_problem(call: Call, service: str, region: str) -> str | None:
    """Signature Version 4, computed again from what arrived. None if AWS would accept it."""
    pattern = r"AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
    match = re.fullmatch(pattern, call.headers.get("authorization", ""))
    if match is None:
        return f"no SigV4 authorization header: {call.headers.get('authorization')!r}"
    credential, signed, signature = match.groups()
    moment = call.headers.get("x-amz-date", "")
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    if credential != f"{ACCESS_KEY}/{scope}":
        return f"credential is {credential}, expected {ACCESS_KEY}/{scope}"
    names = signed.split(";")
    if missing := {"host", "x-amz-date", "x-amz-security-token"} - set(names):
        return f"not signed: {sorted(missing)}"
    if call.headers["x-amz-security-token"] != SESSION_TOKEN:
        return "another session token than the environment's"
    query = "&".join(
        sorted(f"{quote(k, '~')}={quote(v, '~')}" for k, values in call.query.items() for v in values)
    )
    headers = "".join(f"{name}:{' '.join(call.headers.get(name, '').split())}\n" for name in names)
    payload = hashlib.sha256(call.body).hexdigest()
    canonical = "\n".join([call.method, urlsplit(call.target).path or "/", query, headers, signed, payload])
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"AWS4{SECRET_KEY}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    expected = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    return None if expected == signature else f"wrong signature for\n{canonical}"
