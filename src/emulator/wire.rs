//! Requests and answers as the skins see them.
//!
//! Owns the one place where a path is made regular (double and trailing slashes,
//! percent signs, letter case) and the few ways to build an answer. Must not know of
//! any service.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;

use super::front::{Body, BodyError};

/// The longest body of a request that is read into memory: Resource Manager's own limit is 4 MB.
pub const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// How long a body in memory may take altogether: front ends cut a request after 230 s (kudu-deploy.md §3).
const BODY_TIME: std::time::Duration = std::time::Duration::from_secs(230);

/// How much of an unwanted body is read.
const DISCARD_LIMIT: usize = 2 * 1024 * 1024 * 1024;

/// How long an unwanted body may take.
const DISCARD_TIME: std::time::Duration = std::time::Duration::from_secs(20);

/// A path made regular. Names are given back as they were written, literals are compared
/// without regard to case (real-clients.md, last line), and empty segments do not count because az joins
/// `//metadata/endpoints` (real-clients.md, "Pointing them at a server").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    original: Vec<String>,
    lower: Vec<String>,
    trailing_slash: bool,
}

impl Path {
    /// Reads a path as it stands in a request line.
    pub fn new(raw: &str) -> Self {
        let original: Vec<String> = raw
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let lower = original.iter().map(|segment| segment.to_lowercase()).collect();
        Self { original, lower, trailing_slash: raw.ends_with('/') }
    }

    /// The segments in lower case, to match on.
    pub fn lower(&self) -> Vec<&str> {
        self.lower.iter().map(String::as_str).collect()
    }

    /// A segment as it was written.
    pub fn original(&self, index: usize) -> &str {
        self.original.get(index).map_or("", String::as_str)
    }

    /// The segments from `index` on as they were written, joined.
    pub fn rest(&self, index: usize) -> String {
        self.original.get(index..).unwrap_or_default().join("/")
    }

    /// Whether it ends in a slash, which tells a folder from a file in Kudu's vfs.
    pub fn ends_in_slash(&self) -> bool {
        self.trailing_slash
    }

    /// The whole path, regular and in lower case, for the patterns of fault rules.
    pub fn regular(&self) -> String {
        format!("/{}", self.lower.join("/"))
    }

    /// The slot a Resource Manager path is about: "production" when it names a site only.
    pub fn slot(&self) -> Option<&str> {
        let site = self.lower.iter().position(|segment| segment == "sites")?;
        self.lower.get(site + 1)?;
        match self.lower.get(site + 2).map(String::as_str) {
            Some("slots") => self.original.get(site + 3).map(String::as_str),
            _ => Some("production"),
        }
    }
}

/// A request with its body in memory.
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: Path,
    /// The query.
    pub query: Query,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Call {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON; an empty one is an empty object.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub fn json(&self) -> Result<Value, String> {
        if self.body.is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        serde_json::from_slice(&self.body).map_err(|error| error.to_string())
    }
}

/// A query string; names compare without regard to case, the first of equal names counts.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string.
    pub fn new(raw: Option<&str>) -> Self {
        Self(url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// A value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// A boolean as .NET reads it: True, true, 1 (real-clients.md: "Booleans are spelt True and False").
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)?.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFailure {
    /// Longer than the limit.
    TooLong,
    /// The client went away or spoke garbage.
    Broken,
    /// The client took too long.
    TooSlow,
}

impl BodyFailure {
    /// The status that tells it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
        }
    }
}

/// A request of a connection, in the form that all services take.
pub fn streamed(request: Request<Incoming>) -> Request<Body> {
    request.map(|body| body.map_err(|error| -> BodyError { Box::new(error) }).boxed())
}

/// Reads a body into memory, up to a limit.
///
/// # Errors
///
/// [`BodyFailure`].
pub async fn read(body: Body, limit: usize) -> Result<Bytes, BodyFailure> {
    read_within(body, limit, BODY_TIME).await
}

