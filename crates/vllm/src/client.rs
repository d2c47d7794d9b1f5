//! HTTP to one server: where it is, the API key, and what must never happen on the way.
//!
//! - HTTP/1.1 only, no proxy, no cookies, redirects are not followed: the client talks to the
//!   server that it was told, and to nothing else.
//! - Nothing is repeated. The one thing that goes out a second time is a request of which no byte
//!   had been written when its idle connection turned out to be closed; hyper-util then takes a
//!   fresh connection (`send_request` in its `client/legacy/client.rs`), and the server never saw
//!   the first. A request that was written and got no answer is a failure.
//! - Idle connections are dropped after [`IDLE_LIMIT`], before vLLM closes them (5 s).
//! - For https, certificates are checked against those of the platform (the variable
//!   `SSL_CERT_FILE` names another file, such as that of a private authority).
//! - The key goes into one header, marked as sensitive. It is not sent unencrypted to another
//!   machine: use https there, or a tunnel whose near end is on this machine.
//! - No answer takes more memory than [`BODY_LIMIT`].

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{
    Method, Response, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::lookup_host, sync::OnceCell};
use url::{Host, Url};

use crate::{
    message::{Read, bare, describe, read, refusal},
    secret::Secret,
};

/// Longest that an unused connection is kept. vLLM closes it after 5 s; a request must not meet
/// that moment.
pub const IDLE_LIMIT: Duration = Duration::from_secs(3);

/// Most bytes of an answer that is read as a whole.
pub const BODY_LIMIT: usize = 16 << 20;

/// Longest wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A client of one server. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    /// Without a slash at the end, and without `/v1`.
    root: String,
}

