//! What the API answers, as OpenAPI: paths, their parameters, and the columns of every table with their types, from the dictionary.

use axum::Json;
use axum::extract::State;
use cicatrix_ledger::Table;
use serde_json::{Map, Value, json};

use super::ApiProblem;
use crate::Shared;

pub(super) async fn describe(State(dashboard): State<Shared>) -> Result<Json<Value>, ApiProblem> {
    let dictionary = dashboard.ledger.sheet(Table::Dictionary, &[]).await?;
    let mut schemas = Map::new();
    let mut paths = Map::new();
    for table in Table::ALL {
        let mut columns = Map::new();
        let names = dashboard.ledger.has_columns(table, &[]).await?;
        let asked: Vec<Value> = [("clinic_id", "only of this clinic"), ("patient_id", "only of this patient")]
            .into_iter()
            .filter(|(column, _)| names.iter().any(|name| name == column))
            .map(|(column, what)| parameter(column, "string", what))
            .collect();
        for name in names {
            let entry = dictionary
                .rows()
                .find(|row| row.text("table_name") == Some(table.name()) && row.text("name") == Some(&name));
            let text = |column| entry.and_then(|row| row.text(column)).unwrap_or_default();
            columns.insert(name.clone(), column(text("unit"), text("meaning")));
        }
        let name = table.name();
        schemas.insert(name.to_owned(), json!({ "type": "object", "description": table.row(), "properties": columns }));
        paths.insert(format!("/api/v1/tables/{name}"), json!({ "get": rows(table, asked.clone()) }));
        let file = |kind: &str, content: Value| {
            json!({ "get": {
                "summary": format!("All of {name} as {kind}; columns may be asked for by value"),
                "parameters": asked.clone(),
                "responses": of_a_page("the file, row by row", &content),
            } })
        };
        paths.insert(format!("/data/{name}.csv"), file("CSV", json!({ "text/csv": {} })));
        let line = json!({ "application/x-ndjson": { "schema": of(name) } });
        paths.insert(format!("/data/{name}.json"), file("JSON, an object a line", line));
    }
    schemas.insert("error".to_owned(), object(&[("error", "string")]));
    schemas.insert("counts".to_owned(), counts());
    for (path, what) in plain() {
        paths.insert(path.to_owned(), json!({ "get": what }));
    }
    Ok(Json(json!({
        "openapi": "3.1.0",
        "info": { "title": "cicatrix", "version": env!("CARGO_PKG_VERSION"), "description": "What the dashboard shows." },
        "components": {
            "securitySchemes": {
                "password": { "type": "http", "scheme": "bearer", "description": "of serve --password-file" },
                "session": { "type": "apiKey", "in": "cookie", "name": "cicatrix_session_PORT", "description": "of a browser that is in; with the port that it came to" },
            },
            "schemas": schemas,
        },
        "security": [{ "password": [] }, { "session": [] }],
        "paths": paths,
    })))
}

/// A column by its unit in the dictionary: text where it has none. Any may be empty.
fn column(unit: &str, meaning: &str) -> Value {
    let (kind, format) = match unit {
        "-" | "JSON" => ("string", None),
        "UTC" => ("string", Some("date-time")),
        "day" => ("string", Some("date")),
        _ => ("number", None),
    };
    let mut column = json!({ "type": [kind, "null"], "description": meaning });
    if let Some(format) = format {
        column["format"] = format.into();
    } else if kind == "number" {
        column["x-unit"] = unit.into();
    }
    column
}

/// A page of a table.
fn rows(table: Table, mut parameters: Vec<Value>) -> Value {
    if table.number().is_some() {
        parameters.push(parameter("before", "integer", "rows of a smaller number: next_before of the page before"));
        parameters.push(parameter("limit", "integer", "rows of a page, at most 500"));
    }
    // Without pages all rows come at once, so they have to be few.
    let wants =
        if table.number().is_some() || parameters.is_empty() { "" } else { ", clinic_id or patient_id has to be" };
    let page = json!({ "type": "object", "properties": {
        "rows": { "type": "array", "items": of(table.name()) },
        "next_before": { "type": ["integer", "null"], "description": "where the next page begins, if there is one" },
    } });
    json!({
        "summary": format!("Rows of {}: {}; any column may be asked for by value{wants}", table.name(), table.row()),
        "parameters": parameters,
        "responses": answers("a page of rows", in_json(&page)),
    })
}

