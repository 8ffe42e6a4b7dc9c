//! One thing that the doctor has found.

use serde_json::{Value, json};

use super::code::{Area, Code, Severity};

/// What was found about one thing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) area: Area,
    /// What was found.
    pub(crate) code: Code,
    /// The thing: a variable, a group, a hook, a topic.
    pub(crate) about: String,
    /// What is wrong with it, or that nothing is: one sentence.
    pub(crate) what: String,
    /// What to do: one sentence. `None` if nothing is to be done.
    pub(crate) todo: Option<String>,
    /// The command that does it, or the setting, on a line of its own so that it can be copied.
    pub(crate) command: Option<String>,
}

impl Finding {
    /// A finding without anything to do.
    pub(crate) fn new(area: Area, code: Code, about: impl Into<String>, what: impl Into<String>) -> Self {
        Self { area, code, about: about.into(), what: what.into(), todo: None, command: None }
    }

    /// With what to do.
    #[must_use]
    pub(crate) fn todo(self, todo: impl Into<String>) -> Self {
        Self { todo: Some(todo.into()), ..self }
    }

    /// With the command that does it.
    #[must_use]
    pub(crate) fn command(self, command: impl Into<String>) -> Self {
        Self { command: Some(command.into()), ..self }
    }

    /// How bad it is.
    pub(crate) fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// As the JSON document has it.
    pub(crate) fn json(&self) -> Value {
        json!({
            "area": self.area.as_str(),
            "code": self.code.as_str(),
            "severity": self.severity().as_str(),
            "about": self.about,
            "what": self.what,
            "todo": self.todo,
            "command": self.command,
        })
    }
}
