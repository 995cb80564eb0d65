//! The description of the API for programs (`OpenAPI` 3.1), made from the table that answers it.

use serde_json::{Map, Value, json};

use super::trial::{PARAMETERS, Parameter};
use super::{BASE, Question, stream};

/// A path, what is asked there, and what comes of it.
pub(super) struct Place {
    /// Behind [`BASE`].
    pub(super) path: &'static str,
    /// `None` where there are parameters, or the path describes itself.
    pub(super) question: Option<Question>,
    summary: &'static str,
    /// What may stand behind its `?`.
    parameters: &'static [Parameter],
    /// The keys that every answer has, each with its type.
    keys: &'static [(&'static str, &'static str)],
}

/// All there is.
pub(super) const PLACES: &[Place] = &[
    Place {
        path: "now",
        question: Some(Question::Now),
        summary: "How this machine fares now: the document of `highwater checkup --json`.",
        parameters: &[],
        keys: &[
            ("schema", "integer"),
            ("time", "string"),
            ("severity", "string"),
            ("urgent", "array"),
            ("memory", "object"),
            ("owners", "array"),
            ("processes", "array"),
        ],
    },
    Place {
        path: "growth",
        question: Some(Question::Growth),
        summary: "What grows: the document of `highwater leaks --json`.",
        parameters: &[],
        keys: &[("schema", "integer"), ("at", "string"), ("items", "array"), ("notes", "array")],
    },
    Place {
        path: "deaths",
        question: Some(Question::Deaths),
        summary: "The deaths that somebody should know of, in short, the newest first.",
        parameters: &[],
        keys: &[("schema", "integer"), ("deaths", "array"), ("notes", "array")],
    },
    Place {
        path: "deaths/{id}",
        question: None,
        summary: "One death in full: a member of `deaths` of `highwater why --json`.",
        parameters: &[],
        keys: &[("summary", "string"), ("cause", "string"), ("claims", "array")],
    },
    Place {
        path: "events",
        question: Some(Question::Events),
        summary: "Deaths, growths, restarts, boots and the recorder's own life, oldest first.",
        parameters: &[],
        keys: &[("schema", "integer"), ("events", "array")],
    },
    Place {
        path: stream::PATH,
        question: None,
        summary: "Says that something was added, as server-sent events: `progress` with how far the \
                  recording has come, `still` where nothing is added any more.",
        parameters: &[],
        keys: &[],
    },
    Place {
        path: "restarts",
        question: Some(Question::Restarts),
        summary: "The lives of services and containers: the document of `highwater restarts --json`.",
        parameters: &[],
        keys: &[("schema", "integer"), ("owners", "array"), ("notes", "array")],
    },
    Place {
        path: "backtest",
        question: None,
        summary: "What the rules would have done: the document of `highwater rules backtest --json`.",
        parameters: PARAMETERS,
        keys: &[
            ("schema", "integer"),
            ("from", "string"),
            ("to", "string"),
            ("rules", "array"),
            ("incidents", "array"),
            ("notes", "array"),
        ],
    },
    Place {
        path: "openapi.json",
        question: None,
        summary: "This description.",
        parameters: &[],
        keys: &[("openapi", "string"), ("paths", "object")],
    },
];

/// The description.
pub(super) fn document() -> String {
    let paths: Map<String, Value> =
        PLACES.iter().map(|place| (format!("{BASE}{}", place.path), operation(place))).collect();
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "highwater",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What happened to this machine's memory. Sizes are bytes, times \
                            RFC 3339 in UTC; a later version adds keys.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
    });
    document.to_string()
}

fn operation(place: &Place) -> Value {
    let name = place.path.trim_end_matches(".json").replace("/{id}", "-one");
    let mut responses = Map::new();
    let told = match place.path {
        stream::PATH => events(),
        "now" => now(place.keys),
        "deaths" => deaths(place.keys),
        _ => answer("the document", place.keys),
    };
    responses.insert("200".to_owned(), told);
    for (status, when) in [("401", "no credentials, or wrong ones"), ("403", "not for this caller")]
    {
        responses.insert(status.to_owned(), words(when));
    }
    let wrong = (!place.parameters.is_empty()).then_some(("400", "it is asked wrongly"));
    let others = [("404", "there is nothing of the kind"), ("503", "it cannot be told now")];
    for (status, when) in wrong.into_iter().chain(others) {
        responses.insert(status.to_owned(), answer(when, &[("error", "string")]));
    }
    let mut operation = json!({
        "operationId": name,
        "summary": place.summary,
        "responses": responses,
    });
    let of_path = place.path.contains("{id}").then(id);
    let parameters: Vec<Value> =
        of_path.into_iter().chain(place.parameters.iter().map(parameter)).collect();
    if let (false, Some(operation)) = (parameters.is_empty(), operation.as_object_mut()) {
        operation.insert("parameters".to_owned(), Value::Array(parameters));
    }
    json!({ "get": operation })
}

