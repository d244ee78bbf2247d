//! Who may come in, and what every answer forbids.
//!
//! On this machine alone: a token in the printed address that works once and leaves a cookie. Elsewhere: a password of at
//! least sixteen characters, typed into a form or sent as `Authorization: Bearer`. What is remembered of either is a digest.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use askama::Template;
use axum::Form;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::Shared;
use crate::api::ApiProblem;
use crate::problem::Problem;

/// A working day and a night.
const LASTS: Duration = Duration::from_secs(16 * 3600);
const SHORTEST_PASSWORD: usize = 16;
/// After a wrong password.
const PAUSE: Duration = Duration::from_millis(500);

const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// Why the dashboard is not served as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessError(pub String);

impl std::fmt::Display for AccessError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AccessError {}

type Secret = [u8; 32];

/// Who may come in.
#[derive(Debug)]
pub struct Access {
    /// Works once.
    token: Mutex<Option<Secret>>,
    password: Option<Secret>,
    /// Its cookie carries the port in its name: cookies are the same for all ports of a machine.
    cookie: String,
    /// One wrong password at a time, each with its pause.
    wrong: tokio::sync::Mutex<()>,
    /// Only by names of this machine, so that a page elsewhere cannot ask through a name of its own.
    is_local: bool,
    sessions: Mutex<HashMap<Secret, Session>>,
}

#[derive(Debug, Clone)]
struct Session {
    /// Has to come with every form.
    form: String,
    until: Instant,
}

/// The token that a session's forms carry; none for a program with the password.
#[derive(Debug, Clone)]
pub(crate) struct FormToken(pub(crate) String);

impl Access {
    /// Who may come in at an address; gives the token to print where there is no password.
    pub fn at(address: SocketAddr, password: Option<&str>) -> Result<(Self, Option<String>), AccessError> {
        if let Some(password) = password
            && password.chars().count() < SHORTEST_PASSWORD
        {
            return Err(AccessError(format!("the password has fewer than {SHORTEST_PASSWORD} characters")));
        }
        let is_local = address.ip().is_loopback();
        if !is_local && password.is_none() {
            return Err(AccessError(format!(
                "{address} can be reached from other machines, and nothing asks who comes: name a file with a password \
                 (--password-file), or bind 127.0.0.1"
            )));
        }
        let token = password.is_none().then(random);
        let access = Self {
            token: Mutex::new(token.as_deref().map(digest)),
            password: password.map(digest),
            cookie: cookie_name(address),
            wrong: tokio::sync::Mutex::default(),
            is_local,
            sessions: Mutex::default(),
        };
        Ok((access, token))
    }

    /// The address that it was given, once that is known.
    pub(crate) fn listens_on(&mut self, address: SocketAddr) {
        self.cookie = cookie_name(address);
    }

    /// A new session for whoever has the token, which is spent by it.
    fn enter_by_token(&self, said: &str) -> Option<String> {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        token.take_if(|token| *token == digest(said))?;
        Some(self.new_session())
    }

    /// A new session for whoever knows the password.
    async fn enter_by_password(&self, said: &str) -> Option<String> {
        self.is_password(said).await.then(|| self.new_session())
    }

    /// A wrong one costs a pause, and all who guess wait for each other.
    async fn is_password(&self, said: &str) -> bool {
        if self.password.as_ref() == Some(&digest(said)) {
            return true;
        }
        let _turn = self.wrong.lock().await;
        tokio::time::sleep(PAUSE).await;
        false
    }

    fn new_session(&self) -> String {
        let cookie = random();
        let session = Session { form: random(), until: Instant::now() + LASTS };
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.until > Instant::now());
        sessions.insert(digest(&cookie), session);
        cookie
    }

    fn session(&self, headers: &HeaderMap) -> Option<FormToken> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut own = cookies.flat_map(|all| all.split(';')).filter_map(|one| one.trim().split_once('='));
        let (_, cookie) = own.find(|(name, _)| *name == self.cookie)?;
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get(&digest(cookie)).filter(|session| session.until > Instant::now())?;
        Some(FormToken(session.form.clone()))
    }

    async fn is_bearer(&self, headers: &HeaderMap) -> bool {
        let said = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        match said.and_then(|said| said.strip_prefix("Bearer ")) {
            Some(said) => self.is_password(said).await,
            None => false,
        }
    }

    fn entered(&self, cookie: &str, path: &str, is_secure: bool) -> Response {
        let secure = if is_secure { "; Secure" } else { "" };
        let (name, lasts) = (&self.cookie, LASTS.as_secs());
        let cookie = format!("{name}={cookie}; Path=/; HttpOnly; SameSite=Strict; Max-Age={lasts}{secure}");
        ([(header::SET_COOKIE, cookie)], Redirect::to(&address_of_ours(path, "/"))).into_response()
    }
}

fn cookie_name(address: SocketAddr) -> String {
    format!("cicatrix_session_{}", address.port())
}

/// A path of this dashboard, whatever somebody says.
pub(crate) fn address_of_ours(text: &str, other: &str) -> String {
    let is_plain = |c: char| c.is_ascii_graphic() && c != '\\';
    let is_ours = text.starts_with('/') && !text.starts_with("//") && text.chars().all(is_plain);
    if is_ours { text } else { other }.to_owned()
}

/// A word that nobody guesses: 128 bits.
fn random() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("the system gives random numbers");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(text: &str) -> Secret {
    Sha256::digest(text.as_bytes()).into()
}

