//! Allocations, as `GET /v1/node/:id/allocations` gives them.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

/// One allocation. Nomad sends it with its whole job, of which only the type is kept: the rest can be megabytes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct Allocation {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// The namespace of its job.
    #[serde(default)]
    pub namespace: String,
    /// The id of its job.
    #[serde(default, rename = "JobID")]
    pub job_id: String,
    /// `service`, `batch`, `system` or `sysbatch`; `None` if the answer does not say.
    #[serde(default, rename = "Job", deserialize_with = "type_of_job")]
    pub job_type: Option<String>,
    /// The name of its task group.
    #[serde(default)]
    pub task_group: Option<String>,
    /// What the servers want: `run`, `stop` or `evict`.
    #[serde(default)]
    pub desired_status: String,
    /// What the client has reported: `pending`, `running`, `complete`, `failed`, `lost` or `unknown`.
    #[serde(default)]
    pub client_status: String,
    /// When it last changed.
    #[serde(default, deserialize_with = "nanoseconds")]
    pub modify_time: Option<Timestamp>,
    /// The raft index of its last change.
    #[serde(default)]
    pub modify_index: u64,
}

fn type_of_job<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Job {
        #[serde(default)]
        r#type: Option<String>,
    }
    let job: Option<Job> = Option::deserialize(deserializer)?;
    Ok(job.and_then(|job| job.r#type).filter(|job_type| !job_type.is_empty()))
}

/// A moment in nanoseconds since 1970, of which Go's zero is none.
fn nanoseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let nanoseconds: Option<i64> = Option::deserialize(deserializer)?;
    let moment = nanoseconds.filter(|&nanoseconds| nanoseconds != 0);
    Ok(moment.and_then(|nanoseconds| Timestamp::from_nanosecond(nanoseconds.into()).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_is_read_and_of_its_job_only_the_type() {
        let allocation: Allocation = serde_json::from_str(
            r#"{"ID":"8a3bc2e1","EvalID":"e","Namespace":"default","NodeID":"n","JobID":"web","Job":{"ID":"web",
                "Type":"service","TaskGroups":[{"Name":"api","Tasks":[{"Config":{"args":["300"]}}]}]},
                "TaskGroup":"api","DesiredStatus":"stop","ClientStatus":"running","DesiredTransition":{"Migrate":true},
                "ModifyIndex":42,"ModifyTime":1772366400123456789}"#,
        )
        .unwrap();
        assert_eq!(allocation.job_type.as_deref(), Some("service"));
        assert_eq!(allocation.task_group.as_deref(), Some("api"));
        assert_eq!((allocation.namespace.as_str(), allocation.job_id.as_str()), ("default", "web"));
        assert_eq!(
            (allocation.desired_status.as_str(), allocation.client_status.as_str()),
            ("stop", "running")
        );
        assert_eq!(allocation.modify_time.unwrap().to_string(), "2026-03-01T12:00:00.123456789Z");
        assert_eq!(allocation.modify_index, 42);
    }

    #[test]
    fn an_allocation_with_hardly_a_field_is_read() {
        for json in [r#"{"ID":"x"}"#, r#"{"ID":"x","Job":null,"ModifyTime":0}"#, r#"{"ID":"x","Job":{}}"#] {
            let allocation: Allocation = serde_json::from_str(json).unwrap();
            assert_eq!((allocation.job_type, allocation.modify_time), (None, None), "{json}");
        }
    }

    #[test]
    fn an_allocation_without_an_id_is_none() {
        assert!(serde_json::from_str::<Allocation>(r#"{"JobID":"web"}"#).is_err());
    }
}
