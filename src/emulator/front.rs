//! The front end: takes a request to an app host to an instance of the side that the
//! slot has now.
//!
//! Owns affinity, `x-ms-routing-name`, ramp-up and waiting for an instance. Must not
//! lock the world: it reads the routing table that the runtime publishes.

use std::sync::Arc;

use hyper::header::{COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use hyper::{Request, Response, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::runtime::app::App;
use super::runtime::body::guarded;
pub use super::runtime::body::{Body, BodyError, empty, full, text};
use super::runtime::connection::SendError;
use super::runtime::{Shared, Table, TableRoute};
use super::world::SlotRef;
use crate::names::SlotName;

/// The cookie and the query parameter that choose a slot (arm-app-service.md §11).
const ROUTING_NAME: &str = "x-ms-routing-name";
/// "About one hour" (arm-app-service.md §11).
const ROUTING_SECONDS: u32 = 3600;

/// What belongs to one connection and is not passed on.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Answers a request that came to the app host of a slot. It ends on the side where it began, whatever is
/// swapped meanwhile.
pub async fn serve(shared: Shared, slot: SlotRef, mut request: Request<Body>) -> Response<Body> {
    let marks = Marks::of(&request);
    prepare(&mut request);
    let mut tables = shared.table();
    let deadline = Instant::now() + shared.front_wait();
    let mut refused: Vec<Arc<App>> = Vec::new();
    loop {
        let table = Arc::clone(&tables.borrow_and_update());
        let (chosen, named) = choose_slot(&shared, &table, &slot, &marks);
        let Some(route) = table.route(&chosen) else { return not_there() };
        if route.stopped {
            return stopped();
        }
        if let Some((app, pass)) = choose_app(&shared, route, marks.affinity.as_deref(), &refused) {
            match app.answer(&shared, request).await {
                Ok(mut response) => {
                    set_cookies(response.headers_mut(), route, &app, named.as_ref(), &marks);
                    return guarded(response, pass);
                }
                Err(SendError::Lost(error)) => {
                    tracing::debug!(%error, slot = %chosen, "the app gave no answer");
                    return bad_gateway();
                }
                Err(SendError::NotSent(again)) => {
                    request = *again;
                    refused.push(app);
                    continue;
                }
            }
        }
        // No instance, or only such as are about to go: wait until the table changes.
        let changed = tokio::select! {
            biased;
            changed = timeout_at(deadline, tables.changed()) => matches!(changed, Ok(Ok(()))),
            () = shared.closed() => false,
        };
        if !changed {
            return if refused.is_empty() { unavailable() } else { bad_gateway() };
        }
        refused.clear();
    }
}

/// What a request says of where it wants to go.
struct Marks {
    host: String,
    affinity: Option<String>,
    routing_query: Option<String>,
    routing_cookie: Option<String>,
}

impl Marks {
    fn of(request: &Request<Body>) -> Self {
        let headers = request.headers();
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).or_else(|| request.uri().host());
        let query = request.uri().query().unwrap_or_default();
        let routing_query = query.split('&').filter_map(|pair| pair.split_once('='));
        Self {
            host: host.unwrap_or_default().to_owned(),
            affinity: cookie(headers, "ARRAffinity").or_else(|| cookie(headers, "ARRAffinitySameSite")),
            routing_query: routing_query
                .into_iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(ROUTING_NAME))
                .map(|(_, value)| value.to_owned()),
            routing_cookie: cookie(headers, ROUTING_NAME),
        }
    }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().to_owned())
}

/// Makes the request what an app behind the front end sees.
fn prepare(request: &mut Request<Body>) {
    let headers = request.headers_mut();
    let named: Vec<HeaderName> = headers
        .get_all("connection")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    if let Some(host) = headers.get(HOST).cloned() {
        headers.insert("disguised-host", host);
    }
    // A request in absolute form goes to the app by its path.
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = path.into();
    }
}

