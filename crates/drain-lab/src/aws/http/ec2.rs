//! EC2's query protocol.

use super::call::Call;
use super::xml::Xml;
use crate::aws::{ApiError, Aws, Instance};

pub(super) fn answer(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    match call.operation.as_str() {
        "DescribeInstances" => describe_instances(aws, call, request_id),
        _ => Err(call.unknown()),
    }
}

pub(super) fn error(error: &ApiError, request_id: &str) -> String {
    Xml::document("Response", "", |xml| {
        xml.list("Errors", "Error", [error], |xml, error| {
            xml.text("Code", error.code);
            xml.text("Message", &error.message);
        });
        xml.text("RequestID", request_id);
    })
}

fn describe_instances(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    aws.permit(&call.action(), None).map_err(|message| call.service.denied(message))?;
    if let Some(filter) = call.get("Filter.1.Name") {
        return Err(ApiError::new(400, "InvalidParameterValue", format!("The filter '{filter}' is invalid")));
    }
    let asked = call.list("InstanceId");
    let known: Vec<Instance> =
        aws.look(|state| state.instances.iter().map(|held| held.instance.clone()).collect());
    let exists = |id: &str| known.iter().any(|instance| instance.id == id);
    let missing: Vec<&str> = asked.iter().copied().filter(|id| !exists(id)).collect();
    match missing[..] {
        [] => {}
        [id] => {
            return Err(not_found(format!("The instance ID '{id}' does not exist")));
        }
        _ => {
            return Err(not_found(format!("The instance IDs '{}' do not exist", missing.join(", "))));
        }
    }
    let shown = known.iter().filter(|instance| asked.is_empty() || asked.contains(&instance.id.as_str()));
    Ok(Xml::document("DescribeInstancesResponse", call.service.namespace(), |xml| {
        xml.text("requestId", request_id);
        xml.list("reservationSet", "item", shown, |xml, instance| {
            xml.text("reservationId", instance.id.replacen("i-", "r-", 1));
            xml.text("ownerId", &aws.account().id);
            xml.element("groupSet", |_| {});
            xml.list("instancesSet", "item", [instance], |xml, instance| write(xml, aws, instance));
        });
    }))
}

fn write(xml: &mut Xml, aws: &Aws, instance: &Instance) {
    xml.text("instanceId", &instance.id);
    xml.text("imageId", "ami-0abcdef1234567890");
    xml.element("instanceState", |xml| {
        xml.text("code", instance.ec2_state.code());
        xml.text("name", instance.ec2_state.as_str());
    });
    xml.text("instanceType", "m5.large");
    xml.text("launchTime", format!("{:.3}", instance.launched_at));
    xml.element("placement", |xml| xml.text("availabilityZone", aws.account().zone()));
    xml.optional("privateIpAddress", instance.private_ip);
    xml.list("tagSet", "item", [&instance.group], |xml, group| {
        xml.text("key", "aws:autoscaling:groupName");
        xml.text("value", group);
    });
}

fn not_found(message: String) -> ApiError {
    ApiError::new(400, "InvalidInstanceID.NotFound", message)
}
