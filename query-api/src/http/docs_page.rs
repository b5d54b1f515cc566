//! The documentation page at `/docs`: the OpenAPI document as one page of HTML that asks nobody for
//! anything, with neither scripts nor anything from elsewhere, so that it works where there is no
//! internet and no text in it can do harm.

use std::fmt::{self, Display, Write};

use serde_json::Value;

/// What a browser may do with the page: show it and its style.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; \
                          form-action 'none'; frame-ancestors 'none'";
/// The style of the page.
pub const STYLE: &str = include_str!("docs_page.css");

/// The page of a document.
pub fn page(document: &Value) -> String {
    let mut out = String::new();
    // Writing into a text cannot fail.
    let _ = write_page(&mut out, document);
    out
}

/// A text as HTML shows it, with `code` between backticks.
struct Told<'a>(&'a str);

impl Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, part) in self.0.split('`').enumerate() {
            match nth % 2 {
                0 => write!(f, "{}", Plain(part))?,
                _ => write!(f, "<code>{}</code>", Plain(part))?,
            }
        }
        Ok(())
    }
}

/// A text as HTML shows it.
struct Plain<'a>(&'a str);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn write_page(out: &mut String, document: &Value) -> fmt::Result {
    let title = Plain(text(&document["info"], "title"));
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} HTTP API</title><link rel=\"stylesheet\" href=\"/docs/style.css\"></head>\n\
         <body><header><h1>{title} HTTP API</h1><p>{}</p>\
         <p>Version {}. The same as a document: <a href=\"/openapi.json\">/openapi.json</a> \
         (OpenAPI {}).</p></header>\n",
        Told(text(&document["info"], "description")),
        Plain(text(&document["info"], "version")),
        Plain(text(document, "openapi")),
    )?;
    let groups = groups(document);
    out.write_str("<nav><ul>")?;
    for (tag, operations) in &groups {
        write!(out, "<li><b>{}</b><ul>", Plain(tag))?;
        for (method, path, _) in operations {
            let id = Id(method, path);
            let method = method.to_uppercase();
            write!(
                out,
                "<li><a href=\"#{id}\"><code>{method} {}</code></a></li>",
                Plain(path)
            )?;
        }
        out.write_str("</ul></li>")?;
    }
    out.write_str("</ul></nav>\n<main>")?;
    for (tag, operations) in &groups {
        writeln!(out, "<h2>{}</h2>", Plain(tag))?;
        for (method, path, operation) in operations {
            write_operation(out, method, path, operation)?;
        }
    }
    out.write_str("<h2 id=\"schemas\">Schemas</h2>\n")?;
    let schemas = document["components"]["schemas"].as_object();
    for (name, schema) in schemas.into_iter().flatten() {
        write_schema(out, name, schema)?;
    }
    out.write_str("</main></body></html>\n")
}

type Operation<'a> = (&'a str, &'a str, &'a Value);

/// The operations by tag, in the order in which tags come first.
fn groups(document: &Value) -> Vec<(&str, Vec<Operation<'_>>)> {
    let mut groups: Vec<(&str, Vec<Operation<'_>>)> = Vec::new();
    let paths = document["paths"].as_object().into_iter().flatten();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let tag = operation["tags"][0].as_str().unwrap_or("other");
            let entry = (method.as_str(), path.as_str(), operation);
            match groups.iter_mut().find(|(known, _)| *known == tag) {
                Some((_, operations)) => operations.push(entry),
                None => groups.push((tag, vec![entry])),
            }
        }
    }
    groups
}

/// The place of an operation on the page.
struct Id<'a>(&'a str, &'a str);

impl Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        for c in self.1.chars() {
            f.write_char(if c.is_ascii_alphanumeric() { c } else { '-' })?;
        }
        Ok(())
    }
}

fn write_operation(out: &mut String, method: &str, path: &str, operation: &Value) -> fmt::Result {
    let id = Id(method, path);
    let is_open = operation.get("security").is_none();
    write!(
        out,
        "<section id=\"{id}\"><h3><span class=\"method\">{}</span> <code>{}</code>{}</h3>\
         <p>{} {}</p>",
        method.to_uppercase(),
        Plain(path),
        if is_open {
            " <span class=\"open\">no token</span>"
        } else {
            ""
        },
        Told(text(operation, "summary")),
        Told(text(operation, "description")),
    )?;
    let parameters = operation["parameters"].as_array();
    if let Some(parameters) = parameters.filter(|all| !all.is_empty()) {
        out.write_str("<table><tr><th>parameter</th><th>in</th><th>type</th><th></th></tr>")?;
        for parameter in parameters {
            write!(
                out,
                "<tr><td><code>{}</code>{}</td><td>{}</td><td>{}</td><td>{}{}</td></tr>",
                Plain(text(parameter, "name")),
                if parameter["required"] == true {
                    " *"
                } else {
                    ""
                },
                Plain(text(parameter, "in")),
                Type(&parameter["schema"]),
                Told(text(parameter, "description")),
                Such(&parameter["example"]),
            )?;
        }
        out.write_str("</table>")?;
    }
    let body = operation["requestBody"]["content"].as_object();
    for (kind, content) in body.into_iter().flatten() {
        write!(
            out,
            "<h4>body</h4><p><code>{}</code> {}</p>",
            Plain(kind),
            Type(&content["schema"])
        )?;
        write_example(out, &content["example"])?;
    }
    out.write_str("<h4>answers</h4><table>")?;
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        write!(
            out,
            "<tr><td><code>{}</code></td><td>{}",
            Plain(status),
            Told(text(response, "description"))
        )?;
        for (kind, content) in response["content"].as_object().into_iter().flatten() {
            write!(
                out,
                " <code>{}</code> {}",
                Plain(kind),
                Type(&content["schema"])
            )?;
            write_example(out, &content["example"])?;
        }
        out.write_str("</td></tr>")?;
    }
    out.write_str("</table></section>\n")
}

