//! The dashboard from outside, by plain requests. What a browser makes of its pages is tests/browser's.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::clinic::{Clinic, PATIENT, RENDERED, Visit};
use crate::program::{LOOK, PATIENCE, Running};

/// A dashboard that is served.
struct Dashboard {
    running: Running,
    address: String,
    token: Option<String>,
}

struct Answer {
    code: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let own = |line: &&str| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        let line = self.head.lines().find(|line| own(line) && line[name.len()..].starts_with(':'))?;
        Some(line[name.len() + 1..].trim())
    }
}

impl Dashboard {
    fn of(clinic: &Clinic, more: &[&str]) -> Self {
        let words = [&["serve", "--bind", "127.0.0.1:0"], more].concat();
        let running = Running::start(clinic.command(&words)).unwrap();
        for _ in 0..500 {
            let said = running.said();
            if let Some((_, rest)) = said.split_once("http://")
                && let Some(line) = rest.lines().next().filter(|_| rest.contains('\n'))
            {
                let (address, query) = line.split_once('/').unwrap();
                let token = query.split_once("token=").map(|(_, token)| token.to_owned());
                return Self { address: address.to_owned(), token, running };
            }
            thread::sleep(LOOK);
        }
        panic!("it does not listen: {}", running.said());
    }

    fn ask(&self, request: &str, headers: &[&str], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let host = match headers.iter().any(|header| header.starts_with("Host:")) {
            true => String::new(),
            false => format!("Host: {}\r\n", self.address),
        };
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let length = body.len();
        write!(
            stream,
            "{request} HTTP/1.1\r\n{host}{headers}{kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut body = answer[end + 4..].to_vec();
        if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            body = unchunked(&body);
        }
        Answer { code, head, body }
    }

    fn get(&self, path: &str, cookie: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[&format!("Cookie: {cookie}")], "")
    }

    fn post(&self, path: &str, cookie: &str, body: &str) -> Answer {
        self.ask(&format!("POST {path}"), &[&format!("Cookie: {cookie}")], body)
    }

    /// Comes in by the token; gives the cookie.
    fn enter(&self) -> String {
        let entered = self.ask(&format!("GET /?token={}", self.token.as_ref().unwrap()), &[], "");
        assert_eq!((entered.code, entered.header("location")), (303, Some("/")), "{}", entered.head);
        let cookie = entered.header("set-cookie").unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    }

    /// The token that forms of this session carry.
    fn form(&self, cookie: &str) -> String {
        let page = self.get("/jobs", cookie).text();
        let (_, rest) = page.split_once("name=\"form\" value=\"").unwrap_or_else(|| panic!("no form: {page}"));
        rest.split('"').next().unwrap().to_owned()
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 2 + size + 2..];
    }
}

/// Two good visits and one of another patient's cheek.
fn with_a_stranger() -> Clinic {
    let stranger = Visit::regular(2, 1).file(2, "jpg", &RENDERED.stranger, serde_json::json!({}));
    let clinic = Clinic::of(&[Visit::regular(0, 2), Visit::regular(1, 2), stranger]);
    let run = clinic.run(&[]);
    assert_eq!(run.code, Some(10), "{run}");
    clinic
}