async fn read_within(mut body: Body, limit: usize, time: std::time::Duration) -> Result<Bytes, BodyFailure> {
    let mut read = BytesMut::new();
    let reading = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| BodyFailure::Broken)?;
            let Some(data) = frame.data_ref() else { continue };
            if read.len() + data.len() > limit {
                return Err(BodyFailure::TooLong);
            }
            read.extend_from_slice(data);
        }
        Ok(())
    };
    tokio::time::timeout(time, reading).await.map_err(|_| BodyFailure::TooSlow)??;
    Ok(read.freeze())
}

/// Reads a body and throws it away, so that a client that is still sending can read its answer. Bounded:
/// a longer one is left unread and its connection closed. Gives its first frame back.
pub async fn discard(mut body: Body) -> Bytes {
    let mut left = DISCARD_LIMIT;
    let mut beginning = None;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            beginning = beginning.take().or_else(|| frame.into_data().ok());
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // A client that stops sending does not get to hold the answer back.
    let _ = tokio::time::timeout(DISCARD_TIME, reading).await;
    beginning.unwrap_or_default()
}

/// A body from bytes.
pub fn bytes(content: impl Into<Bytes>) -> Body {
    Full::new(content.into()).map_err(|never| -> BodyError { match never {} }).boxed()
}

/// An answer without a body and without a content type.
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(bytes(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// An answer of some type.
pub fn content(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(bytes(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// An answer in JSON.
pub fn json(status: StatusCode, body: &Value) -> Response<Body> {
    content(status, "application/json; charset=utf-8", body.to_string())
}

/// 200 in JSON.
pub fn ok(body: &Value) -> Response<Body> {
    json(StatusCode::OK, body)
}

/// Sets a header, unless the value cannot be one.
pub fn set(response: &mut Response<Body>, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
        response.headers_mut().insert(name, value);
    }
}

/// Adds a header beside those of its name, for cookies.
pub fn add(response: &mut Response<Body>, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
        response.headers_mut().append(name, value);
    }
}

/// `yyyy-MM-ddTHH:mm:ss.fffffffZ`, without trailing zeros: as .NET writes a time with its zone.
pub fn rfc3339(time: time::OffsetDateTime) -> String {
    let counted = time.replace_nanosecond(time.nanosecond() / 100 * 100).unwrap_or(time);
    counted.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_and_letter_case_do_not_matter_and_names_keep_their_spelling() {
        let path = Path::new(
            "//subscriptions/S/resourceGroups//Rg/PROVIDERS/Microsoft.Web/Sites/Web/SLOTS/Blue%2DGreen/",
        );
        assert_eq!(path.lower()[..4], ["subscriptions", "s", "resourcegroups", "rg"]);
        assert_eq!(path.original(3), "Rg");
        assert_eq!(path.slot(), Some("Blue-Green"));
        assert!(path.ends_in_slash());
        assert_eq!(Path::new("/x/Sites/a/config/web").slot(), Some("production"));
        assert_eq!(Path::new("/x/sites").slot(), None);
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up_and_a_long_one_not_kept() {
        let silent = http_body_util::StreamBody::new(futures_util::stream::pending::<
            Result<hyper::body::Frame<Bytes>, BodyError>,
        >());
        assert_eq!(
            read_within(silent.boxed(), 10, std::time::Duration::ZERO).await,
            Err(BodyFailure::TooSlow)
        );
        let long = bytes("eleven byte");
        assert_eq!(read_within(long, 10, BODY_TIME).await, Err(BodyFailure::TooLong));
        let right = bytes("ten bytes!");
        assert_eq!(read_within(right, 10, BODY_TIME).await, Ok(Bytes::from_static(b"ten bytes!")));
    }

    #[test]
    fn times_have_the_ticks_of_dotnet() {
        let time = time::macros::datetime!(2026-11-21 13:30:01.320_406_926 UTC);
        assert_eq!(rfc3339(time), "2026-11-21T13:30:01.3204069Z");
    }

    #[test]
    fn a_query_reads_flags_as_dotnet_writes_them() {
        let query = Query::new(Some("Async=True&clean=false&path=a%2Fb+c&restart=yes"));
        assert_eq!(query.flag("async"), Some(true));
        assert_eq!(query.flag("clean"), Some(false));
        assert_eq!(query.flag("restart"), None);
        assert_eq!(query.get("PATH"), Some("a/b c"));
    }
}