/// The slot that answers, and the name to remember it by: for requests to production, its ramp-up rules
/// (arm-app-service.md §11). A name counts only where a rule names it, be it with 0 %.
fn choose_slot(shared: &Shared, table: &Table, slot: &SlotRef, marks: &Marks) -> (SlotRef, Option<String>) {
    let rules = match table.route(slot) {
        Some(route) if slot.slot.is_production() && !route.rules.is_empty() => &route.rules,
        _ => return (slot.clone(), None),
    };
    let other = |name: &SlotName| (SlotRef::new(slot.site.clone(), name.clone()), Some(name.to_string()));
    let own = || (slot.clone(), Some("self".to_owned()));
    for name in [&marks.routing_query, &marks.routing_cookie].into_iter().flatten() {
        if name.eq_ignore_ascii_case("self") || name.eq_ignore_ascii_case("production") {
            return own();
        }
        if let Some((name, _)) = rules.iter().find(|(rule, _)| rule.as_str().eq_ignore_ascii_case(name)) {
            return other(name);
        }
    }
    // The golden ratio spreads the turns evenly over 0 to 100.
    let mut place = (shared.turn() as f64 * 0.618_033_988_749_895).fract() * 100.0;
    for (name, share) in rules {
        if place < *share {
            return other(name);
        }
        place -= share;
    }
    own()
}

/// The instance that the cookie names if it is there, else the next in turn that lets the request in.
fn choose_app(
    shared: &Shared,
    route: &TableRoute,
    affinity: Option<&str>,
    refused: &[Arc<App>],
) -> Option<(Arc<App>, super::runtime::Pass)> {
    let usable = |app: &&Arc<App>| !refused.iter().any(|other| Arc::ptr_eq(app, other));
    let pinned = affinity.filter(|_| route.affinity).and_then(|worker| {
        route.ready.iter().filter(usable).find(|app| app.key.worker.0.eq_ignore_ascii_case(worker))
    });
    if let Some(app) = pinned
        && let Some(pass) = app.enter()
    {
        return Some((Arc::clone(app), pass));
    }
    let count = route.ready.len();
    let turn = usize::try_from(shared.turn()).unwrap_or_default();
    (0..count)
        .filter_map(|step| route.ready.get((turn.wrapping_add(step)) % count))
        .filter(usable)
        .find_map(|app| app.enter().map(|pass| (Arc::clone(app), pass)))
}

/// ARRAffinity and ARRAffinitySameSite where the request had no right one, and the routing name where rules
/// chose.
fn set_cookies(
    headers: &mut HeaderMap,
    route: &TableRoute,
    app: &App,
    named: Option<&String>,
    marks: &Marks,
) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    let domain = marks.host.rsplit_once(':').map_or(marks.host.as_str(), |(domain, _)| domain);
    let worker = &app.key.worker;
    let mut cookies = Vec::new();
    if route.affinity && marks.affinity.as_deref() != Some(worker.0.as_str()) {
        cookies.push(format!("ARRAffinity={worker};Path=/;HttpOnly;Secure;Domain={domain}"));
        cookies.push(format!(
            "ARRAffinitySameSite={worker};Path=/;HttpOnly;SameSite=None;Secure;Domain={domain}"
        ));
    }
    if let Some(name) = named.filter(|name| marks.routing_cookie.as_ref() != Some(name)) {
        cookies
            .push(format!("{ROUTING_NAME}={name};Path=/;Max-Age={ROUTING_SECONDS};Secure;Domain={domain}"));
    }
    for cookie in cookies {
        if let Ok(value) = HeaderValue::try_from(cookie) {
            headers.append(SET_COOKIE, value);
        }
    }
}

fn unavailable() -> Response<Body> {
    text(StatusCode::SERVICE_UNAVAILABLE, "text/html", "The service is unavailable.")
}

fn bad_gateway() -> Response<Body> {
    text(StatusCode::BAD_GATEWAY, "text/html", "The page cannot be displayed because the app gave no answer.")
}

fn stopped() -> Response<Body> {
    let page = "<!DOCTYPE html><html><head><title>Web App - Unavailable</title></head><body>\
        <h1>Error 403 - This web app is stopped.</h1></body></html>\n";
    text(StatusCode::FORBIDDEN, "text/html", page)
}

fn not_there() -> Response<Body> {
    text(
        StatusCode::NOT_FOUND,
        "text/html",
        "<!DOCTYPE html><html><body><h1>404 Web Site not found.</h1></body></html>\n",
    )
}
