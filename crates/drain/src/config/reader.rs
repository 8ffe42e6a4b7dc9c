//! Reads one variable after another and collects what is wrong with them.

use std::collections::BTreeMap;
use std::fmt;

use aws_credential_types::Credentials;
use drain_http::{HttpClient, Tls, Trust};
use jiff::SignedDuration;
use nomad_client::BaseUrl;

use super::variables::{ENV, NOMAD_TOKEN_SECRET, REGION, Variable};
use super::{AwsSettings, duration};
use crate::aws::Service;
use crate::error::Causes;

pub(super) struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
    /// Whether anything that was read calls AWS.
    pub(super) calls_aws: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, problems: Vec::new(), calls_aws: false }
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
        self.parsed(variable, |text| match text.to_ascii_lowercase().as_str() {
            "true" | "on" | "1" => Ok(true),
            "false" | "off" | "0" => Ok(false),
            _ => Err("not one of true, false, on, off, 1, 0".to_owned()),
        })
    }

    pub(super) fn duration(&mut self, variable: &Variable) -> Option<SignedDuration> {
        self.parsed(variable, |text| duration::parse(text).map_err(str::to_owned))
    }

    /// A duration, if the variable is set: for one without a default of its own.
    pub(super) fn duration_if_set(&mut self, variable: &Variable) -> Option<SignedDuration> {
        if self.is_set(variable) { self.duration(variable) } else { None }
    }

    /// A duration that may be zero.
    pub(super) fn duration_or_zero(&mut self, variable: &Variable) -> Option<SignedDuration> {
        self.parsed(variable, |text| duration::parse_or_zero(text).map_err(str::to_owned))
    }

    pub(super) fn choice<T: Copy>(&mut self, variable: &Variable, choices: &[(&str, T)]) -> Option<T> {
        self.parsed(variable, |text| {
            let chosen = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
            chosen.map(|(_, choice)| *choice).ok_or_else(|| {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                format!("not one of {}", names.join(", "))
            })
        })
    }

    /// A number from 1 on, if the variable is set.
    pub(super) fn count_if_set(&mut self, variable: &Variable) -> Option<u32> {
        let text = self.value(variable.name)?;
        let count = text.parse().ok().filter(|count| *count > 0);
        if count.is_none() {
            self.problem(variable.name, &format!("is {text:?}, which is not a number from 1 on"));
        }
        count
    }

    /// One name, or the default.
    pub(super) fn name<T, E: fmt::Display>(
        &mut self,
        variable: &Variable,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.value(variable.name).unwrap_or_else(|| variable.default.to_owned());
        parse(&text).map_err(|error| self.problem(variable.name, &error.to_string())).ok()
    }

    /// Names separated by commas, or globs for them, if the variable is set. There has to be one.
    pub(super) fn names<T, E: fmt::Display>(
        &mut self,
        variable: &Variable,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let text = self.value(variable.name)?;
        let mut names = Vec::new();
        let mut all_good = true;
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match parse(name) {
                Ok(name) => names.push(name),
                Err(error) => {
                    self.problem(variable.name, &error.to_string());
                    all_good = false;
                }
            }
        }
        if names.is_empty() && all_good {
            self.problem(variable.name, "has no name in it");
        }
        (all_good && !names.is_empty()).then_some(names)
    }

    /// The variable's value, or its default with `{ENV}` and `{REGION}` filled in.
    pub(super) fn derived(&mut self, variable: &Variable) -> Option<String> {
        if let Some(text) = self.value(variable.name) {
            return Some(text);
        }
        let mut text = variable.default.to_owned();
        let mut missing = Vec::new();
        let mut usable = true;
        for part in [&ENV, &REGION] {
            let place = format!("{{{}}}", part.name);
            if !text.contains(&place) {
                continue;
            }
            match self.value(part.name) {
                Some(value) => {
                    usable &= self.check_name_part(part.name, &value);
                    text = text.replace(&place, &value);
                }
                None => missing.push(part.name),
            }
        }
        if missing.is_empty() {
            return usable.then_some(text);
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

    /// The name of what holds a token. A value that looks like a token itself is not repeated.
    pub(super) fn parameter(&mut self, variable: &Variable) -> Option<String> {
        let name = self.derived(variable)?;
        if is_uuid(&name) {
            let what = if variable.name == NOMAD_TOKEN_SECRET.name { "secret" } else { "SSM parameter" };
            let problem = format!("looks like a token: it takes the name of the {what} that holds the token");
            self.problem(variable.name, &problem);
            return None;
        }
        Some(name)
    }

    pub(super) fn address(&mut self, variable: &Variable) -> Option<BaseUrl> {
        let text = self.derived(variable)?;
        BaseUrl::parse(&text).map_err(|error| self.problem(variable.name, &error.to_string())).ok()
    }

    /// An address with a place for an IP.
    pub(super) fn agent_url(&mut self, variable: &Variable) -> Option<String> {
        let template = self.derived(variable)?;
        let example = template.replace("{ip}", "10.0.0.1");
        if example.contains(['{', '}']) {
            let problem =
                format!("is {template:?}: only {{ip}} is replaced, by the instance's private IP address");
            self.problem(variable.name, &problem);
            return None;
        }
        match BaseUrl::parse(&example) {
            Ok(_) => Some(template),
            Err(error) => {
                self.problem(variable.name, &error.to_string());
                None
            }
        }
    }

    /// The region in which AWS is called, and the variable that says so.
    fn named_region(&self) -> Option<(&'static str, String)> {
        ["AWS_REGION", REGION.name].into_iter().find_map(|name| Some((name, self.value(name)?)))
    }

    /// The region in which AWS is called.
    pub(super) fn aws_region(&self) -> Option<String> {
        self.named_region().map(|(_, region)| region)
    }

    /// The settings that every AWS SDK reads.
    pub(super) fn aws(&mut self) -> AwsSettings {
        let region = self.named_region();
        match &region {
            Some((name, value)) => {
                self.check_name_part(name, value);
            }
            None if self.calls_aws => {
                self.problem("AWS_REGION", "is not set (Lambda sets it), and neither is REGION");
            }
            None => {}
        }
        let region = region.map(|(_, value)| value);
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
        AwsSettings { region, endpoint, service_endpoints, http: self.aws_ca_bundle(), credentials }
    }

    /// A way to AWS that believes only the authorities in the file `AWS_CA_BUNDLE`, as with the AWS CLI: AWS's isolated
    /// partitions, and networks that look into TLS, have authorities of their own.
    fn aws_ca_bundle(&mut self) -> Option<HttpClient> {
        const NAME: &str = "AWS_CA_BUNDLE";
        let path = self.value(NAME)?;
        let believing = |text: Vec<u8>| {
            let trust = Trust::pem(&text).map_err(|error| Causes(&error).to_string())?;
            HttpClient::new(&Tls::new(trust)).map_err(|error| Causes(&error).to_string())
        };
        let read = std::fs::read(&path).map_err(|error| format!("it cannot be read: {error}"));
        read.and_then(believing)
            .map_err(|problem| self.problem(NAME, &format!("cannot be used: {path}: {problem}")))
            .ok()
    }

    /// Whether `value` can be a part of a host name and of a parameter's path; if not, says so once.
    fn check_name_part(&mut self, name: &str, value: &str) -> bool {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let usable = value.chars().all(good);
        let problem =
            format!("{name} is {value:?}, which cannot be part of a host name or a path (A-Z a-z 0-9 - _ .)");
        if !usable && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
        usable
    }

    fn endpoint(&mut self, name: &str) -> Option<BaseUrl> {
        let text = self.value(name)?;
        BaseUrl::parse(&text).map_err(|error| self.problem(name, &error.to_string())).ok()
    }

    /// The value, or the default, as `parse` reads it; the error of `parse` says what the text is instead.
    fn parsed<T>(&mut self, variable: &Variable, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.value(variable.name);
        match parse(text.as_deref().unwrap_or(variable.default)) {
            Ok(parsed) => Some(parsed),
            Err(instead) => {
                let text = text.unwrap_or_default();
                self.problem(variable.name, &format!("is {text:?}, which is {instead}"));
                None
            }
        }
    }

    pub(super) fn problem(&mut self, name: &str, problem: &str) {
        self.problems.push(format!("{name} {problem}"));
    }

    /// Empty means unset; white space around a value does not belong to it.
    fn value(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }
}

/// Nomad's tokens are UUIDs.
fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    text.split('-').map(str::len).eq(lengths) && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}