/// A parameter of the address.
fn parameter((name, kind, what): &Parameter) -> Value {
    json!({ "name": name, "in": "query", "description": what, "schema": { "type": kind } })
}

fn id() -> Value {
    json!({
        "name": "id",
        "in": "path",
        "required": true,
        "description": "as `deaths` gives it: milliseconds since 1970, a dash, a pid",
        "schema": id_schema(),
    })
}

fn id_schema() -> Value {
    json!({ "type": "string", "pattern": "^[0-9][0-9-]{0,39}$" })
}

/// An answer that goes on: lines of text.
fn events() -> Value {
    let schema = json!({ "type": "string" });
    json!({ "description": "the events", "content": { "text/event-stream": { "schema": schema } } })
}

/// What whoever guards the server says, to a person.
fn words(when: &str) -> Value {
    let schema = json!({ "type": "string" });
    json!({ "description": when, "content": { "text/plain": { "schema": schema } } })
}

/// A check-up, with what each of its findings has.
fn now(keys: &[(&str, &str)]) -> Value {
    let text = json!({ "type": "string" });
    let finding = json!({
        "type": "object",
        "properties": {
            "severity": { "enum": ["ok", "unknown", "warning", "critical"] },
            "subject": text,
            "values": { "type": "object" },
            "text": text,
            "evidence": { "type": "array" },
        },
        "required": ["severity", "subject", "values", "text", "evidence"],
    });
    let mut properties = typed(keys);
    properties.insert("urgent".to_owned(), json!({ "type": "array", "items": finding }));
    json!({
        "description": "the document",
        "content": { "application/json": { "schema": object(&properties) } },
    })
}

/// The deaths of the list, each of which can be asked for.
fn deaths(keys: &[(&str, &str)]) -> Value {
    let text = json!({ "type": "string" });
    let item = json!({
        "type": "object",
        "properties": { "id": id_schema(), "time": text, "cause": text, "summary": text },
        "required": ["id", "time", "cause", "summary"],
    });
    let mut properties = typed(keys);
    properties.insert("deaths".to_owned(), json!({ "type": "array", "items": item }));
    let one = json!({
        "operationId": "deaths-one",
        "parameters": { "id": "$response.body#/deaths/0/id" },
        "description": "the newest of them in full",
    });
    json!({
        "description": "the document",
        "content": { "application/json": { "schema": object(&properties) } },
        "links": { "one": one },
    })
}

/// An answer whose keys these are at least.
fn answer(when: &str, keys: &[(&str, &str)]) -> Value {
    let schema = object(&typed(keys));
    json!({ "description": when, "content": { "application/json": { "schema": schema } } })
}

/// Keys, each with its type.
fn typed(keys: &[(&str, &str)]) -> Map<String, Value> {
    keys.iter().map(|(key, kind)| ((*key).to_owned(), json!({ "type": kind }))).collect()
}

/// What has all of these.
fn object(properties: &Map<String, Value>) -> Value {
    let required: Vec<&String> = properties.keys().collect();
    let required = json!(required);
    json!({ "type": "object", "properties": properties, "required": required })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_described_and_every_question_has_one() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), PLACES.len());
        for place in PLACES {
            let get = &paths[&format!("{BASE}{}", place.path)]["get"];
            assert_eq!(get["summary"], place.summary);
            let has_parameter = get.get("parameters").is_some();
            let takes = place.path.contains('{') || !place.parameters.is_empty();
            assert_eq!(has_parameter, takes, "{}", place.path);
            assert_eq!(get["responses"].get("400").is_some(), !place.parameters.is_empty());
        }
    }
}
