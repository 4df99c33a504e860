//! Tokens of an OpenID Connect provider.

use super::{fortress, refs, says};
use crate::testkit::session;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// A token endpoint that answers every request so, and keeps what it was asked.
fn endpoint(status: &'static str, body: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !String::from_utf8_lossy(&request).contains("grant_type") {
                match stream.read(&mut buffer) {
                    Ok(size @ 1..) => request.extend_from_slice(&buffer[..size]),
                    _ => break,
                }
            }
            kept.lock()
                .unwrap()
                .push(String::from_utf8_lossy(&request).into_owned());
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    (url, asked)
}

// {"alg":"none"} . {"sub":"alice","iat":1000000000,"exp":4000000000}
const TOKEN: &str =
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImlhdCI6MTAwMDAwMDAwMCwiZXhwIjo0MDAwMDAwMDAwfQ.";

#[test]
fn a_token_comes_from_an_endpoint_by_client_credentials() {
    let Some(fortress) = fortress() else { return };
    let login = |url: &str| {
        vec![
            "security.protocol=SASL_SSL".to_owned(),
            fortress.trust(),
            "sasl.mechanisms=OAUTHBEARER".to_owned(),
            "sasl.oauthbearer.method=oidc".to_owned(),
            "sasl.oauthbearer.client.id=me".to_owned(),
            "sasl.oauthbearer.client.secret=hush".to_owned(),
            "sasl.oauthbearer.scope=kafka read".to_owned(),
            "sasl.oauthbearer.extensions=logicalCluster=lkc1,pool=p2".to_owned(),
            format!("sasl.oauthbearer.token.endpoint.url={url}"),
        ]
    };
    let (url, asked) = endpoint(
        "200 OK",
        format!("{{\"access_token\":\"{TOKEN}\",\"expires_in\":300}}"),
    );
    // Logged in, and still not allowed: alice has no right to anything.
    says(fortress.consume("SASL_SSL", &refs(&login(&url))), "uthoriz");
    let request = asked.lock().unwrap()[0].clone();
    assert!(request.starts_with("POST /token "), "{request}");
    // me:hush
    assert!(
        request
            .to_lowercase()
            .contains("authorization: basic bwu6ahvzaa=="),
        "{request}"
    );
    assert!(
        request.ends_with("grant_type=client_credentials&scope=kafka%20read"),
        "{request}"
    );

    let (url, _) = endpoint(
        "401 Unauthorized",
        r#"{"error":"invalid_client"}"#.to_owned(),
    );
    let refused = fortress.consume("SASL_SSL", &refs(&login(&url)));
    refused
        .run()
        .fails_with(2)
        .stderr_has("HTTP status 401 invalid_client")
        .stderr_has(&url)
        .stderr_lacks("hush");
    says(
        fortress.consume("SASL_SSL", &refs(&login("http://127.0.0.1:1/token"))),
        "Connection refused",
    );
    let without_url = login("x").into_iter().filter(|p| !p.contains("endpoint"));
    says(
        fortress.consume("SASL_SSL", &refs(&without_url.collect::<Vec<_>>())),
        "needs sasl.oauthbearer.token.endpoint.url",
    );
}

#[test]
fn a_java_clients_file_logs_in_at_an_endpoint_too() {
    let Some(fortress) = fortress() else { return };
    let (url, asked) = endpoint("200 OK", format!("{{\"access_token\":\"{TOKEN}\"}}"));
    let url = url.replace(':', "\\:");
    let door = fortress.kafka.bootstrap_of("SASL_SSL");
    let text = format!(
        "bootstrap.servers={door}\nsecurity.protocol=SASL_SSL\n{}\nsasl.mechanism=OAUTHBEARER\n\
         sasl.login.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler\n\
         sasl.oauthbearer.token.endpoint.url={url}\n\
         sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \\\n  \
         clientId='me' clientSecret='hush' scope='s';\n",
        fortress.trust()
    );
    let path = session::folder("oidc").join("client.properties");
    std::fs::write(&path, text).unwrap();
    let command = crate::testkit::command::cmd("kcat-lite")
        .args(["-L", "-m", "10", "-F"])
        .arg(&path);
    command.run().succeeds().stdout_has(&door);
    assert!(asked.lock().unwrap()[0].ends_with("&scope=s"));
}
