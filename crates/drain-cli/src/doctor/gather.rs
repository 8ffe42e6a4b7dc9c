//! Reads everything that is judged. Questions that do not need each other's answers are asked at once. What cannot be read is
//! a fact too: that it is not known, and why.

mod certificates;
mod clusters;
mod function;
mod groups;
mod nodes;
mod permissions;
mod sweeps;
mod way;

use std::rc::Rc;

use drain::aws::{Aws, AwsError};
use drain::cluster::Cluster;
use drain::config::{AwsSettings, ConfigurationError};
use drain::live::Live;
use drain::{Causes, Error, Installation};
use drain_core::ids::GroupName;
use futures_util::future::{join, join4};
use jiff::Timestamp;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use super::facts::{Caller, Configuration, Fact, Facts, Why};
use crate::aws::sts;
use crate::frame::{Frame, LOOK, Layers, Variables, budget};

/// Connections to Nomad at once: as many as a sweep makes.
const AT_ONCE: usize = drain::SWEEPING_AT_ONCE;

/// Reads everything. `named` are the groups that were asked for.
pub(super) async fn gather(frame: &Frame, named: &[GroupName]) -> Facts {
    // What is logged on the way is what findings say better.
    read(frame, named).with_subscriber(NoSubscriber::default()).await
}

async fn read(frame: &Frame, named: &[GroupName]) -> Facts {
    let here = frame.without_function().variables(&[]).await;
    let (aws, caller) = match &here {
        Ok(variables) => who(variables).await,
        Err(error) => (None, cannot(format!("{error:#}"), "Set AWS_REGION, or pass --region.")),
    };
    let set_up = set_up(frame, aws.as_ref()).await;
    let mut facts = nothing(frame, caller, &set_up);
    let SetUp::Ready { installation, of_function, .. } = &set_up else {
        facts.function = function::facts(aws.as_ref(), facts.function_name.as_deref()).await;
        return facts;
    };

    let account = installation.account(budget(LOOK), None);
    let clusters = installation.clusters(&account, true).await;
    if let (Err(error), Fact::Known(Ok(configuration))) = (&clusters, &mut facts.configuration) {
        if let Error::ConfigurationError(wrong) = error {
            configuration.document_problems.clone_from(&wrong.problems);
        } else if matches!(error, Error::StoredValueNotFound { .. } | Error::StoredFileUnreadable { .. }) {
            configuration.document_missing = Some((Causes(error).to_string(), error.next_step()));
        }
    }
    let clusters: Fact<Vec<Rc<Cluster>>> = match clusters {
        Ok(clusters) => Fact::Known(clusters),
        Err(
            Error::ConfigurationError(_)
            | Error::StoredValueNotFound { .. }
            | Error::StoredFileUnreadable { .. },
        ) => Fact::skipped("the document of the clusters, above"),
        Err(error) => Fact::Unknown(why(&error)),
    };
    let found = clusters.known().map_or(&[][..], Vec::as_slice);
    let worlds = installation.worlds(found, &account, AT_ONCE);
    let in_variable = *of_function;
    let (groups, looked) = join(
        groups::facts(aws.is_some(), installation, &account, found, named),
        clusters::facts(&worlds, found, &account, in_variable),
    )
    .await;
    facts.groups = groups;
    facts.clusters = match &clusters {
        Fact::Known(_) => Fact::Known(looked),
        Fact::Unknown(why) => Fact::Unknown(why.clone()),
    };
    around(&mut facts, aws.as_ref(), installation, &worlds, found).await;
    facts
}

