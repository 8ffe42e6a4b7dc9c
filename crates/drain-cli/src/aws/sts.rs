//! STS: who we are.

use drain::aws::query::Form;
use drain::aws::{Aws, AwsError, Service};
use serde::Deserialize;

/// Whose credentials sign our calls.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Identity {
    /// The account, 12 digits.
    pub(crate) account: String,
    /// The ARN of the user, or of the session of a role.
    pub(crate) arn: String,
}

/// Asks who we are. Needs no permission.
pub(crate) async fn get_caller_identity(aws: &Aws) -> Result<Identity, AwsError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "GetCallerIdentityResult")]
        result: Identity,
    }
    const OPERATION: &str = "sts:GetCallerIdentity";
    let form = Form::new("GetCallerIdentity", "2011-06-15");
    let Answer { result } = super::read(OPERATION, &super::ask(aws, Service::Sts, OPERATION, form).await?)?;
    Ok(result)
}
