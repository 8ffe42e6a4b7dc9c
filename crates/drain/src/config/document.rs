//! Many clusters: the document that `CLUSTERS_PARAMETER` names.
//!
//! It is JSON, `{"clusters":{"blue":{"groups":["blue-*"],"NOMAD_ADDR":"https://…"}}}`. The settings of a cluster have the
//! names of the environment's variables and mean the same; what a cluster does not set, the environment sets for all of
//! them. Whatever is not understood is a problem: a setting that nobody reads would be a drain that nobody asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use drain_core::ids::GroupName;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::cluster::{ClusterConfig, Whole};
use super::reader::Reader;
use super::stored::Place;
use super::variables::{self as var, VARIABLES};
use super::{ConfigurationError, GroupPattern, is_on};

/// Where the document is, and what holds for every cluster in it.
#[derive(Clone, Debug)]
pub struct ClusterDocument {
    /// Where it is (`CLUSTERS_PARAMETER`).
    pub place: Place,
    environment: Environment,
    whole: Whole,
}

/// What the document says of one cluster.
#[derive(Clone, Debug)]
pub struct ClusterSection {
    /// The cluster's name: what logs and errors call it.
    pub name: String,
    /// The names of the Auto Scaling groups that are its.
    pub groups: Vec<GroupPattern>,
    /// The value of the tag `nomad-drain` of the groups that are its.
    pub tag: Option<String>,
    /// Everything else.
    pub config: ClusterConfig,
    /// What the operator should know and what keeps nothing from working, one sentence each.
    pub warnings: Vec<String>,
    /// The text of the section: one that has not changed means the same cluster.
    pub(crate) text: String,
}

impl ClusterDocument {
    pub(super) fn new(place: Place, lookup: impl Fn(&str) -> Option<String>, whole: Whole) -> Self {
        let set = VARIABLES.iter().filter_map(|variable| Some((variable.name, lookup(variable.name)?)));
        let environment = Environment(set.map(|(name, value)| (name, Zeroizing::new(value))).collect());
        Self { place, environment, whole }
    }

    /// Reads the document, and the files that it names. The error lists every problem that there is, and repeats no
    /// value that may be a secret.
    pub fn parse(&self, text: &str) -> Result<Vec<ClusterSection>, ConfigurationError> {
        let mut problems = Vec::new();
        let mut sections = Vec::new();
        for (name, text) in clusters(text, &mut problems) {
            sections.extend(self.section(&name, text.get(), &mut problems));
        }
        if problems.is_empty() {
            problems.extend(conflicts(&sections));
        }
        if problems.is_empty() {
            return Ok(sections);
        }
        Err(ConfigurationError { document: Some(self.place.clone()), problems })
    }

    fn section(&self, name: &str, text: &str, problems: &mut Vec<String>) -> Option<ClusterSection> {
        let mut problem = |what: &str| problems.push(format!("cluster {name}: {what}"));
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_name) {
            problems.push(format!(
                "{name:?} cannot be the name of a cluster (1 to {LONGEST_NAME} of A-Z a-z 0-9 - _)"
            ));
            return None;
        }
        let Ok(Pairs(pairs)) = serde_json::from_str::<Pairs<Value>>(text) else {
            problem("it is not an object with the cluster's settings");
            return None;
        };
        let mut seen = BTreeSet::new();
        let (mut groups, mut tag) = (Vec::new(), None);
        let mut settings = BTreeMap::new();
        for (key, value) in pairs {
            if !seen.insert(key.clone()) {
                problem(&format!("{key} is there twice"));
                continue;
            }
            match (key.as_str(), value) {
                (GROUPS, value) => match names(value) {
                    Ok(names) => groups = names,
                    Err(what) => problem(&format!("{GROUPS:?}{what}")),
                },
                (TAG, Value::String(value)) if is_tag(&value) => tag = Some(value),
                (TAG, _) => problem(&format!(
                    "{TAG:?} is not a value that the tag nomad-drain of its groups may have: text without white space around \
                     it, neither off nor false"
                )),
                (key, value) => match setting(key, value) {
                    Ok(value) => {
                        settings.insert(key.to_owned(), value);
                    }
                    Err(what) => problem(&what),
                },
            }
        }
        if groups.is_empty() && tag.is_none() && !seen.contains(GROUPS) && !seen.contains(TAG) {
            problem(&format!(
                "it has neither {GROUPS:?} (names of Auto Scaling groups) nor {TAG:?} (the value of their tag nomad-drain): no \
                 instance is its"
            ));
        }
        let lookup = |name: &str| self.environment.below(&settings, name);
        let mut reader = Reader::new(&lookup);
        let mut warnings = Vec::new();
        let config = ClusterConfig::read(&mut reader, &self.whole, &mut warnings);
        for what in reader.into_problems() {
            problem(&what);
        }
        let warnings = warnings.into_iter().map(|what| format!("cluster {name}: {what}")).collect();
        Some(ClusterSection {
            name: name.to_owned(),
            groups,
            tag,
            config: config?,
            warnings,
            text: text.to_owned(),
        })
    }
}