/// Lets in who may, and puts the headers on every answer.
pub(crate) async fn guard(State(dashboard): State<Shared>, mut request: Request, next: Next) -> Response {
    let is_private = !request.uri().path().starts_with("/assets/");
    let mut response = match admit(&dashboard, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal,
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if is_private {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    }
    response
}

async fn admit(dashboard: &Shared, request: &mut Request) -> Result<(), Response> {
    let access = &dashboard.access;
    if access.is_local && !is_own_name(request.headers()) {
        return Err(Problem::refused("this dashboard answers to 127.0.0.1 and localhost only").into_response());
    }
    let path = request.uri().path();
    if path.starts_with("/assets/") || path == "/healthz" || path == "/login" {
        return Ok(());
    }
    if request.method() == Method::GET
        && let Some(token) = token_in(request.uri())
    {
        if access.session(request.headers()).is_some() {
            return Err(Redirect::to(&address_of_ours(path, "/")).into_response());
        }
        return Err(match access.enter_by_token(token) {
            Some(cookie) => access.entered(&cookie, path, false),
            None => ask_to_log_in(
                dashboard,
                StatusCode::UNAUTHORIZED,
                Some("this address was used before, or was not printed by this dashboard"),
            ),
        });
    }
    if let Some(form) = access.session(request.headers()) {
        request.extensions_mut().insert(form);
        return Ok(());
    }
    // A program with the password may do what a form does; it has no session whose form could be forged.
    if access.is_bearer(request.headers()).await {
        return Ok(());
    }
    if path.starts_with("/api/") {
        let text = match access.password.is_some() {
            true => "send the password as Authorization: Bearer",
            false => {
                "come in by the printed address, or start 'cicatrix serve' with --password-file and send the password as \
                      Authorization: Bearer"
            }
        };
        return Err(ApiProblem(StatusCode::UNAUTHORIZED, text.to_owned()).into_response());
    }
    Err(ask_to_log_in(dashboard, StatusCode::UNAUTHORIZED, None))
}

fn is_own_name(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

fn token_in(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("token="))
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    has_password: bool,
    why: Option<&'a str>,
}

fn ask_to_log_in(dashboard: &Shared, code: StatusCode, why: Option<&str>) -> Response {
    let page = LoginPage { has_password: dashboard.access.password.is_some(), why };
    (code, crate::pages::html(&page)).into_response()
}

pub(crate) async fn login_page(State(dashboard): State<Shared>) -> Response {
    ask_to_log_in(&dashboard, StatusCode::OK, None)
}

#[derive(Deserialize)]
pub(crate) struct Login {
    password: String,
}

pub(crate) async fn login(State(dashboard): State<Shared>, headers: HeaderMap, Form(said): Form<Login>) -> Response {
    if dashboard.access.password.is_none() {
        return ask_to_log_in(&dashboard, StatusCode::UNAUTHORIZED, Some("this dashboard has no password"));
    }
    match dashboard.access.enter_by_password(&said.password).await {
        Some(cookie) => {
            // Behind a proxy that speaks TLS.
            let is_secure = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
            dashboard.access.entered(&cookie, "/", is_secure)
        }
        None => ask_to_log_in(&dashboard, StatusCode::UNAUTHORIZED, Some("that is not the password")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str, password: Option<&str>) -> Result<(Access, Option<String>), AccessError> {
        Access::at(address.parse().unwrap(), password)
    }

    #[test]
    fn another_address_needs_a_password_and_a_long_one() {
        assert!(at("0.0.0.0:8787", None).unwrap_err().0.contains("--password-file"));
        assert!(at("10.0.0.1:8787", Some("short")).is_err());
        assert!(at("0.0.0.0:8787", Some("a long enough one")).unwrap().1.is_none());
        assert!(at("127.0.0.1:8787", None).unwrap().1.is_some());
    }

    #[tokio::test]
    async fn a_token_works_once_and_a_password_again_and_again() {
        let (access, token) = at("127.0.0.1:8787", None).unwrap();
        let token = token.unwrap();
        assert!(access.enter_by_token("something").is_none());
        let cookie = access.enter_by_token(&token).unwrap();
        assert!(access.enter_by_token(&token).is_none(), "the token works once");
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("other=1; cicatrix_session_8787={cookie}").parse().unwrap());
        assert!(access.session(&headers).is_some());
        headers.insert(header::COOKIE, format!("cicatrix_session_8787={token}").parse().unwrap());
        assert!(access.session(&headers).is_none());

        let password = "a long enough one";
        let (access, _) = at("0.0.0.0:8787", Some(password)).unwrap();
        assert!(access.enter_by_token(password).is_none(), "a password has no place in an address");
        for _ in 0..2 {
            assert!(access.enter_by_password(password).await.is_some());
        }
        headers.insert(header::AUTHORIZATION, format!("Bearer {password}").parse().unwrap());
        assert!(access.is_bearer(&headers).await);
        headers.insert(header::AUTHORIZATION, "Bearer another long one".parse().unwrap());
        assert!(!access.is_bearer(&headers).await);
    }

    #[test]
    fn nobody_is_sent_elsewhere() {
        assert_eq!(address_of_ours("/retakes?clinic=c", "/"), "/retakes?clinic=c");
        for other in ["//evil.example", "https://evil.example", "/\\evil.example", "/\tevil", ""] {
            assert_eq!(address_of_ours(other, "/jobs"), "/jobs", "{other:?}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        let named = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            is_own_name(&headers)
        };
        for own in ["127.0.0.1:8787", "localhost", "localhost:1", "[::1]:8787"] {
            assert!(named(own), "{own}");
        }
        for other in ["evil.example:8787", "127.0.0.1.evil.example", "localhost.evil.example:80", ""] {
            assert!(!named(other), "{other}");
        }
    }
}
