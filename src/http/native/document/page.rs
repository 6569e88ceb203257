//! The document as a page for people: plain HTML, one small style, no script.

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The page's style. The page names its hash, so that nothing else is taken for one.
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:#1b1b1b;background:#fff}h2{margin-top:3rem;border-bottom:1px solid #ccc}h3{margin:2rem 0 .5rem}\
code,pre{font:14px/1.45 ui-monospace,monospace}pre{background:#f4f4f4;padding:.75rem;overflow:auto}\
.method{display:inline-block;min-width:4.5rem;font-weight:700}.needs{color:#555}table{border-collapse:collapse}\
td,th{text-align:left;vertical-align:top;padding:.15rem 1rem .15rem 0}\
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}pre{background:#242424}.needs{color:#aaa}\
a{color:#8ab4f8}}";

/// Returns the hash of the page's style as a content security policy names it.
pub(super) fn style_hash() -> String {
    format!("sha256-{}", base64(&Sha256::digest(STYLE.as_bytes())))
}

/// Writes the page.
pub(super) fn page(document: &Value) -> String {
    let mut out = Page(String::new());
    let title = text(&document["info"]["title"]);
    out.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
    out.text(&format!("{title} API"));
    out.raw("</title><meta name=\"viewport\" content=\"width=device-width\"><style>");
    out.raw(STYLE);
    out.raw("</style></head><body><h1>");
    out.text(&format!("{title} API {}", text(&document["info"]["version"])));
    out.raw("</h1><p>");
    out.text(text(&document["info"]["description"]));
    out.raw("</p><p>For programs: <a href=\"openapi.json\">openapi.json</a></p>");
    let tags = tags(document);
    out.raw("<ul>");
    for tag in &tags {
        out.raw(&format!("<li><a href=\"#{0}\">{0}</a></li>", anchor(tag)));
    }
    out.raw("</ul>");
    for tag in &tags {
        out.raw(&format!("<h2 id=\"{}\">", anchor(tag)));
        out.text(tag);
        out.raw("</h2>");
        for (method, path, operation) in operations(document) {
            if text(&operation["tags"][0]) == *tag {
                out.operation(method, path, operation);
            }
        }
    }
    out.raw("<h2 id=\"types\">types</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        out.raw(&format!("<h3 id=\"type-{}\">", anchor(name)));
        out.text(name);
        out.raw("</h3><p>");
        out.text(text(&schema["description"]));
        out.raw("</p>");
        out.fields(schema);
    }
    out.raw("</body></html>");
    out.0
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

/// Returns the tags in the order in which they come up.
fn tags(document: &Value) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for (_, _, operation) in operations(document) {
        let tag = text(&operation["tags"][0]);
        if !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
    tags
}

struct Page(String);

impl Page {
    fn raw(&mut self, html: &str) {
        self.0.push_str(html);
    }

    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                c => self.0.push(c),
            }
        }
    }

    fn operation(&mut self, method: &str, path: &str, operation: &Value) {
        self.raw("<h3><span class=\"method\">");
        self.text(&method.to_ascii_uppercase());
        self.raw("</span> <code>");
        self.text(path);
        self.raw("</code></h3><p><b>");
        self.text(text(&operation["summary"]));
        self.raw("</b> <span class=\"needs\">needs ");
        self.text(text(&operation["x-permission"]));
        self.raw("</span></p><p>");
        self.text(text(&operation["description"]));
        self.raw("</p>");
        self.parameters(&operation["parameters"]);
        for (kind, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            self.example(&format!("Body, {kind}"), content);
        }
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            if let Some(name) = response["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
                self.raw("<p>");
                self.text(&format!("{status}: {name}"));
                self.raw("</p>");
                continue;
            }
            self.raw("<p>");
            self.text(&format!("{status}: {}", text(&response["description"])));
            self.raw("</p>");
            for (kind, content) in response["content"].as_object().into_iter().flatten() {
                self.example(kind, content);
            }
        }
    }

    fn parameters(&mut self, parameters: &Value) {
        let Some(parameters) = parameters.as_array().filter(|parameters| !parameters.is_empty()) else {
            return;
        };
        self.raw("<table><tr><th>parameter</th><th>in</th><th></th></tr>");
        for parameter in parameters {
            self.raw("<tr><td><code>");
            self.text(text(&parameter["name"]));
            self.raw("</code></td><td>");
            self.text(text(&parameter["in"]));
            self.raw("</td><td>");
            self.text(text(&parameter["description"]));
            self.raw("</td></tr>");
        }
        self.raw("</table>");
    }

    fn example(&mut self, title: &str, content: &Value) {
        let named = content["examples"].as_object().and_then(|all| all.values().next());
        let example = named.map_or(&content["example"], |named| &named["value"]);
        let written = match example {
            Value::String(text) => text.clone(),
            other => serde_json::to_string_pretty(other).unwrap_or_default(),
        };
        self.raw("<p class=\"needs\">");
        self.text(title);
        self.raw("</p><pre>");
        self.text(&written);
        self.raw("</pre>");
    }

    fn fields(&mut self, schema: &Value) {
        let Some(fields) = schema["properties"].as_object() else { return };
        self.raw("<table>");
        for (name, field) in fields {
            self.raw("<tr><td><code>");
            self.text(name);
            self.raw("</code></td><td>");
            self.text(text(&field["description"]));
            self.raw("</td></tr>");
        }
        self.raw("</table>");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn anchor(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// Writes bytes in base 64, as RFC 4648 says.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or(0);
            // Infallible on a text.
            let _ = out.write_char(if place <= chunk.len() { char::from(DIGITS[digit]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn base_64_is_as_the_standard_says() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn nothing_of_the_document_becomes_markup() {
        let document = json!({ "info": { "title": "<script>", "description": "a & \"b\"" }, "paths": {} });
        let page = page(&document);
        assert!(page.contains("&lt;script&gt; API") && page.contains("a &amp; &quot;b&quot;"));
        assert!(!page.contains("<script"));
    }
}
