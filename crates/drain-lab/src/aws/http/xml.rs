//! As much XML as AWS writes.

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
