//! Which groups a sweep looks after, and which events concern them.

use drain_lab::aws::GroupSettings;
use drain_lab::models::Models;

use super::counted;
use crate::harness::{
    GROUP, became, count, deploy, deploy_with_sweep, ending, invoke, is_held, lab, nomad_calls, posts, sweep,
    terminate, warnings,
};

#[tokio::test]
async fn tagged_groups_are_swept_if_no_names_are_given() {
    let lab = lab().await;
    lab.aws.set_tag(GROUP, "nomad-drain", Some("on")).unwrap();
    lab.add_group("others", 3600).unwrap();
    lab.add_group_with(GroupSettings::named("off").tag("nomad-drain", "off"), [Models::hook(3600)]).unwrap();
    let worker = ending(&lab, 1);
    let strangers =
        ["others", "off"].map(|group| lab.add_worker(group, group.len().try_into().unwrap()).unwrap());
    for stranger in &strangers {
        terminate(&lab, stranger);
    }
    let run = sweep(deploy(&lab, &[("SWEEP", "on"), ("SWEEP_LINGER", "300ms")])).await;
    assert_eq!(counted(&run), (1, 1));
    assert!(!is_held(&lab, &worker));
    assert!(strangers.iter().all(|stranger| is_held(&lab, stranger)));
    assert_eq!(posts(&lab), 1);
}

#[tokio::test]
async fn groups_can_be_named_in_full_and_by_glob() {
    for names in ["workers", "nobody, work*", "wor?ers"] {
        let lab = lab().await;
        lab.add_group("others", 3600).unwrap();
        let (worker, stranger) = (ending(&lab, 1), lab.add_worker("others", 2).unwrap());
        terminate(&lab, &stranger);
        let run = sweep(deploy_with_sweep(&lab, &[("AUTO_SCALING_GROUPS", names)])).await;
        assert_eq!(counted(&run), (1, 1), "{names}");
        assert!(!is_held(&lab, &worker) && is_held(&lab, &stranger), "{names}");
        let missing = warnings(&run).iter().any(|warning| warning.contains("nobody"));
        assert_eq!(missing, names.contains("nobody"), "{names}");
    }
}

#[tokio::test]
async fn a_sweep_that_watches_nothing_warns() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let run = sweep(deploy(&lab, &[("SWEEP", "on")])).await;
    assert_eq!(counted(&run), (0, 0));
    assert!(warnings(&run).iter().any(|warning| warning.contains("AUTO_SCALING_GROUPS")));
    assert!(is_held(&lab, &worker));
}

#[tokio::test]
async fn more_than_a_hundred_groups_come_page_by_page() {
    let lab = lab().await;
    for number in 0..130 {
        lab.add_group(&format!("group-{number}"), 3600).unwrap();
    }
    let worker = lab.add_worker("group-129", 1).unwrap();
    terminate(&lab, &worker);
    let run = sweep(deploy_with_sweep(&lab, &[("AUTO_SCALING_GROUPS", "group-*")])).await;
    assert_eq!(counted(&run), (130, 1));
    assert!(!is_held(&lab, &worker));
    assert_eq!((count(&lab, "DescribeAutoScalingGroups"), count(&lab, "DescribeLifecycleHooks")), (2, 1));
}

#[tokio::test]
async fn an_event_of_a_group_that_is_not_watched_is_ignored_loudly() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let run = invoke(&lab, deploy_with_sweep(&lab, &[("AUTO_SCALING_GROUPS", "others")]), &worker).await;
    assert_eq!(became(&run), ("ignored", "group_not_watched"));
    assert!(
        warnings(&run)
            .iter()
            .any(|warning| warning.contains(GROUP) && warning.contains("AUTO_SCALING_GROUPS"))
    );
    assert_eq!(nomad_calls(&lab), Vec::<String>::new());
    assert!(is_held(&lab, &worker));
}