const FORBIDDING: [(&str, &str); 6] = [
    ("content-security-policy", "default-src 'none'; script-src 'self'; style-src 'self';"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=()"),
];

#[test]
fn nobody_comes_in_without_the_token_and_every_answer_forbids_what_is_not_needed() {
    let clinic = with_a_stranger();
    let dashboard = Dashboard::of(&clinic, &["--out", "out"]);
    let session = format!("/patients/c-014/{PATIENT}/sessions/2026-02-16-01");
    let patient = format!("/patients/c-014/{PATIENT}");
    let pages = [
        "/",
        "/retakes",
        "/retakes/print",
        "/patients",
        &patient,
        &session,
        "/tonight.csv",
        "/outcomes",
        "/outcomes.csv?by=clinic",
        "/outcomes.csv?table=response",
        "/outcomes.csv?table=clinics",
        "/data",
        "/data/dictionary.csv",
        "/data/changes.csv",
        "/queues",
        "/queues.csv",
        "/jobs",
        "/jobs.csv",
        "/jobs/1",
        "/jobs/1/gate.csv",
        "/quarantine",
        "/workers",
        "/api/v1/status",
        "/api/v1/workers",
        "/api/v1/queues",
        "/api/v1/patients",
        "/api/v1/outcomes?by=clinic",
        "/api/v1/openapi.json",
        "/api/v1/tables/photos",
        "/pictures/1/thumb.webp",
        "/nothing",
    ];
    for page in pages {
        let refused = dashboard.ask(&format!("GET {page}"), &[], "");
        assert_eq!(refused.code, 401, "{page}");
        assert!(!refused.text().contains(PATIENT), "{page} tells a stranger of a patient");
    }
    let elsewhere = dashboard.ask("GET /healthz", &["Host: evil.example:8787"], "");
    assert_eq!(elsewhere.code, 403, "a page elsewhere asks by a name of its own");

    let cookie = dashboard.enter();
    let again = dashboard.ask(&format!("GET /?token={}", dashboard.token.as_ref().unwrap()), &[], "");
    assert_eq!(again.code, 401, "the token works once");
    for page in pages {
        let answer = dashboard.get(page, &cookie);
        assert_eq!(answer.code, if page == "/nothing" { 404 } else { 200 }, "{page}: {}", answer.text());
        for (name, value) in FORBIDDING {
            let told = answer.header(name).unwrap_or_else(|| panic!("{page} has no {name}"));
            assert!(told.starts_with(value) && !told.contains("unsafe"), "{page}: {name}: {told}");
        }
        assert_eq!(answer.header("cache-control"), Some("private, no-store"), "{page}");
        let body = answer.text();
        assert!(
            !body.contains("http://") && !body.contains("https://") || page == "/data/changes.csv",
            "{page} names another origin"
        );
    }
    let picture = dashboard.get("/pictures/1/aligned.webp", &cookie);
    assert_eq!(
        (picture.code, picture.header("content-type"), &picture.body[..4]),
        (200, Some("image/webp"), &b"RIFF"[..])
    );
    for nothing in
        ["/pictures/1/passwd", "/pictures/1/..%2f..%2fcicatrix.db", "/pictures/99/thumb.webp", "/pictures/x/thumb.webp"]
    {
        assert!(matches!(dashboard.get(nothing, &cookie).code, 400 | 404), "{nothing}");
    }
    let gone = dashboard.get("/pictures/99/thumb.webp", &cookie);
    assert_eq!((gone.code, gone.header("content-type")), (404, Some("image/svg+xml")));
    for malformed in [
        "/jobs/x",
        "/jobs?after=x",
        "/retakes?before=x",
        "/retakes?reason=bogus",
        "/quarantine?reason=bogus",
        "/outcomes?by=bogus",
        "/outcomes.csv?table=bogus",
    ] {
        let answer = dashboard.get(malformed, &cookie);
        assert_eq!(answer.code, 400, "{malformed}");
        assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{malformed}: {}", answer.head);
    }
    let tonight = dashboard.get("/tonight.csv", &cookie).text();
    assert!(tonight.starts_with("clinic_id,open,") && tonight.contains("\nc-014,0,0,5,1,0,0,"), "{tonight}");
    let words = dashboard.get("/data", &cookie).text();
    assert!(words.contains("smallest improvement whose interval") && words.contains("psi_small"), "no dictionary");
    dashboard.running.signal(Signal::TERM);
    let ended = dashboard.running.end();
    assert_eq!(ended.code, Some(0), "{ended}");
}

#[test]
fn what_changes_something_asks_first_and_is_kept_with_a_name() {
    let clinic = with_a_stranger();
    let dashboard = Dashboard::of(&clinic, &["--out", "out"]);
    let cookie = dashboard.enter();
    let retakes = dashboard.get("/retakes", &cookie).text();
    assert!(retakes.contains("not_alignable") && retakes.contains("thumb.webp"), "{retakes}");
    let run = clinic.table("retakes")[0]["run_id"].to_string();
    let refused = dashboard.get(&format!("/pictures/{run}/thumb.webp"), &cookie);
    assert_eq!(refused.code, 200, "the photo that was refused is shown");

    let form = dashboard.form(&cookie);
    let forged = dashboard.post("/jobs/act", &cookie, &format!("form=forged&verb=discard&runs={run}&expected=1"));
    assert_eq!(forged.code, 403, "{}", forged.text());
    let bare = dashboard.post("/jobs/act", "", &format!("form={form}&verb=discard&runs={run}&expected=1"));
    assert_eq!(bare.code, 401);
    assert_eq!(clinic.table("retakes").len(), 1);

    let asked = dashboard.post("/jobs/act", &cookie, &format!("form={form}&verb=discard&runs={run}"));
    assert!(asked.code == 200 && asked.text().contains("Take 1 run off the lists?"), "{}", asked.text());
    assert_eq!(clinic.table("retakes").len(), 1, "it was only asked");
    let wrong = dashboard.post("/jobs/act", &cookie, &format!("form={form}&verb=discard&runs={run}&expected=7"));
    assert!(wrong.text().contains("has changed"), "{}", wrong.text());
    let done = dashboard.post(
        "/jobs/act",
        &cookie,
        &format!("form={form}&verb=discard&runs={run}&expected=1&who=Dr.+Ada&why=moved+away&back=%2F%2Fevil.example"),
    );
    assert!(done.code == 200 && done.text().contains("taken off the lists"), "{}", done.text());
    assert!(!done.text().contains("evil.example"));
    assert_eq!(clinic.table("retakes").len(), 0);
    let event = clinic.table("events").into_iter().find(|event| event["kind"] == "dismissed").unwrap();
    assert_eq!((&event["who"], &event["detail"]), (&Value::from("Dr. Ada"), &Value::from("moved away")));

    let back = format!("form={form}&verb=restore&runs={run}&expected=1");
    for unsigned in [back.clone(), format!("{back}&who=Ada"), format!("{back}&who=Ada&why=+")] {
        let refused = dashboard.post("/jobs/act", &cookie, &unsigned);
        assert!(refused.code == 400 && refused.text().contains("why it is done"), "{}", refused.text());
    }
    assert_eq!(clinic.table("retakes").len(), 0);
    let undone = dashboard.post("/jobs/act", &cookie, &format!("{back}&who=Ada&why=a+mistake"));
    assert_eq!(undone.code, 200, "{}", undone.text());
    assert_eq!(clinic.table("retakes").len(), 1);

    let signed = format!("form={form}&who=ops&why=holiday");
    let nobody = dashboard.post("/pauses", &cookie, &format!("{signed}&verb=pause&clinic=&confirmed=1"));
    assert_eq!(nobody.code, 400, "all clinics are not paused by an empty field");
    let asked = dashboard.post("/pauses", &cookie, &format!("form={form}&verb=pause&clinic=c-014"));
    assert!(asked.code == 200 && asked.text().contains("0 photos are open there"), "{}", asked.text());
    assert!(!dashboard.get("/", &cookie).text().contains("is paused"), "it was only asked");
    let paused = dashboard.post("/pauses", &cookie, &format!("{signed}&verb=pause&clinic=c-014&confirmed=1"));
    assert_eq!(paused.code, 303, "{}", paused.text());
    let tonight = dashboard.get("/", &cookie).text();
    assert!(tonight.contains("Clinic c-014 is paused") && tonight.contains("holiday"), "{tonight}");
    assert!(dashboard.get("/queues", &cookie).text().contains("Clinic c-014 is paused"));
    dashboard.post("/pauses", &cookie, &format!("{signed}&verb=resume&clinic=c-014&confirmed=1"));
    assert!(!dashboard.get("/", &cookie).text().contains("is paused"));

    let address = format!("/patients/c-014/{PATIENT}/baseline");
    let asked = dashboard.post(&address, &cookie, &format!("form={form}&session=2026-02-16-01"));
    assert!(asked.code == 200 && asked.text().contains("Choose it"), "{}", asked.text());
    let chosen = dashboard.post(&address, &cookie, &format!("{signed}&session=2026-02-16-01&confirmed=1"));
    assert_eq!(chosen.code, 303, "{}", chosen.text());
    let sessions = clinic.table("sessions");
    assert_eq!(sessions[1]["is_baseline"], 1, "{sessions:?}");
}

#[test]
fn a_dashboard_for_others_has_a_password_and_may_show_no_photo_and_change_nothing() {
    let clinic = with_a_stranger();
    let open = clinic.cicatrix(&["serve", "--bind", "0.0.0.0:0"]);
    assert_eq!(open.code, Some(78), "{open}");
    assert!(open.stderr.contains("--password-file"), "{open}");
    std::fs::write(clinic.path("short"), "secret\n").unwrap();
    let short = clinic.cicatrix(&["serve", "--password-file", "short"]);
    assert_eq!(short.code, Some(78), "{short}");
    let nothing = clinic.cicatrix(&["serve", "--db", "sqlite://nothing.db"]);
    assert_eq!(nothing.code, Some(65), "{nothing}");

    let password = "a password of some length";
    std::fs::write(clinic.path("password"), format!("{password}\n")).unwrap();
    let dashboard = Dashboard::of(&clinic, &["--password-file", "password", "--read-only", "--out", "none"]);
    assert_eq!(dashboard.token, None);
    assert_eq!(dashboard.ask("POST /login", &[], "password=wrong").code, 401);
    let entered = dashboard.ask("POST /login", &[], "password=a+password+of+some+length");
    assert_eq!(entered.code, 303, "{}", entered.text());
    let cookie = entered.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(dashboard.get("/pictures/1/thumb.webp", &cookie).code, 404);
    assert!(!dashboard.get("/retakes", &cookie).text().contains("<img"));
    assert!(!dashboard.get("/", &cookie).text().contains("method=\"post\""));

    let bearer = format!("Authorization: Bearer {password}");
    let status = dashboard.ask("GET /api/v1/status", &[&bearer], "");
    let told: Value = serde_json::from_slice(&status.body).unwrap();
    assert_eq!((status.code, &told["counts"]["not_measurable"]), (200, &Value::from(1)), "{told}");
    let refused = dashboard.ask("POST /jobs/act", &[&bearer], "form=x&verb=retry&runs=1&expected=1");
    assert_eq!(refused.code, 403, "{}", refused.text());
    let rows = dashboard.ask("GET /api/v1/tables/photos?limit=2", &[&bearer], "");
    let rows: Value = serde_json::from_slice(&rows.body).unwrap();
    assert_eq!(rows["rows"].as_array().unwrap().len(), 2);
    let before = rows["next_before"].as_i64().unwrap();
    let next = dashboard.ask(&format!("GET /api/v1/tables/photos?limit=500&before={before}"), &[&bearer], "");
    let next: Value = serde_json::from_slice(&next.body).unwrap();
    assert_eq!((next["rows"].as_array().unwrap().len(), &next["next_before"]), (4, &Value::Null));
    for wrong in ["photos?nothing=1", "photos?limit=x", "changes", "nothing"] {
        let answer = dashboard.ask(&format!("GET /api/v1/tables/{wrong}"), &[&bearer], "");
        assert!(matches!(answer.code, 400 | 404), "{wrong}: {}", answer.code);
    }
}

/// The types that the description gives to columns are those of the rows that are answered.
#[test]
fn the_api_answers_what_its_description_says() {
    let clinic = with_a_stranger();
    let dashboard = Dashboard::of(&clinic, &[]);
    let cookie = dashboard.enter();
    let get = |path: &str| -> Value {
        let answer = dashboard.get(path, &cookie);
        assert_eq!(answer.code, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    };
    let described = get("/api/v1/openapi.json");
    let is_of = |value: &Value, types: &Value| {
        let name = match value {
            Value::Null => "null",
            Value::String(_) => "string",
            Value::Number(_) => "number",
            other => panic!("{other} is in a table"),
        };
        types.as_array().unwrap().iter().any(|kind| kind == name)
    };
    let mut seen = 0;
    for (path, _) in described["paths"].as_object().unwrap() {
        let Some(table) = path.strip_prefix("/api/v1/tables/") else { continue };
        let properties = &described["components"]["schemas"][table]["properties"];
        let of = if properties["clinic_id"].is_object() { "?clinic_id=c-014" } else { "" };
        for row in get(&format!("{path}{of}"))["rows"].as_array().unwrap() {
            for (name, value) in row.as_object().unwrap() {
                let column = &properties[name];
                assert!(is_of(value, &column["type"]), "{table} {name}: {value} is none of {column}");
                assert!(!column["description"].as_str().unwrap().is_empty(), "{table} {name}");
                seen += 1;
            }
        }
    }
    assert!(seen > 500, "{seen} values only");
    for path in ["/api/v1/status", "/api/v1/patients", "/api/v1/outcomes"] {
        let schema = &described["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let names =
            |value: &Value| value.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(names(&get(path)), names(&schema["properties"]), "{path}");
    }
    for path in ["/api/v1/workers", "/api/v1/queues"] {
        assert!(described["paths"][path]["get"]["responses"]["200"].is_object(), "{path} is not described");
    }
    let patients = get("/api/v1/patients?limit=1");
    assert_eq!((&patients["rows"][0]["patient_id"], &patients["next_after"]), (&Value::from(PATIENT), &Value::Null));
    let wrong = dashboard.get("/api/v1/patients?limit=x", &cookie);
    let said: Value = serde_json::from_slice(&wrong.body).unwrap();
    assert!(wrong.code == 400 && said["error"].is_string(), "{said}");
}

/// Behind the night of a demo a worker is there for what is tried again, and one Ctrl-C ends night, worker and dashboard.
#[test]
fn a_served_demo_tries_again_what_it_is_told_to_and_ends_on_one_signal() {
    let home = Clinic::empty();
    let db = "sqlite://cicatrix.db";
    let words = "demo --patients 2 --sessions 2 --serve --bind 127.0.0.1:0 --no-progress --db";
    let start = || home.start(&words.split(' ').chain([db]).collect::<Vec<_>>());
    let count =
        |table: &str, column: &str, value: &str| home.table(table).iter().filter(|row| row[column] == value).count();
    let nights = || home.table("nights").iter().filter(|night| !night["finished_at"].is_null()).count();
    // As soon as it has greeted, all of it hears the signal: the night is not worked to its end.
    let mut demo = start();
    let until = Instant::now() + PATIENCE;
    while !demo.said().contains("Ctrl-C stops it.") {
        assert!(!demo.has_ended() && Instant::now() < until, "no greeting: {}", demo.said());
        thread::sleep(Duration::from_millis(1));
    }
    demo.signal(Signal::INT);
    let ended = demo.end();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(count("photos", "state", "measured") < 8, "{ended}");
    let cut = nights();

    let mut demo = start();
    home.wait_for(&mut demo, "quarantined", 1);
    let until = Instant::now() + PATIENCE;
    let mut wait = |what: &dyn Fn() -> bool| {
        while !what() {
            assert!(!demo.has_ended() && Instant::now() < until, "it goes on: {}", demo.said());
            thread::sleep(LOOK);
        }
    };
    wait(&|| nights() > cut);
    let (set_aside, begun) = (count("photos", "state", "quarantined"), count("events", "kind", "started"));
    let again = home.cicatrix(&["jobs", "retry", "--state", "quarantined", "--yes"]);
    assert_eq!(again.code, Some(0), "{again}");
    wait(&|| count("events", "kind", "started") == begun + set_aside);
    wait(&|| count("photos", "state", "quarantined") == set_aside);
    demo.signal(Signal::INT);
    let ended = demo.end();
    assert_eq!(ended.code, Some(0), "{ended}");
}
