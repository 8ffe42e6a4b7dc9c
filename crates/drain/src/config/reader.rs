//! Reads one variable after another and collects what is wrong with them.

use std::collections::BTreeMap;

use aws_credential_types::Credentials;
use drain_core::ids::HookName;
use jiff::SignedDuration;
use nomad_client::BaseUrl;

use super::variables::{ENV, REGION, Variable};
use super::{AwsSettings, duration};
use crate::aws::Service;

pub(super) struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, problems: Vec::new() }
    }

    pub(super) fn into_problems(self) -> Vec<String> {
        self.problems
    }

    pub(super) fn is_set(&self, variable: &Variable) -> bool {
        self.value(variable.name).is_some()
    }

    /// A text, if the variable is set.
    pub(super) fn text(&self, variable: &Variable) -> Option<String> {
        self.value(variable.name)
    }

    pub(super) fn boolean(&mut self, variable: &Variable) -> Option<bool> {
        self.parsed(variable, "one of true, false, on, off, 1, 0", |text| {
            match text.to_ascii_lowercase().as_str() {
                "true" | "on" | "1" => Some(true),
                "false" | "off" | "0" => Some(false),
                _ => None,
            }
        })
    }

    pub(super) fn duration(&mut self, variable: &Variable) -> Option<SignedDuration> {
        let format =
            "a duration above zero such as 1h30m, 90m, 45s or 200ms (numbers with the units h, m, s, ms)";
        self.parsed(variable, format, duration::parse)
    }

    pub(super) fn choice<T: Copy>(&mut self, variable: &Variable, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.parsed(variable, &format!("one of {}", names.join(", ")), |text| {
            choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, choice)| *choice)
        })
    }

    pub(super) fn hook_names(&mut self, variable: &Variable) -> Option<Vec<HookName>> {
        let text = self.value(variable.name)?;
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(HookName::parse);
        match names.collect::<Result<Vec<_>, _>>() {
            Ok(names) if !names.is_empty() => Some(names),
            Ok(_) => {
                self.problem(variable.name, "has no name in it");
                None
            }
            Err(error) => {
                self.problem(variable.name, &error.to_string());
                None
            }
        }
    }

    /// The variable's value, or its default with `{ENV}` and `{REGION}` filled in.
    pub(super) fn derived(&mut self, variable: &Variable) -> Option<String> {
        if let Some(text) = self.value(variable.name) {
            return Some(text);
        }
        let mut text = variable.default.to_owned();
        let mut missing = Vec::new();
        for part in [&ENV, &REGION] {
            let place = format!("{{{}}}", part.name);
            if !text.contains(&place) {
                continue;
            }
            match self.value(part.name) {
                Some(value) => text = text.replace(&place, &value),
                None => missing.push(part.name),
            }
        }
        if missing.is_empty() {
            return Some(text);
        }
        let missing = missing.join(" and ");
        let name = variable.name;
        self.problem(
            name,
            &format!(
                "is not set, and its default {} needs {missing}: set {name} or {missing}",
                variable.default
            ),
        );
        None
    }

    pub(super) fn address(&mut self, variable: &Variable) -> Option<BaseUrl> {
        let text = self.derived(variable)?;
        BaseUrl::parse(&text).map_err(|error| self.problem(variable.name, &error.to_string())).ok()
    }

    /// An address with a place for an IP.
    pub(super) fn agent_url(&mut self, variable: &Variable) -> Option<String> {
        let template = self.derived(variable)?;
        match BaseUrl::parse(&template.replace("{ip}", "10.0.0.1")) {
            Ok(_) => Some(template),
            Err(error) => {
                self.problem(variable.name, &error.to_string());
                None
            }
        }
    }

    /// The settings that every AWS SDK reads. `needed` is whether anything configured calls AWS.
    pub(super) fn aws(&mut self, needed: bool) -> AwsSettings {
        let region = self.value("AWS_REGION").or_else(|| self.value(REGION.name));
        if needed && region.is_none() {
            self.problem("AWS_REGION", "is not set (Lambda sets it), and neither is REGION");
        }
        let endpoint = self.endpoint("AWS_ENDPOINT_URL");
        let service_endpoints: BTreeMap<_, _> = Service::ALL
            .iter()
            .filter_map(|service| {
                let name = service.endpoint_variable();
                Some((name, self.endpoint(name)?))
            })
            .collect();
        let credentials = match (self.value("AWS_ACCESS_KEY_ID"), self.value("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => {
                let session = self.value("AWS_SESSION_TOKEN");
                Some(Credentials::new(id, secret, session, None, "environment"))
            }
            _ => None,
        };
        AwsSettings { region, endpoint, service_endpoints, credentials }
    }

    fn endpoint(&mut self, name: &str) -> Option<BaseUrl> {
        let text = self.value(name)?;
        BaseUrl::parse(&text).map_err(|error| self.problem(name, &error.to_string())).ok()
    }

    fn parsed<T>(
        &mut self,
        variable: &Variable,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.value(variable.name);
        let parsed = parse(text.as_deref().unwrap_or(variable.default));
        if parsed.is_none() {
            let text = text.unwrap_or_default();
            self.problem(variable.name, &format!("is {text:?}, which is not {allowed}"));
        }
        parsed
    }

    fn problem(&mut self, name: &str, problem: &str) {
        self.problems.push(format!("{name} {problem}"));
    }

    /// Empty means unset; white space around a value does not belong to it.
    fn value(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }
}