/// The longest name of a cluster: it is part of log lines and errors.
const LONGEST_NAME: usize = 64;

/// The keys of a section that are no variables.
const GROUPS: &str = "groups";
const TAG: &str = "tag";

/// The variables that hold for the whole function, whatever its clusters.
pub(super) const OF_THE_FUNCTION: &[&var::Variable] = &[
    &var::AUTO_SCALING_GROUPS,
    &var::CLUSTERS_PARAMETER,
    &var::EVENT_LINGER,
    &var::LAUNCH_HOOK_NAME,
    &var::LIFECYCLE_HOOK_NAME,
    &var::METRICS_NAMESPACE,
    &var::NOTIFY_TOPIC_ARN,
    &var::NOTIFY_WEBHOOK_PARAMETER,
    &var::ON_LAUNCH,
    &var::ON_REBALANCE,
    &var::ON_SCHEDULED_CHANGE,
    &var::POLL_INTERVAL,
    &var::PURGE_NODES,
    &var::SWEEP,
    &var::SWEEP_LINGER,
];

/// Variables of which one takes the place of the others: a cluster that sets one of them wants none of the environment's.
const ALTERNATIVES: &[&[&var::Variable]] = &[
    &[
        &var::NOMAD_TOKEN,
        &var::NOMAD_TOKEN_SECRET,
        &var::NOMAD_AUTH_METHOD,
        &var::NOMAD_TOKEN_PARAMETER,
        &var::NOMAD_ACL,
    ],
    &[&var::NOMAD_CACERT, &var::NOMAD_CAPATH, &var::NOMAD_CACERT_PARAMETER],
    &[
        &var::NOMAD_CLIENT_CERT,
        &var::NOMAD_CLIENT_KEY,
        &var::NOMAD_CLIENT_CERT_PARAMETER,
        &var::NOMAD_CLIENT_KEY_PARAMETER,
    ],
];

