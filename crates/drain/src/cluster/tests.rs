//! Which cluster a group is of, and how a document that changes is followed.

use std::cell::Cell;

use super::*;
use crate::config::Config;

const NOON: i64 = 1_800_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOON + seconds).unwrap()
}

fn config(more: &[(&str, &str)]) -> Config {
    let all = [("CLUSTERS_PARAMETER", "/clusters"), ("AWS_REGION", "eu-west-1"), ("NOMAD_ACL", "off")];
    let variables: BTreeMap<&str, &str> = all.iter().chain(more).copied().collect();
    Config::parse(|name| variables.get(name).map(|&value| value.to_owned())).unwrap()
}

fn clusters() -> Clusters {
    Clusters::new(config(&[]).clusters)
}

fn section(groups: &str, addr: &str) -> String {
    format!(r#"{{{groups},"NOMAD_ADDR":"http://{addr}"}}"#)
}

fn document(blue: &str, green: &str) -> String {
    format!(r#"{{"clusters":{{"blue":{blue},"green":{green}}}}}"#)
}

fn usual() -> String {
    let (blue, green) =
        (section(r#""groups":["blue-*","shared"]"#, "blue"), section(r#""tag":"green""#, "green"));
    document(&blue, &green)
}

/// What a look at this moment finds, if the document says this then, and whether it was read.
async fn look(
    clusters: &Clusters,
    seconds: i64,
    says: Result<&str, ()>,
) -> (Result<Vec<Rc<Cluster>>, Error>, bool) {
    let was_read = Cell::new(false);
    let found = clusters
        .at(at(seconds), true, async |_| {
            was_read.set(true);
            says.map(|text| Zeroizing::new(text.to_owned())).map_err(|()| Error::OutOfTime)
        })
        .await;
    (found, was_read.get())
}

fn addresses(found: &[Rc<Cluster>]) -> Vec<&str> {
    found.iter().map(|cluster| cluster.config.nomad_addr.as_str()).collect()
}

#[tokio::test]
async fn a_document_is_read_once_in_five_minutes() {
    let clusters = clusters();
    let (found, was_read) = look(&clusters, 0, Ok(&usual())).await;
    assert!(was_read);
    assert_eq!(addresses(&found.unwrap()), ["http://blue", "http://green"]);
    let changed = document(&section(r#""tag":"blue""#, "other"), &section(r#""tag":"green""#, "green"));
    let (found, was_read) = look(&clusters, 299, Ok(&changed)).await;
    assert_eq!((addresses(&found.unwrap()), was_read), (vec!["http://blue", "http://green"], false));
    let (found, was_read) = look(&clusters, 300, Ok(&changed)).await;
    assert_eq!((addresses(&found.unwrap()), was_read), (vec!["http://other", "http://green"], true));
}

#[tokio::test]
async fn a_cluster_whose_section_has_not_changed_keeps_its_token_and_connections() {
    let clusters = clusters();
    let before = look(&clusters, 0, Ok(&usual())).await.0.unwrap();
    let changed = document(&section(r#""groups":["blue-*"]"#, "blue"), &section(r#""tag":"green""#, "green"));
    let after = look(&clusters, 300, Ok(&changed)).await.0.unwrap();
    assert!(!Rc::ptr_eq(&before[0], &after[0]), "it has changed");
    assert!(Rc::ptr_eq(&before[1], &after[1]), "it has not");
}

#[tokio::test]
async fn what_cannot_be_read_or_used_leaves_the_clusters_as_they_were() {
    let clusters = clusters();
    assert!(look(&clusters, 0, Err(())).await.0.is_err(), "there is nothing to go on with");
    let before = look(&clusters, 1, Ok(&usual())).await.0.unwrap();
    for (seconds, says) in [(301, Err(())), (361, Ok("{}")), (421, Ok("not JSON"))] {
        let (found, was_read) = look(&clusters, seconds, says).await;
        assert!(was_read, "{seconds}");
        let found = found.unwrap();
        assert!(found.iter().zip(&before).all(|(one, other)| Rc::ptr_eq(one, other)), "{seconds}");
        let (_, was_read) = look(&clusters, seconds + 59, says).await;
        assert!(!was_read, "a minute of rest: {seconds}");
    }
    let (found, _) = look(&clusters, 481, Ok(&usual())).await;
    assert!(Rc::ptr_eq(&found.unwrap()[0], &before[0]));
}

#[tokio::test]
async fn whoever_asks_for_nothing_reads_nothing() {
    let clusters = clusters();
    let never = async |_: &Place| -> Result<Zeroizing<String>, Error> { panic!("it was read") };
    assert!(clusters.at(at(0), false, never).await.unwrap().is_empty());
    look(&clusters, 0, Ok(&usual())).await.0.unwrap();
    assert_eq!(clusters.at(at(9000), false, never).await.unwrap().len(), 2);
}

async fn homes(document: &str, groups: &[(&str, Option<&str>)]) -> Vec<Home> {
    let clusters = clusters();
    let found = look(&clusters, 0, Ok(document)).await.0.unwrap();
    let found: Vec<&Cluster> = found.iter().map(Rc::as_ref).collect();
    let home = |(name, tag): &(&str, Option<&str>)| {
        let tags = tag.map(|tag| BTreeMap::from([(WATCH_TAG.to_owned(), tag.to_owned())]));
        home(&found, &GroupName::parse(name).unwrap(), tags.as_ref())
    };
    groups.iter().map(home).collect()
}

#[tokio::test]
async fn a_group_is_of_the_cluster_that_names_it_and_else_of_the_one_that_its_tag_names() {
    let groups = [
        ("blue-1", None),
        ("shared", Some("green")),
        ("other", Some("green")),
        ("other", Some(" green ")),
        ("other", Some("Green")),
        ("other", Some("on")),
        ("other", None),
    ];
    let expected =
        [Home::Of(0), Home::Of(0), Home::Of(1), Home::Of(1), Home::Nobodys, Home::Nobodys, Home::Nobodys];
    assert_eq!(homes(&usual(), &groups).await, expected);
    let both = document(&section(r#""groups":["a-*"]"#, "blue"), &section(r#""groups":["*-b"]"#, "green"));
    let groups = [("a-b", None), ("a-c", None), ("c-b", None)];
    let disputed = Home::Disputed("blue and green".to_owned());
    assert_eq!(homes(&both, &groups).await, [disputed, Home::Of(0), Home::Of(1)]);
}

#[tokio::test]
async fn a_tag_is_asked_for_only_where_it_can_matter() {
    let all = clusters();
    let found = look(&all, 0, Ok(&usual())).await.0.unwrap();
    let found: Vec<&Cluster> = found.iter().map(Rc::as_ref).collect();
    let asks = |found: &[&Cluster], name: &str| asks_for_tag(found, &GroupName::parse(name).unwrap());
    assert!(!asks(&found, "blue-1") && asks(&found, "other"));
    let named = document(&section(r#""groups":["a"]"#, "blue"), &section(r#""groups":["b"]"#, "green"));
    let all = clusters();
    let found = look(&all, 0, Ok(&named)).await.0.unwrap();
    let found: Vec<&Cluster> = found.iter().map(Rc::as_ref).collect();
    assert!(!asks(&found, "other"), "no cluster has a tag");
}

#[tokio::test]
async fn groups_that_a_cluster_names_are_watched_unless_somebody_says_which() {
    let all = clusters();
    let found = look(&all, 0, Ok(&usual())).await.0.unwrap();
    let found: Vec<&Cluster> = found.iter().map(Rc::as_ref).collect();
    let watches = |more: &[(&str, &str)], name: &str, tag: Option<&str>| {
        let tags = tag.map(|tag| (WATCH_TAG.to_owned(), tag.to_owned())).into_iter().collect();
        watched(&config(more), &found).watches(&GroupName::parse(name).unwrap(), &tags)
    };
    assert!(
        watches(&[], "blue-1", None) && watches(&[], "other", Some("green")) && !watches(&[], "other", None)
    );
    let some = [("AUTO_SCALING_GROUPS", "other")];
    assert!(watches(&some, "other", None) && !watches(&some, "blue-1", None));
}