/// The answers that are no rows of a table.
fn plain() -> Vec<(&'static str, Value)> {
    let get = |summary: &str, parameters: Value, schema: Value| json!({ "summary": summary, "parameters": parameters, "responses": answers(summary, in_json(&schema)) });
    let list = |items: Value| json!({ "type": "array", "items": items });
    let queue = with(
        object(&[
            ("clinic_id", "string"),
            ("held", "string"),
            ("oldest", "string"),
            ("ended_in_ten_minutes", "integer"),
        ]),
        "counts",
        of("counts"),
    );
    let worker = object(&[
        ("worker", "string"),
        ("version", "string"),
        ("running", "integer"),
        ("slots", "integer"),
        ("since", "string"),
        ("started_at", "string"),
        ("seen_at", "string"),
    ]);
    let map = |values: Value| json!({ "type": "object", "additionalProperties": values });
    let of_clinic = with(object(&[("held", "string")]), "counts", of("counts"));
    let reason = object(&[("state", "string"), ("reason", "string"), ("n", "integer")]);
    let pause = object(&[("clinic", "string"), ("paused_at", "string"), ("who", "string"), ("why", "string")]);
    let status = [
        ("counts", of("counts")),
        ("clinics", map(of_clinic)),
        ("reasons", list(reason)),
        ("verdicts", map(json!({ "type": "integer" }))),
        ("pauses", list(pause)),
        ("workers", list(worker.clone())),
    ]
    .into_iter()
    .fold(object(&[("per_minute", "number"), ("eta", "string"), ("deadline", "string")]), |status, (name, schema)| {
        with(status, name, schema)
    });
    let mut patient = object(&[("clinic_id", "string"), ("patient_id", "string")]);
    patient["type"] = json!(["object", "null"]);
    let patients = with(with(json!({ "type": "object" }), "rows", list(of("patients"))), "next_after", patient);
    let mean = object(&[
        ("session_no", "integer"),
        ("n_patients", "integer"),
        ("mean_change_pct", "number"),
        ("ci95_lo", "number"),
        ("ci95_hi", "number"),
        ("n_not_measurable", "integer"),
        ("n_series", "integer"),
    ]);
    let group = with(object(&[("group", "string")]), "sessions", list(mean));
    let outcomes = with(
        with(
            object(&[("groups_suppressed", "integer"), ("sessions_suppressed", "integer"), ("n_patients", "integer")]),
            "groups",
            list(group),
        ),
        "response",
        list(object(&[("at_least_pct", "number"), ("share_pct", "number")])),
    );
    let groups = json!([
        parameter("by", "string", "all, clinic, device, depth or skin"),
        parameter("clinic", "string", "only of this clinic"),
    ]);
    let file = |summary: &str, parameters: Value| {
        json!({
            "summary": summary, "parameters": parameters, "responses": of_a_page(summary, &json!({ "text/csv": {} })),
        })
    };
    let of_page = json!([
        parameter("clinic_id", "string", "only of this clinic"),
        parameter("begins", "string", "only names that begin so"),
        parameter("after_clinic", "string", "clinic_id of next_after"),
        parameter("after", "string", "patient_id of next_after"),
        parameter("limit", "integer", "rows of a page, at most 500")
    ]);
    let table = parameter("table", "string", "means, response or clinics");
    let mut of_outcomes = groups.clone();
    if let Some(parameters) = of_outcomes.as_array_mut() {
        parameters.push(table);
    }
    let run = json!({ "name": "run", "in": "path", "required": true, "schema": { "type": "integer" }, "description": "run_id" });
    vec![
        ("/api/v1/status", get("Where the work stands: counts, clinics, reasons, pace", json!([]), status)),
        ("/api/v1/workers", get("Who works", json!([]), list(worker))),
        ("/api/v1/queues", get("What is open, by clinic", json!([]), list(queue))),
        ("/api/v1/patients", get("Patients by clinic and name", of_page, patients)),
        ("/api/v1/outcomes", get("Means of groups of patients by session, and who responds", groups, outcomes)),
        ("/tonight.csv", file("The table of clinics of Tonight", json!([]))),
        ("/queues.csv", file("The table of Queues", json!([]))),
        ("/jobs.csv", file("Runs by state and reason", json!([]))),
        ("/outcomes.csv", file("A table of Outcomes", of_outcomes)),
        ("/jobs/{run}/gate.csv", file("What the gate read of a run's photo", json!([run]))),
    ]
}

fn answers(what: &str, content: Value) -> Value {
    let error = |what: &str| json!({ "description": what, "content": in_json(&of("error")) });
    json!({
        "200": { "description": what, "content": content },
        "400": error("a parameter is wrong: the text says which"),
        "401": error("the password is missing or wrong"),
        "404": error("there is no such thing"),
        "500": error("a fault of ours"),
        "503": error("the ledger does not answer; ask again"),
    })
}

/// Of an address that is not below /api: errors come as a page.
fn of_a_page(what: &str, content: &Value) -> Value {
    let mut answers = answers(what, content.clone());
    for (code, answer) in answers.as_object_mut().into_iter().flatten() {
        if code != "200" {
            answer["content"] = json!({ "text/html": {} });
        }
    }
    answers
}

fn in_json(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

fn of(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn parameter(name: &str, kind: &str, what: &str) -> Value {
    json!({ "name": name, "in": "query", "required": false, "schema": { "type": kind }, "description": what })
}

/// An object of these fields, any of which may be empty.
fn object(fields: &[(&str, &str)]) -> Value {
    let fields: Map<String, Value> =
        fields.iter().map(|(name, kind)| ((*name).to_owned(), json!({ "type": [kind, "null"] }))).collect();
    json!({ "type": "object", "properties": fields })
}

fn with(mut object: Value, name: &str, schema: Value) -> Value {
    object["properties"][name] = schema;
    object
}

fn counts() -> Value {
    let states: Vec<(&str, &str)> = cicatrix_ledger::State::ALL.iter().map(|state| (state.name(), "integer")).collect();
    object(&states)
}