/// The variables that are set for the function. Values may be secrets.
#[derive(Clone)]
struct Environment(BTreeMap<&'static str, Zeroizing<String>>);

impl Environment {
    /// A variable's value: the cluster's, else the environment's.
    fn below(&self, settings: &BTreeMap<String, String>, name: &str) -> Option<String> {
        if let Some(value) = settings.get(name) {
            return Some(value.clone());
        }
        let is_hidden = ALTERNATIVES.iter().any(|group| {
            let has = |name: &str| group.iter().any(|variable| variable.name == name);
            has(name) && settings.keys().any(|set| has(set) && set != var::NOMAD_ACL.name)
        });
        self.0.get(name).filter(|_| !is_hidden).map(|value| value.to_string())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The clusters' names and sections, in the order of the document.
fn clusters(text: &str, problems: &mut Vec<String>) -> Vec<(String, Box<RawValue>)> {
    let fields = match serde_json::from_str::<Pairs<Box<RawValue>>>(text) {
        Ok(Pairs(fields)) => fields,
        Err(error) => {
            // Its own words could quote what stands there.
            let (line, column) = (error.line(), error.column());
            problems.push(format!("it is not a JSON object (line {line}, column {column})"));
            return Vec::new();
        }
    };
    let mut clusters = Vec::new();
    let mut found = false;
    for (key, value) in fields {
        if key != "clusters" {
            problems.push(format!("{key:?} is unknown; the only field is \"clusters\""));
            continue;
        }
        if std::mem::replace(&mut found, true) {
            problems.push("\"clusters\" is there twice".to_owned());
            continue;
        }
        let Ok(Pairs(sections)) = serde_json::from_str(value.get()) else {
            problems.push("\"clusters\" is not an object with a section for each cluster".to_owned());
            return Vec::new();
        };
        clusters = sections;
    }
    if clusters.is_empty() && problems.is_empty() {
        problems.push("it names no cluster: {\"clusters\":{\"name\":{…}}}".to_owned());
    }
    clusters
}

/// What contradicts what in sections that are right by themselves.
fn conflicts(sections: &[ClusterSection]) -> Vec<String> {
    let mut problems = Vec::new();
    for (place, one) in sections.iter().enumerate() {
        for other in sections.iter().skip(place + 1) {
            let both = format!("clusters {} and {}", one.name, other.name);
            if one.name == other.name {
                problems.push(format!("cluster {} is there twice", one.name));
                continue;
            }
            if one.tag.is_some() && one.tag == other.tag {
                problems.push(format!("{both} have the same {TAG:?}"));
            }
            if (&one.config.nomad_addr, &one.config.nomad_region)
                == (&other.config.nomad_addr, &other.config.nomad_region)
            {
                problems.push(format!(
                    "{both} have the same NOMAD_ADDR and NOMAD_REGION, {}: they are one cluster",
                    one.config.nomad_addr
                ));
            }
            let named: BTreeSet<&GroupName> = one.named_by(other).chain(other.named_by(one)).collect();
            problems.extend(named.into_iter().map(|group| format!("group {group} is of {both}")));
        }
    }
    problems
}

impl ClusterSection {
    /// The groups that are named here in full, and by the other in whatever way.
    fn named_by<'a>(&'a self, other: &'a ClusterSection) -> impl Iterator<Item = &'a GroupName> {
        let literals = self.groups.iter().filter_map(GroupPattern::literal);
        literals.filter(|name| other.groups.iter().any(|pattern| pattern.matches(name)))
    }
}

fn names(value: Value) -> Result<Vec<GroupPattern>, String> {
    let wrong = || " is not a list of names of Auto Scaling groups, or globs for them".to_owned();
    let Value::Array(names) = value else { return Err(wrong()) };
    if names.is_empty() {
        return Err(wrong());
    }
    let parsed = names.iter().map(|name| {
        GroupPattern::parse(name.as_str().ok_or_else(wrong)?).map_err(|error| format!(": {error}"))
    });
    parsed.collect()
}

fn is_tag(value: &str) -> bool {
    !value.is_empty() && value.trim() == value && is_on(value)
}

/// The value of a setting as the environment would hold it.
fn setting(key: &str, value: Value) -> Result<String, String> {
    if !VARIABLES.iter().any(|variable| variable.name == key) {
        return Err(format!("{key:?} is unknown: a setting has the name of the environment's variable"));
    }
    if key == var::AUTO_SCALING_GROUPS.name {
        return Err(format!("{key} is for the whole function; the groups of a cluster are in {GROUPS:?}"));
    }
    if OF_THE_FUNCTION.iter().any(|variable| variable.name == key) {
        return Err(format!("{key} is for the whole function: set it in the environment"));
    }
    if key == var::NOMAD_TOKEN.name {
        return Err(format!(
            "{key} does not belong into a document that many may read: name where the token is kept"
        ));
    }
    match value {
        Value::String(text) if text.trim().is_empty() => {
            Err(format!("{key} is empty: leave it out, and the environment's counts"))
        }
        Value::String(text) => Ok(text),
        Value::Bool(is_on) => Ok(is_on.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(format!("{key} is neither text nor a number nor true or false"))
        }
    }
}

/// The entries of a JSON object, those with the same key too.
struct Pairs<V>(Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(std::marker::PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Pairs<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<V>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Pairs(entries))
            }
        }

        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}
