//! EC2: the one call on the way to a node that the servers do not know by its attribute.

use std::time::Duration;

use drain_core::ids::InstanceId;
use drain_http::Limits;
use serde::Deserialize;

use super::query::{self, Form};
use super::{Aws, AwsError, LARGEST_ANSWER, Service};

const OPERATION: &str = "ec2:DescribeInstances";

/// The code with which EC2 says that there is no such instance.
pub const NOT_FOUND: &str = "InvalidInstanceID.NotFound";

/// What EC2 knows of an instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Instance {
    /// Its private IPv4 address; a terminated instance has none.
    pub private_ip: Option<String>,
    /// `pending`, `running`, `shutting-down`, `terminated`, `stopping` or `stopped`.
    pub state: String,
}

/// Describes an instance; `None` if the answer does not have it. IAM: `ec2:DescribeInstances` on `*`.
pub async fn describe_instance(
    aws: &Aws,
    id: &InstanceId,
    timeout: Duration,
) -> Result<Option<Instance>, AwsError> {
    let form = Form::new("DescribeInstances", "2016-11-15").with_list("InstanceId", [id]);
    let limits = Limits { timeout, body: LARGEST_ANSWER };
    let answer = query::send(aws, Service::Ec2, OPERATION, form, limits).await?;
    parse(&String::from_utf8_lossy(&answer), id).map_err(|error| query::unreadable(OPERATION, error))
}

fn parse(xml: &str, id: &InstanceId) -> Result<Option<Instance>, quick_xml::DeError> {
    let answer: Answer = quick_xml::de::from_str(xml)?;
    let mut instances =
        answer.reservations.items.into_iter().flat_map(|reservation| reservation.instances.items);
    Ok(instances.find(|instance| instance.id == id.as_str()).map(|instance| Instance {
        private_ip: instance.private_ip.filter(|address| !address.is_empty()),
        state: instance.state.name,
    }))
}

#[derive(Deserialize)]
struct Answer {
    /// There even if it is empty: an answer without it is not EC2's, and does not say that an instance is unknown.
    #[serde(rename = "reservationSet")]
    reservations: Items<Reservation>,
}

#[derive(Deserialize)]
struct Items<T> {
    #[serde(default = "Vec::new", rename = "item")]
    items: Vec<T>,
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}

#[derive(Deserialize)]
struct Reservation {
    #[serde(default, rename = "instancesSet")]
    instances: Items<Described>,
}

#[derive(Deserialize)]
struct Described {
    #[serde(rename = "instanceId")]
    id: String,
    #[serde(rename = "privateIpAddress")]
    private_ip: Option<String>,
    #[serde(default, rename = "instanceState")]
    state: State,
}

#[derive(Default, Deserialize)]
struct State {
    #[serde(default)]
    name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> InstanceId {
        InstanceId::parse("i-0123456789abcdef0").unwrap()
    }

    #[test]
    fn the_private_address_is_read_out_of_a_whole_answer() {
        let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
            <DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
              <requestId>59dbff89-35bd-4eac-99ed-be587EXAMPLE</requestId>
              <reservationSet><item><reservationId>r-1</reservationId><instancesSet><item>
                <instanceId>i-0123456789abcdef0</instanceId><instanceState><code>16</code><name>running</name></instanceState>
                <privateIpAddress>10.1.2.3</privateIpAddress>
                <networkInterfaceSet><item><privateIpAddress>10.9.9.9</privateIpAddress></item></networkInterfaceSet>
              </item></instancesSet></item></reservationSet>
            </DescribeInstancesResponse>"#;
        let instance = parse(xml, &id()).unwrap().unwrap();
        assert_eq!(
            instance,
            Instance { private_ip: Some("10.1.2.3".to_owned()), state: "running".to_owned() }
        );
    }

    #[test]
    fn a_terminated_instance_has_no_address() {
        let xml = "<R><reservationSet><item><instancesSet><item><instanceId>i-0123456789abcdef0</instanceId>\
                   <instanceState><name>terminated</name></instanceState><privateIpAddress/></item></instancesSet></item></reservationSet></R>";
        let instance = parse(xml, &id()).unwrap().unwrap();
        assert_eq!(instance, Instance { private_ip: None, state: "terminated".to_owned() });
    }

    #[test]
    fn a_page_of_something_else_does_not_say_that_an_instance_is_unknown() {
        assert!(parse("<html><body>It works!</body></html>", &id()).is_err());
    }

    #[test]
    fn an_answer_about_other_instances_does_not_have_ours() {
        assert_eq!(parse("<R><reservationSet/></R>", &id()).unwrap(), None);
        let other = "<R><reservationSet><item><instancesSet><item><instanceId>i-00000000</instanceId></item></instancesSet></item></reservationSet></R>";
        assert_eq!(parse(other, &id()).unwrap(), None);
    }
}
