//! What the client does and does not do on its way to a server: keys, redirects, certificates.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};
use slotune_vllm::{
    client::{Client, ClientError},
    secret::Secret,
    stub::{Fault, Script, Stub},
};

const WITHIN: Duration = Duration::from_secs(10);

fn client(stub: &Stub, key: Option<&str>) -> Client {
    let key = key.map(|key| Secret::new(key).expect("usable"));
    Client::new(&stub.base_url(), key.as_ref()).expect("an address")
}

#[tokio::test]
async fn what_a_server_tells_of_itself_is_read() {
    let stub = Stub::start(Script::default()).expect("a stub");
    let client = client(&stub, None);
    assert!(client.get("/health", WITHIN).await.expect("healthy").is_empty());
    let version: Value = client.get_json("/version", WITHIN).await.expect("a version");
    assert_eq!(version, json!({ "version": "0.33.0" }));
    let models: Value = client.get_json("/v1/models", WITHIN).await.expect("models");
    assert_eq!(models["data"][0]["max_model_len"], 32_768);
    let unexpected = client.get_json::<Value>("/health", WITHIN).await.expect_err("no JSON");
    assert!(matches!(unexpected, ClientError::Unexpected { .. }), "{unexpected}");

    let asked = json!({ "model": "stub", "prompt": [4, 5], "max_tokens": 1 });
    let answer = client.post_json("/v1/completions", &asked, WITHIN).await.expect("an answer");
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    assert_eq!(answer["usage"]["completion_tokens"], 1);
}

#[tokio::test]
async fn a_server_is_found_by_its_name() {
    let stub = Stub::start(Script::default()).expect("a stub");
    let port = stub.address().port();
    let client = Client::new(&format!("http://localhost:{port}/v1/"), None).expect("an address");
    for _ in 0..2 {
        client.get("/health", WITHIN).await.expect("healthy");
    }
    let client = Client::new("http://no-such-host.invalid", None).expect("an address");
    let error = client.get("/health", WITHIN).await.expect_err("no such host");
    assert!(matches!(error, ClientError::NoAnswer { no_connection: true, .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_still_starts_is_refused_and_one_that_is_slow_waited_for_in_vain() {
    let start_up = Duration::from_mins(1);
    let stub = Stub::start(Script { start_up, ..Script::default() }).expect("a stub");
    let starting = client(&stub, None).get("/health", WITHIN).await.expect_err("starting");
    assert!(matches!(starting, ClientError::Refused { status: 503, .. }), "{starting}");

    let first_token = Duration::from_mins(1);
    let stub = Stub::start(Script { first_token, ..Script::default() }).expect("a stub");
    let asked = json!({ "model": "stub", "prompt": "a" });
    let within = Duration::from_millis(100);
    let error = client(&stub, None).post_json("/v1/completions", &asked, within).await;
    assert!(error.expect_err("slow").to_string().contains("no answer within 0.1 s"));
}

#[tokio::test]
async fn a_key_opens_and_stays_hidden() {
    let api_key = Some("sk-right".to_owned());
    let stub = Stub::start(Script { api_key, ..Script::default() }).expect("a stub");
    let models = async |key| client(&stub, key).get("/v1/models", WITHIN).await;
    assert!(models(Some("sk-right")).await.is_ok());
    for key in [None, Some("sk-wrong")] {
        let error = models(key).await.expect_err("refused");
        assert!(matches!(error, ClientError::Refused { status: 401, .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("sk-wrong"));
    }
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let elsewhere = Stub::start(Script::default()).expect("a stub");
    let location = format!("{}/v1/completions?token=hidden", elsewhere.base_url());
    let faults = BTreeMap::from([(0, Fault::Redirected { location })]);
    let stub = Stub::start(Script { faults, ..Script::default() }).expect("a stub");
    let asked = json!({ "model": "stub", "prompt": "a" });
    let error = client(&stub, Some("sk-1")).post_json("/v1/completions", &asked, WITHIN).await;
    let error = error.expect_err("redirected").to_string();
    assert!(error.contains(&elsewhere.base_url()) && error.contains("not followed"), "{error}");
    assert!(!error.contains("hidden"), "{error}");
    assert_eq!(elsewhere.connections(), 0);
}

/// Runs itself a second time with the certificate named as trusted, since the platform's list is
/// read from the environment.
#[tokio::test]
async fn a_certificate_is_trusted_only_if_the_platform_does() {
    let name = "a_certificate_is_trusted_only_if_the_platform_does";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
    let trusts = std::env::var_os("SLOTUNE_TEST_TRUSTS").is_some();
    let client = match Client::new(&serve_tls(&folder), None) {
        Ok(client) => client,
        // A machine without any certificate says so, and can connect to nobody.
        Err(error) => {
            assert!(!trusts && error.to_string().contains("SSL_CERT_FILE"), "{error}");
            return;
        }
    };
    let answer = client.get("/health", WITHIN).await;
    if trusts {
        assert_eq!(answer.expect("trusted"), "hello");
        return;
    }
    let error = answer.expect_err("nobody signed it").to_string();
    assert!(error.contains("certificate"), "{error}");
    let again = Command::new(std::env::current_exe().expect("this test"))
        .args([name, "--exact"])
        .env("SSL_CERT_FILE", folder.join("certificate.pem"))
        .env("SLOTUNE_TEST_TRUSTS", "1")
        .output()
        .expect("run");
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stdout));
}

/// Answers one request over TLS. Returns its URL.
fn serve_tls(folder: &Path) -> String {
    let certificate = CertificateDer::from_pem_file(folder.join("certificate.pem")).expect("PEM");
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).expect("PEM");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate], key))
        .expect("a configuration");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let Ok((socket, _)) = listener.accept() else { return };
        let connection = ServerConnection::new(Arc::new(config)).expect("a connection");
        let mut stream = StreamOwned::new(connection, socket);
        // A client that does not trust us ends the handshake.
        if stream.read(&mut [0; 4096]).is_ok() {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").ok();
        }
    });
    format!("https://{address}")
}
