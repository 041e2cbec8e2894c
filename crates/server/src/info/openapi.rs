//! `/openapi.json`, generated from the table of routes, and the page at `/`.

use crate::admin::{self, Served};
use crate::reply::GatewayBody;
use crate::routes::{Access, PREFIXES, Prefix, Route, Row, TABLE, passing};
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Map, Value, json};

/// The description of every route (OpenAPI 3.1).
pub(super) fn description() -> Value {
    let mut paths = Map::new();
    for row in TABLE {
        let path = row.path.replace("{*model}", "{model}");
        let item = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(row.method.as_str().to_ascii_lowercase(), operation(row));
        }
    }
    for served in admin::served() {
        let (method, path) = served.address();
        let item = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(method.to_ascii_lowercase(), admin_operation(served));
        }
    }
    for prefix in PREFIXES {
        let own = prefix.is_resource.then(|| prefix.path.to_owned());
        for path in own.into_iter().chain([format!("{}/{{endpoint}}", prefix.path)]) {
            paths.insert(path.clone(), passing_item(prefix, &path));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "An AI gateway: OpenAI's API in front of every model provider.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Error": error_schema() },
        },
    })
}

/// A path whose requests pass, by any method.
fn passing_item(prefix: &Prefix, path: &str) -> Value {
    let mut item = Map::new();
    for method in &passing::METHODS {
        let method = method.as_str().to_ascii_lowercase();
        let id = format!("{method}{}", path.replace('-', "__").replace(['/', '{', '}'], "_"));
        let mut operation = json!({
            "summary": prefix.summary,
            "operationId": id,
            "security": [{ "key": [] }],
            "responses": { "default": { "description": "The provider's answer" } },
        });
        if let (Some(operation), true) = (operation.as_object_mut(), path.ends_with("{endpoint}")) {
            let parameter = json!([{ "name": "endpoint", "in": "path", "required": true, "schema": { "type": "string" } }]);
            operation.insert("parameters".to_owned(), parameter);
        }
        item.insert(method, operation);
    }
    Value::Object(item)
}

/// A route of the admin API.
fn admin_operation(served: &Served) -> Value {
    let (method, path) = served.address();
    let id = format!("{}{}", method.to_ascii_lowercase(), path.replace(['/', '{', '}', '-'], "_"));
    let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Vec<Value> = named
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    json!({
        "summary": served.summary,
        "operationId": id,
        "security": [{ "key": [] }],
        "parameters": parameters,
        "responses": { "default": { "description": "The answer", "content": { "application/json": {} } } },
    })
}

fn operation(row: &Row) -> Value {
    let mut operation = json!({
        "summary": row.summary,
        "operationId": format!("{}{}", row.method.as_str().to_ascii_lowercase(), row.path.replace(['/', '{', '}', '*', '.', '-'], "_")),
        "responses": responses(row),
    });
    if let Some(operation) = operation.as_object_mut() {
        if row.access != Access::Open {
            operation.insert("security".to_owned(), json!([{ "key": [] }]));
        }
        if row.path.contains("model}") {
            let parameter =
                json!([{ "name": "model", "in": "path", "required": true, "schema": { "type": "string" } }]);
            operation.insert("parameters".to_owned(), parameter);
        }
        if let Some(required) = required_members(row.route) {
            let names_model = row.path.contains("model}");
            let required: Vec<&str> =
                required.iter().filter(|name| !(names_model && **name == "model")).copied().collect();
            let schema = json!({ "type": "object", "required": required, "additionalProperties": true });
            let body = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
            operation.insert("requestBody".to_owned(), body);
        }
    }
    operation
}

fn required_members(route: Route) -> Option<&'static [&'static str]> {
    match route {
        Route::ChatCompletions => Some(&["model", "messages"]),
        Route::Completions => Some(&["model", "prompt"]),
        Route::Embeddings => Some(&["model", "input"]),
        _ => None,
    }
}

fn responses(row: &Row) -> Value {
    let ok = match row.route {
        Route::Metrics => json!({ "description": "OpenMetrics text" }),
        Route::DocsPage => json!({ "description": "A page" }),
        Route::ChatCompletions | Route::Completions => json!({
            "description": "The answer, or a stream of its parts",
            "content": { "application/json": { "schema": { "type": "object" } }, "text/event-stream": {} },
        }),
        _ => json!({ "description": "The answer", "content": { "application/json": { "schema": {} } } }),
    };
    let error = json!({
        "description": "An error",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
    });
    json!({ "200": ok, "default": error })
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": { "type": "string" },
                "type": { "type": ["string", "null"] },
                "param": { "type": ["string", "null"] },
                "code": { "type": "string" },
            },
        } },
    })
}

/// The page at `/`: what this is and every route, without a script or anything from elsewhere.
pub(super) fn page() -> Response<GatewayBody> {
    let rows: String = TABLE
        .iter()
        .map(|row| {
            format!(
                "<tr><td>{}</td><td><code>{}</code></td><td>{}</td></tr>\n",
                row.method, row.path, row.summary
            )
        })
        .chain(PREFIXES.iter().map(|prefix| {
            format!(
                "<tr><td>any</td><td><code>{}/*</code></td><td>{}</td></tr>\n",
                prefix.path, prefix.summary
            )
        }))
        .collect();
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Tollgate {version}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"></head><body>\n<h1>Tollgate {version}</h1>\n\
         <p>An AI gateway. Point an OpenAI client's base URL at <code>/v1</code> of this address; \
         the machine-readable description is <a href=\"/openapi.json\">/openapi.json</a>.</p>\n\
         <table>\n<tr><th>Method</th><th>Path</th><th>What it does</th></tr>\n{rows}</table>\n</body></html>\n",
        version = env!("CARGO_PKG_VERSION"),
    );
    let mut response = Response::new(GatewayBody::whole(html));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_ids_are_unique() {
        let description = description();
        let mut ids = std::collections::HashSet::new();
        for row in TABLE {
            let path = row.path.replace("{*model}", "{model}");
            let operation = &description["paths"][&path][row.method.as_str().to_ascii_lowercase()];
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}");
            assert_eq!(operation.get("security").is_some(), row.access != Access::Open, "{path}");
        }
        for prefix in PREFIXES {
            for method in &passing::METHODS {
                let path = format!("{}/{{endpoint}}", prefix.path);
                let operation = &description["paths"][&path][method.as_str().to_ascii_lowercase()];
                assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}");
                assert!(operation.get("security").is_some(), "{path}");
            }
        }
    }
}
