//! As much XML as AWS writes.

use super::call::Call;
use super::service::Service;
use crate::aws::ApiError;

/// The answer of a query service: what `fill` writes is the operation's result.
pub(super) fn response(call: &Call, request_id: &str, fill: impl FnOnce(&mut Xml)) -> String {
    Xml::document(&format!("{}Response", call.operation), call.service.namespace(), |xml| {
        xml.element(&format!("{}Result", call.operation), fill);
        xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
    })
}

/// The error of a query service.
pub(super) fn error(service: Service, error: &ApiError, request_id: &str) -> String {
    Xml::document("ErrorResponse", service.namespace(), |xml| {
        xml.element("Error", |xml| {
            xml.text("Type", if error.status < 500 { "Sender" } else { "Receiver" });
            xml.text("Code", error.code);
            xml.text("Message", &error.message);
        });
        xml.text("RequestId", request_id);
    })
}

/// A document that is being written.
#[derive(Debug, Default)]
pub(super) struct Xml {
    text: String,
}

impl Xml {
    /// A document with one root element. An empty namespace is none.
    pub(super) fn document(root: &str, namespace: &str, fill: impl FnOnce(&mut Self)) -> String {
        let mut xml = Self { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned() };
        if namespace.is_empty() {
            xml.text.extend(["<", root, ">"]);
        } else {
            xml.text.extend(["<", root, " xmlns=\"", namespace, "\">"]);
        }
        fill(&mut xml);
        xml.text.extend(["</", root, ">"]);
        xml.text
    }

    /// An element that contains elements.
    pub(super) fn element(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.text.extend(["<", name, ">"]);
        fill(self);
        self.text.extend(["</", name, ">"]);
    }

    /// An element that contains text.
    #[expect(clippy::needless_pass_by_value, reason = "literals, numbers and references alike are written")]
    pub(super) fn text(&mut self, name: &str, value: impl ToString) {
        let value = value.to_string().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        self.text.extend(["<", name, ">", &value, "</", name, ">"]);
    }

    /// An element that contains text, if there is any.
    pub(super) fn optional(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// An element that is a map of texts: one `entry` with `key` and `value` for each.
    pub(super) fn map<'a>(&mut self, name: &str, entries: impl IntoIterator<Item = &'a (&'a str, String)>) {
        self.list(name, "entry", entries, |xml, (key, value)| {
            xml.text("key", key);
            xml.text("value", value);
        });
    }

    /// An element with one child per item.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        child: &str,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(&mut Self, T),
    ) {
        self.element(name, |xml| {
            for item in items {
                xml.element(child, |xml| fill(xml, item));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let document = Xml::document("a", "urn:x", |xml| xml.text("b", "1 < 2 & 3"));
        assert!(document.ends_with(r#"<a xmlns="urn:x"><b>1 &lt; 2 &amp; 3</b></a>"#), "{document}");
    }
}
