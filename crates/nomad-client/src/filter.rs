//! Filter expressions for `GET /v1/nodes`.

/// The attribute by which a node tells which EC2 instance it runs on, set by Nomad's `env_aws` fingerprint.
pub const INSTANCE_ID: &str = "unique.platform.aws.instance-id";

/// Matches the nodes that take no work, and those whose clients are down.
pub const IDLE: &str = "SchedulingEligibility == \"ineligible\" or Status == \"down\"";

/// The most instance ids in one expression.
pub const MAX_IDS: usize = 100;

/// The longest URL, in bytes, that every proxy on the way can be expected to take.
pub const MAX_URL: usize = 8 * 1024;

/// Matches the nodes that run on these instances.
///
/// Each term is guarded by `contains`: without it, one node in the cluster that lacks the attribute turns the whole
/// request into an error 400 before Nomad 1.6.0, 1.5.4, 1.4.9 and 1.3.14.
pub fn on_instances<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> String {
    let alone = ids.len() == 1;
    let terms: Vec<String> = ids
        .map(|id| {
            let term = format!(
                "Attributes contains \"{INSTANCE_ID}\" and Attributes[\"{INSTANCE_ID}\"] == \"{id}\""
            );
            if alone { term } else { format!("({term})") }
        })
        .collect();
    terms.join(" or ")
}

/// Splits `ids` into pieces whose expressions keep to [`MAX_IDS`] and, percent-encoded, to `room` bytes.
pub fn pieces<'a>(ids: &[&'a str], room: usize) -> Vec<Vec<&'a str>> {
    let mut pieces: Vec<Vec<&'a str>> = Vec::new();
    for &id in ids {
        match pieces.last_mut() {
            Some(piece) if piece.len() < MAX_IDS && fits(piece, id, room) => piece.push(id),
            _ => pieces.push(vec![id]),
        }
    }
    pieces
}

fn fits(piece: &[&str], id: &str, room: usize) -> bool {
    let with = on_instances(piece.iter().copied().chain([id]).collect::<Vec<_>>().into_iter());
    crate::client::encoded(&with).len() <= room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instance_is_one_guarded_term() {
        assert_eq!(
            on_instances(["i-1234abcd"].into_iter()),
            "Attributes contains \"unique.platform.aws.instance-id\" and \
             Attributes[\"unique.platform.aws.instance-id\"] == \"i-1234abcd\""
        );
    }

    #[test]
    fn several_instances_are_alternatives() {
        let filter = on_instances(["i-1234abcd", "i-1234abce"].into_iter());
        assert_eq!(filter.matches(") or (").count(), 1);
        assert!(filter.starts_with('(') && filter.ends_with(')'));
    }

    #[test]
    fn a_long_list_is_split_and_nothing_is_lost() {
        let ids: Vec<String> = (0..250).map(|n| format!("i-{n:017x}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let by_count = pieces(&ids, usize::MAX);
        assert_eq!(by_count.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
        let by_length = pieces(&ids, 8_000);
        assert!(by_length.len() > 3);
        for piece in &by_length {
            assert!(crate::client::encoded(&on_instances(piece.clone().into_iter())).len() <= 8_000);
        }
        assert_eq!(by_length.concat(), ids);
    }
}
