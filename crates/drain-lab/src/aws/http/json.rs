//! What services with AWS JSON have in common.

use serde_json::json;

use super::service::Service;
use crate::aws::ApiError;

/// An error. SQS and its neighbours write the shape's namespace before its name; clients take what follows the `#`.
/// (Smithy, "AWS JSON 1.0 protocol", "Operation error serialization".)
pub(super) fn error(service: Service, error: &ApiError) -> String {
    // The front door of these services writes its messages in upper case, the services themselves do not.
    let is_front_door = error.code == "AccessDeniedException";
    let field = if is_front_door { "Message" } else { "message" };
    let namespace = match (service, is_front_door) {
        (Service::Sqs, false) => "com.amazonaws.sqs#",
        (Service::Sqs, true) => "com.amazon.coral.service#",
        _ => "",
    };
    json!({"__type": format!("{namespace}{}", error.code), field: error.message}).to_string()
}