/// An example of a parameter.
struct Such<'a>(&'a Value);

impl Display for Such<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => Ok(()),
            Value::String(text) => write!(f, " (such as <code>{}</code>)", Plain(text)),
            other => write!(f, " (such as <code>{}</code>)", Plain(&other.to_string())),
        }
    }
}

fn write_example(out: &mut String, example: &Value) -> fmt::Result {
    let shown = match example {
        Value::Null => return Ok(()),
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    write!(
        out,
        "<details><summary>example</summary><pre>{}</pre></details>",
        Plain(&shown)
    )
}

/// A schema in a few words; one that has a name as a link to it.
struct Type<'a>(&'a Value);

impl Display for Type<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.0;
        if let Some(name) = schema["$ref"].as_str() {
            let name = Plain(name.rsplit('/').next().unwrap_or(name));
            return write!(f, "<a href=\"#schema-{name}\">{name}</a>");
        }
        for key in ["oneOf", "anyOf", "allOf"] {
            for (nth, one) in schema[key].as_array().into_iter().flatten().enumerate() {
                let joint = if nth > 0 { " or " } else { "" };
                write!(f, "{joint}{}", Type(one))?;
            }
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        write!(f, "{}", Plain(&types.join(" or ")))?;
        if types.contains(&"array") && !schema["items"].is_null() {
            write!(f, " of {}", Type(&schema["items"]))?;
        }
        if let Some(format) = schema["format"].as_str() {
            write!(f, " ({})", Plain(format))?;
        }
        if let Some(values) = schema["enum"].as_array() {
            let shown = values.iter().filter_map(Value::as_str).collect::<Vec<_>>();
            write!(f, " <details><summary>{} values</summary>", shown.len())?;
            for value in shown {
                write!(f, "<code>{}</code> ", Plain(value))?;
            }
            f.write_str("</details>")?;
        }
        Ok(())
    }
}

fn write_schema(out: &mut String, name: &str, schema: &Value) -> fmt::Result {
    write!(
        out,
        "<section id=\"schema-{0}\"><h3>{0}</h3><p>{1}</p><table>",
        Plain(name),
        Told(text(schema, "description")),
    )?;
    // A part that is taken in whole stands beside the schema's own.
    let parts = schema["allOf"].as_array().into_iter().flatten();
    for part in parts.chain([schema]) {
        if part["$ref"].is_string() {
            write!(out, "<tr><td colspan=\"3\">all of {}</td></tr>", Type(part))?;
        }
        for (key, of) in part["properties"].as_object().into_iter().flatten() {
            write!(
                out,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                Plain(key),
                Type(of),
                Told(text(of, "description")),
            )?;
        }
    }
    out.write_str("</table></section>\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_of_the_document_stay_texts() {
        let evil = "<script>alert('1')</script> & \"x\" `code`";
        let document = json!({
            "openapi": "3.1.0",
            "info": {"title": evil, "description": evil, "version": "1"},
            "paths": {"/v1/<b>": {"get": {
                "tags": [evil],
                "summary": evil,
                "parameters": [{"name": evil, "in": "query", "description": evil, "example": evil,
                                "schema": {"type": "string", "enum": [evil]}}],
                "requestBody": {"content": {"text/x": {"schema": {}, "example": {"a": evil}}}},
                "responses": {"200": {"description": evil, "content": {}}},
            }}},
            "components": {"schemas": {"<i>": {"description": evil, "properties": {evil: {}}}}},
        });
        let page = page(&document);
        for tag in ["<script", "<b>/", "<i>"] {
            assert!(!page.contains(tag), "{tag}");
        }
        assert!(page.contains("<code>code</code>"));
    }

    #[test]
    fn the_page_has_every_operation_and_schema_and_nothing_from_elsewhere() {
        let document = serde_json::to_value(crate::http::server::document()).unwrap();
        let page = page(&document);
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                let id = format!("<section id=\"{}\">", Id(method, path));
                assert_eq!(page.matches(&id).count(), 1, "{method} {path}");
            }
        }
        for name in document["components"]["schemas"]
            .as_object()
            .unwrap()
            .keys()
        {
            assert!(page.contains(&format!("id=\"schema-{name}\"")), "{name}");
        }
        for word in [
            "http:",
            "https:",
            "<script",
            "javascript:",
            " style=",
            " on",
        ] {
            let is_in_a_tag = page
                .split('<')
                .any(|tag| tag.split('>').next().is_some_and(|tag| tag.contains(word)));
            assert!(!is_in_a_tag, "{word}");
        }
        for link in page.split("href=\"").skip(1) {
            let target = link.split('"').next().unwrap();
            let is_there = match target.strip_prefix('#') {
                Some(id) => page.contains(&format!("id=\"{id}\"")),
                None => ["/openapi.json", "/docs/style.css"].contains(&target),
            };
            assert!(is_there, "{target}");
        }
    }
}