/// What is around the groups: the function and the way to it, its role, the sweep, and the nodes of the instances.
async fn around(
    facts: &mut Facts,
    aws: Option<&Aws>,
    installation: &Installation,
    worlds: &[Live<'_>],
    clusters: &[Rc<Cluster>],
) {
    let groups = facts.groups.known().map_or(&[][..], Vec::as_slice).to_vec();
    let (rules, topics) = join(way::all_rules(aws), way::topics(aws, &groups)).await;
    let brought = way::brought(aws, &rules).await;
    if facts.function_name.is_none() {
        facts.function_name = function::guess(aws, &groups, &topics, &brought).await;
    }
    let name = facts.function_name.clone();
    let (nodes, function) = join(nodes::facts(facts, worlds), function::facts(aws, name.as_deref())).await;
    if let Fact::Known(groups) = &mut facts.groups {
        for (group, nodes) in groups.iter_mut().zip(nodes) {
            group.nodes = nodes;
        }
    }
    facts.function = function;
    if let Fact::Known(Some(function)) = &mut facts.function {
        let stations = way::stations(&groups, &topics, &brought);
        function::add_qualified(aws, function, &stations).await;
    }
    let function = facts.function.known().and_then(Option::as_ref);
    let config = installation.config();
    let (queues, hook_roles, permissions, sweeps) = join4(
        way::queues(aws, &groups, &topics, function),
        way::hook_roles(aws, &groups),
        permissions::facts(aws, config, clusters, &groups, function),
        sweeps::facts(aws, config, &rules, function, Timestamp::now()),
    )
    .await;
    facts.rules = way::rules(&brought, function);
    facts.topics = topics;
    facts.queues = queues;
    facts.hook_roles = hook_roles;
    facts.permissions = permissions;
    facts.sweeps = sweeps;
}

/// Where the configuration comes from, and what became of it.
enum SetUp {
    Ready { installation: Box<Installation>, origin: String, overridden: Vec<String>, of_function: bool },
    Invalid(ConfigurationError),
    Unread(Why),
}

/// Reads the configuration: of the function that was named, or of the environment.
async fn set_up(frame: &Frame, aws: Option<&Aws>) -> SetUp {
    if frame.function.is_some() && aws.is_none() {
        return SetUp::Unread(Why::Skipped { because: "your AWS credentials".to_owned() });
    }
    let Variables { chain, layers } = match frame.variables(&[]).await {
        Ok(variables) => variables,
        Err(error) => {
            let todo = "Pass the function's right name, or set its variables in your environment.".to_owned();
            return SetUp::Unread(Why::Failed { said: format!("{error:#}"), todo });
        }
    };
    let origin = frame
        .function
        .as_ref()
        .map_or_else(|| "the environment".to_owned(), |name| format!("the variables of function {name}"));
    match Installation::new(|name| layers.get(name)) {
        Ok(mut installation) => {
            if let Ok(Some(credentials)) = chain.credentials().await {
                installation.use_credentials(credentials);
            }
            SetUp::Ready {
                installation: Box::new(installation),
                origin,
                overridden: ours(&layers.overridden()),
                of_function: layers.is_of_function("NOMAD_TOKEN"),
            }
        }
        Err(error) => SetUp::Invalid(error),
    }
}

/// Of these variables those that we read, whatever else somebody has set for the function.
fn ours(names: &[String]) -> Vec<String> {
    let is_read = |name: &&String| drain::config::VARIABLES.iter().any(|variable| variable.name == **name);
    names.iter().filter(is_read).cloned().collect()
}

/// Who we are. Without that nothing of AWS is asked: each question would fail with the same words.
async fn who(variables: &Variables) -> (Option<Aws>, Fact<Caller>) {
    let credentials = match variables.chain.credentials().await {
        Ok(Some(credentials)) => credentials,
        Ok(None) => {
            let said = "there are none: neither in the environment nor in ~/.aws".to_owned();
            return (None, cannot(said, "Log in (aws sso login), set AWS_PROFILE or pass --profile NAME."));
        }
        Err(error) => {
            return (None, cannot(format!("{error:#}"), "Log in again, or pass another --profile NAME."));
        }
    };
    let settings = match settings(&variables.layers) {
        Ok(settings) => AwsSettings { credentials: Some(credentials), ..settings },
        Err(error) => return (None, cannot(error.problems.join("; "), "Set AWS_REGION, or pass --region.")),
    };
    let web = match drain::web() {
        Ok(web) => web,
        Err(error) => return (None, cannot(error.to_string(), "This build of nomad-drain is broken.")),
    };
    let aws = Aws::new(web, settings);
    match sts::get_caller_identity(&aws).await {
        Ok(sts::Identity { account, arn }) => {
            let region = aws.region().to_owned();
            (Some(aws), Fact::Known(Caller { account, arn, region }))
        }
        Err(error) => {
            let todo =
                "Log in again (aws sso login), choose another --profile, or see whether STS can be reached.";
            let said = Causes(&error).to_string();
            // What the signature should have been made of helps nobody.
            let said = said.split("The Canonical String").next().unwrap_or(&said).trim_end().to_owned();
            (None, Fact::Unknown(Why::Failed { said, todo: todo.to_owned() }))
        }
    }
}

fn settings(layers: &Layers) -> Result<AwsSettings, ConfigurationError> {
    AwsSettings::parse(|name| layers.get(name))
}

/// The facts while nothing more is known than this.
fn nothing(frame: &Frame, caller: Fact<Caller>, set_up: &SetUp) -> Facts {
    let first = "the configuration, above";
    let configuration = match set_up {
        SetUp::Ready { installation, origin, overridden, .. } => Fact::Known(Ok(Configuration {
            config: Box::new(installation.config().clone()),
            origin: origin.clone(),
            overridden: overridden.clone(),
            document_problems: Vec::new(),
            document_missing: None,
        })),
        SetUp::Invalid(error) => Fact::Known(Err(error.clone())),
        SetUp::Unread(why) => Fact::Unknown(why.clone()),
    };
    Facts {
        configuration,
        caller,
        function: Fact::skipped(first),
        function_name: frame.function.as_deref().map(|name| function::name_of(name).to_owned()),
        groups: Fact::skipped(first),
        topics: std::collections::BTreeMap::new(),
        queues: std::collections::BTreeMap::new(),
        rules: Fact::skipped(first),
        hook_roles: std::collections::BTreeMap::new(),
        permissions: Fact::skipped(first),
        clusters: Fact::skipped(first),
        sweeps: super::facts::Sweeps { counted: Fact::skipped(first), schedules: Fact::skipped(first) },
    }
}

/// What cannot be known, and what would help.
fn cannot<T>(said: String, todo: &str) -> Fact<T> {
    Fact::Unknown(Why::CannotBeKnown { said, todo: todo.to_owned() })
}

/// What is known of a question to AWS, if AWS is asked at all.
async fn asked<T>(aws: Option<&Aws>, question: impl AsyncFnOnce(&Aws) -> Result<T, AwsError>) -> Fact<T> {
    match aws {
        None => Fact::skipped("your AWS credentials"),
        Some(aws) => match question(aws).await {
            Ok(answer) => Fact::Known(answer),
            Err(error) => Fact::Unknown(why_not(&error)),
        },
    }
}

/// Why AWS did not say.
fn why_not(error: &AwsError) -> Why {
    if error.is_access_denied() {
        return Why::Denied { permission: error.operation().to_owned() };
    }
    let todo =
        "Run the doctor again; if it stays so, see whether that service can be reached from here.".to_owned();
    Why::Failed { said: Causes(error).to_string(), todo }
}

/// Why a question of the function's own code was not answered.
fn why(error: &Error) -> Why {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(one) = cause {
        match one.downcast_ref::<AwsError>() {
            Some(AwsError::NoCredentials { .. }) => {
                return Why::Skipped { because: "your AWS credentials".to_owned() };
            }
            Some(refused) if refused.is_access_denied() => {
                return Why::Denied { permission: refused.operation().to_owned() };
            }
            _ => cause = one.source(),
        }
    }
    Why::Failed { said: Causes(error).to_string(), todo: error.next_step() }
}