/// Why a request gave no answer that can be used. No variant holds the API key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address cannot be used.
    #[error("the base URL {problem}")]
    BaseUrl {
        /// What is wrong with it, and the remedy.
        problem: String,
    },
    /// There is nothing to check certificates with.
    #[error(
        "the platform's certificates cannot be used: {0}; install them (ca-certificates) or name a file in SSL_CERT_FILE"
    )]
    Certificates(String),
    /// No answer came, or it broke off.
    #[error("{url}: {problem}")]
    NoAnswer {
        /// What was asked.
        url: String,
        /// What happened.
        problem: String,
        /// Whether no connection came about, as when nobody listens there.
        no_connection: bool,
    },
    /// The server answered with another status than 200.
    #[error("{url}: status {status}: {message}")]
    Refused {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// The server's message.
        message: String,
    },
    /// The answer is longer than [`BODY_LIMIT`].
    #[error("{url}: the answer is longer than {BODY_LIMIT} bytes; is this a vLLM server?")]
    TooLong {
        /// What was asked.
        url: String,
    },
    /// The answer is not the JSON that was expected.
    #[error("{url}: the answer is not what a vLLM server says: {problem}")]
    Unexpected {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Client {
    /// A client of the server at `base_url`, such as `http://127.0.0.1:8000`, `http://[::1]:8000/`
    /// or `https://example.org/models/v1`. A slash or `/v1` at the end changes nothing.
    ///
    /// # Errors
    /// When the address cannot be used, the key would travel unencrypted to another machine, or
    /// the platform has no certificates (https only).
    pub fn new(base_url: &str, key: Option<&Secret>) -> Result<Self, ClientError> {
        let url = parse(base_url)?;
        if key.is_some() && url.scheme() == "http" && !is_loopback(&url) {
            return Err(ClientError::BaseUrl {
                problem: format!(
                    "{url} would carry the API key unencrypted; use https, or a tunnel to 127.0.0.1"
                ),
            });
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            headers.insert(AUTHORIZATION, key.bearer());
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("slotune/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .tls_backend_preconfigured(tls(url.scheme() == "https")?)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_LIMIT)
            .pool_idle_timeout(IDLE_LIMIT)
            .dns_resolver(LookUpOnce::default())
            .build()
            .map_err(|error| ClientError::BaseUrl { problem: describe(error) })?;
        let root = url.as_str().trim_end_matches('/');
        let root = root.strip_suffix("/v1").unwrap_or(root).trim_end_matches('/');
        Ok(Self { http, root: root.to_owned() })
    }

    /// The server's address, without a slash at the end and without `/v1`.
    pub fn base_url(&self) -> &str {
        &self.root
    }

    /// Gets `path`, such as `/health`, within a time.
    ///
    /// # Errors
    /// When no answer of status 200 comes in time, or one longer than [`BODY_LIMIT`].
    pub async fn get(&self, path: &str, within: Duration) -> Result<Bytes, ClientError> {
        self.whole(Method::GET, path, None, within).await
    }

    /// Gets `path` and reads its JSON.
    ///
    /// # Errors
    /// As [`Client::get`], and when the answer is other JSON than expected.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        path: &str,
        within: Duration,
    ) -> Result<T, ClientError> {
        let body = self.get(path, within).await?;
        self.read_json(path, &body)
    }

    /// Posts `value` as JSON to `path` and returns the answer, within a time.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post_json(
        &self,
        path: &str,
        value: &(impl Serialize + Sync),
        within: Duration,
    ) -> Result<Bytes, ClientError> {
        let body = serde_json::to_vec(value).map_err(|error| ClientError::Unexpected {
            url: self.url(path),
            problem: format!("the request cannot be written as JSON: {error}"),
        })?;
        self.whole(Method::POST, path, Some(body.into()), within).await
    }

    /// Posts `body` to `path`; the answer, of whatever status, is yet to be read.
    pub(crate) async fn stream(&self, path: &str, body: Bytes) -> Result<Response, ClientError> {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn whole(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        within: Duration,
    ) -> Result<Bytes, ClientError> {
        let answer = async {
            let response = self.send(method, path, body).await?;
            if response.status() != StatusCode::OK {
                let status = response.status().as_u16();
                let message = refusal(response).await;
                return Err(ClientError::Refused { url: self.url(path), status, message });
            }
            match read(response, BODY_LIMIT).await {
                Ok(Read::Whole(body)) => Ok(body.into()),
                Ok(Read::Cut(_)) => Err(ClientError::TooLong { url: self.url(path) }),
                Err(error) => Err(self.no_answer(path, error)),
            }
        };
        tokio::time::timeout(within, answer).await.unwrap_or_else(|_| {
            let problem = format!("no answer within {:.1} s", within.as_secs_f64());
            Err(ClientError::NoAnswer { url: self.url(path), problem, no_connection: false })
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Response, ClientError> {
        let mut request = self.http.request(method, self.url(path));
        if let Some(body) = body {
            let json = HeaderValue::from_static("application/json");
            request = request.header(CONTENT_TYPE, json).body(body);
        }
        request.send().await.map_err(|error| self.no_answer(path, error))
    }

    fn read_json<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(body).map_err(|error| ClientError::Unexpected {
            url: self.url(path),
            problem: error.to_string(),
        })
    }

    fn no_answer(&self, path: &str, error: reqwest::Error) -> ClientError {
        let no_connection = error.is_connect();
        ClientError::NoAnswer { url: self.url(path), problem: describe(error), no_connection }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }
}

/// Checks an address. A user name or password in it is refused without being repeated.
fn parse(base_url: &str) -> Result<Url, ClientError> {
    let refuse = |problem: String| Err(ClientError::BaseUrl { problem });
    let url = match Url::parse(base_url) {
        Ok(url) => url,
        Err(error) => return refuse(format!("cannot be read ({error}); give http://HOST:PORT")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("must not hold a user name or password; give an API key".to_owned());
    }
    if !matches!(url.scheme(), "http" | "https") {
        return refuse(format!("{url} must begin with http:// or https://"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse(format!("must end with its path, without ? and #: {}", bare(&url)));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Looks the server's name up for the first connection and not again: the time would count as the
/// server's. Failures are not kept.
#[derive(Default)]
struct LookUpOnce(Arc<OnceCell<Vec<SocketAddr>>>);

impl Resolve for LookUpOnce {
    fn resolve(&self, name: Name) -> Resolving {
        let known = Arc::clone(&self.0);
        Box::pin(async move {
            let look_up = || async { Ok(lookup_host((name.as_str(), 0)).await?.collect()) };
            let addresses =
                known.get_or_try_init(look_up).await.map_err(|error: io::Error| error)?;
            Ok(Box::new(addresses.clone().into_iter()) as Addrs)
        })
    }
}

/// TLS by rustls and ring. Without https no certificate is needed, so none is looked for.
fn tls(https: bool) -> Result<ClientConfig, ClientError> {
    let problem = |error: rustls::Error| ClientError::Certificates(error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(problem)?;
    let builder = if https {
        builder.with_platform_verifier().map_err(problem)?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(base_url: &str) -> Result<String, String> {
        let client = Client::new(base_url, None).map_err(|error| error.to_string())?;
        Ok(client.base_url().to_owned())
    }

    #[test]
    fn the_end_of_the_address_does_not_matter() {
        for (given, expected) in [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
            ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000"),
            ("http://[::1]:8000/v1/", "http://[::1]:8000"),
            ("http://host/models/a/v1", "http://host/models/a"),
            ("http://host/xv1", "http://host/xv1"),
        ] {
            assert_eq!(root(given).as_deref(), Ok(expected), "{given}");
        }
    }

    #[test]
    fn an_unusable_address_is_refused_with_the_remedy() {
        for (given, part) in [
            ("", "give http://HOST:PORT"),
            ("127.0.0.1:8000", "give http://HOST:PORT"),
            ("ftp://host", "must begin with http:// or https://"),
            ("http://host?a=b", "without ? and #"),
            ("http://user:word@host", "give an API key"),
        ] {
            let error = root(given).expect_err(given);
            assert!(error.contains(part), "{given}: {error}");
            assert!(!error.contains("word@") && !error.contains("a=b"), "{error}");
        }
    }

    #[test]
    fn a_key_goes_unencrypted_to_this_machine_only() {
        let key = Secret::new("sk-1").expect("usable");
        for base_url in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"] {
            assert!(Client::new(base_url, Some(&key)).is_ok(), "{base_url}");
        }
        let error = Client::new("http://example.org", Some(&key)).expect_err("refused").to_string();
        assert!(error.contains("use https") && !error.contains("sk-1"), "{error}");
    }

    #[test]
    fn no_text_of_a_client_shows_the_key() {
        let key = Secret::new("sk-1").expect("usable");
        let client = Client::new("http://127.0.0.1:1", Some(&key)).expect("usable");
        assert!(!format!("{client:?}").contains("sk-1"));
    }
}
