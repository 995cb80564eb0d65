//! Tests of those who are told of alerts, as text and as JSON.

use std::fmt::Write as _;

use highwater_act::{Body, Outcome};
use serde::Serialize;
use serde_json::{Value, json};

/// The version of the documents.
const SCHEMA: u8 = 1;

/// A receiver that was tried.
pub(crate) struct Tried {
    /// How it is called.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: &'static str,
    /// How that went.
    pub(crate) outcome: Outcome,
}

/// What a receiver would be sent.
pub(crate) struct Draft {
    /// How it is called.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: &'static str,
    /// Where it would be sent; of secrets only where they are found.
    pub(crate) to: String,
    /// What it says.
    pub(crate) body: Body,
}

/// How the tries went, a line each.
pub(crate) fn tried(all: &[Tried]) -> String {
    let wide = all.iter().map(|tried| tried.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for Tried { name, kind, outcome } in all {
        let advice = match outcome {
            Outcome::Sent => "",
            Outcome::Partly { .. } => " (the others have it)",
            Outcome::Later { .. } => " (the agent would try it again)",
            Outcome::Never { .. } => " (the agent would give it up)",
        };
        // Writing to a String cannot fail.
        writeln!(out, "{name:wide$}  {kind:12}  {outcome}{advice}").unwrap_or_default();
    }
    out
}

/// The same for programs.
#[derive(Serialize)]
pub(crate) struct TriedDocument<'t> {
    schema: u8,
    receivers: Vec<TriedReceiver<'t>>,
}

#[derive(Serialize)]
struct TriedReceiver<'t> {
    name: &'t str,
    kind: &'t str,
    /// `sent`, `partly`, `later` or `never`.
    outcome: &'static str,
    why: Option<&'t str>,
}

/// How the tries went, as a document.
pub(crate) fn tried_document(all: &[Tried]) -> TriedDocument<'_> {
    TriedDocument { schema: SCHEMA, receivers: all.iter().map(receiver).collect() }
}

fn receiver(tried: &Tried) -> TriedReceiver<'_> {
    let (outcome, why) = match &tried.outcome {
        Outcome::Sent => ("sent", None),
        Outcome::Partly { why } => ("partly", Some(why.as_str())),
        Outcome::Later { why, .. } => ("later", Some(why.as_str())),
        Outcome::Never { why } => ("never", Some(why.as_str())),
    };
    TriedReceiver { name: &tried.name, kind: tried.kind, outcome, why }
}

/// What would be sent.
pub(crate) fn drafts(all: &[Draft]) -> String {
    let mut out = String::new();
    for Draft { name, kind, to, body } in all {
        let text = written(body);
        // Writing to a String cannot fail.
        writeln!(out, "{name} ({kind})\n{to}\n\n{}\n", text.trim_end()).unwrap_or_default();
    }
    out
}

/// A body as a person reads it.
fn written(body: &Body) -> String {
    match body {
        Body::Json(document) => format!("{document:#}"),
        Body::Letter { subject, text, .. } => format!("Subject: {subject}\n\n{text}"),
    }
}

/// The same for programs.
pub(crate) fn drafts_document(all: &[Draft]) -> Value {
    let one = |draft: &Draft| {
        let body = match &draft.body {
            Body::Json(document) => document.clone(),
            Body::Letter { subject, text, html } => {
                json!({"subject": subject, "text": text, "html": html})
            }
        };
        json!({"name": draft.name, "kind": draft.kind, "to": draft.to, "body": body})
    };
    json!({"schema": SCHEMA, "receivers": all.iter().map(one).collect::<Vec<_>>()})
}
