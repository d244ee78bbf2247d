//! Style, script and icon, inside of the program. The names of the first two carry their digests, so a browser may keep them.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

use crate::problem::Problem;

const STYLE: &str = include_str!("../assets/app.css");
const SCRIPT: &str = include_str!("../assets/app.js");
const ICON: &str = include_str!("../assets/icon.svg");

static NAMES: LazyLock<[String; 2]> = LazyLock::new(|| [named(STYLE, "css"), named(SCRIPT, "js")]);

fn named(content: &str, kind: &str) -> String {
    let digest: String = Sha256::digest(content.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("app-{digest}.{kind}")
}

pub(crate) fn style() -> &'static str {
    &NAMES[0]
}

pub(crate) fn script() -> &'static str {
    &NAMES[1]
}

pub(crate) async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    let (content, kind) = if name == style() {
        (STYLE, "text/css; charset=utf-8")
    } else if name == script() {
        (SCRIPT, "text/javascript; charset=utf-8")
    } else if name == "icon.svg" {
        (ICON, "image/svg+xml")
    } else {
        return Err(Problem::not_found("there is no such file"));
    };
    let forever = if name == "icon.svg" { "public, max-age=3600" } else { "public, max-age=31536000, immutable" };
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, forever)], content).into_response())
}
