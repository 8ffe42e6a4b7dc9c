"""The old way: what this project's predecessor did when a lifecycle hook's message came, and nothing else.

It reads the token, asks EC2 for the instance's address, asks the agent there for its node's id, and has the servers drain
that node. It handles one instance an invocation, waits for nothing, and leaves the hook to its time-out. The predecessor
slept for 1 to 30 random seconds first; this one does not, so that what is measured is work. Like the predecessor it
checks no certificate of Nomad's.
"""

import json
import os

import boto3
import urllib3

urllib3.disable_warnings()
HTTP = urllib3.PoolManager(cert_reqs="CERT_NONE", assert_hostname=False)


def handler(event, context):
    message = json.loads(event["Records"][0]["Sns"]["Message"])
    if message.get("LifecycleTransition") != "autoscaling:EC2_INSTANCE_TERMINATING":
        return None
    headers = {"X-Nomad-Token": nomad_token()}
    address = private_ip(message["EC2InstanceId"])
    node_id = node_at(address, headers)
    drain = {"DrainSpec": {"Deadline": 3600 * 10**9, "IgnoreSystemJobs": False}, "MarkEligible": False}
    url = f"{os.environ['NOMAD_ADDR']}/v1/node/{node_id}/drain"
    answer = HTTP.request("POST", url, headers=headers, body=json.dumps(drain))
    if answer.status != 200:
        raise RuntimeError(f"{url}: {answer.status} {answer.data!r}")
    return node_id


def nomad_token():
    parameter = boto3.client("ssm").get_parameter(Name=os.environ["NOMAD_TOKEN_PARAMETER"], WithDecryption=True)
    return parameter["Parameter"]["Value"]


def private_ip(instance_id):
    answer = boto3.client("ec2").describe_instances(InstanceIds=[instance_id])
    return answer["Reservations"][0]["Instances"][0]["PrivateIpAddress"]


def node_at(address, headers):
    url = os.environ["NOMAD_AGENT_URL"].format(ip=address)
    answer = HTTP.request("GET", f"{url}/v1/agent/self", headers=headers)
    return json.loads(answer.data)["stats"]["client"]["node_id"]
