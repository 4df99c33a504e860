//! Schema registries: a real one, Apicurio, shared by all tests; and one of a test's own that answers what it is given.

use super::certificates::Certified;
use super::command::cmd;
use super::running::Running;
use super::{http, session};
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod, SslVerifyMode};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

const APICURIO: &str = "3.0.9";

/// The URL of a real registry that starts with the first test that needs one; without Java the test is skipped by name.
#[track_caller]
pub(crate) fn url() -> Option<String> {
    static REGISTRY: OnceLock<Result<(u16, Mutex<Running>), String>> = OnceLock::new();
    let registry = REGISTRY.get_or_init(start).as_ref();
    let (port, _) = super::or_skip(registry.map_err(|why| format!("no schema registry: {why}")))?;
    Some(format!("http://127.0.0.1:{port}/apis/ccompat/v7"))
}

fn start() -> Result<(u16, Mutex<Running>), String> {
    let folder = super::java::apicurio(APICURIO)?;
    let port = super::free_port();
    let jar = format!("apicurio-registry-app-{APICURIO}-runner.jar");
    let program = cmd("java")
        .args(super::java::JVM)
        .args(["-Dquarkus.http.host=127.0.0.1".to_owned()])
        .args([format!("-Dquarkus.http.port={port}")])
        .args(["-jar".to_owned(), folder.join(jar).display().to_string()])
        .inside(&session::folder("apicurio"))
        .limit(Duration::from_secs(3600))
        .start();
    let deadline = Instant::now() + Duration::from_secs(60);
    let subjects = || http::get(("127.0.0.1", port), "/apis/ccompat/v7/subjects");
    while !subjects().is_ok_and(|answer| answer.status.starts_with("200")) {
        if Instant::now() > deadline {
            return Err("Apicurio does not answer".to_owned());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok((port, Mutex::new(program)))
}

/// What a registry of a test's own answers: a status and a body for each path, 404 for others.
#[derive(Clone, Default)]
pub(crate) struct Answers(Arc<Mutex<BTreeMap<String, (u16, String)>>>);

/// A registry of a test's own; it ends with the process.
pub(crate) struct Registry {
    pub(crate) url: String,
    pub(crate) answers: Answers,
    /// The requests so far: method, path, and the login that came with it.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    pub(crate) fn start() -> Self {
        Self::listen("http", Some)
    }

    /// With TLS, for clients whose certificates come from `clients`, if that is an authority.
    pub(crate) fn start_tls(server: &Certified, clients: Option<&Path>) -> Self {
        let mut tls = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
        tls.set_private_key_file(&server.key, SslFiletype::PEM)
            .unwrap();
        tls.set_certificate_chain_file(&server.certificate).unwrap();
        if let Some(authority) = clients {
            tls.set_ca_file(authority).unwrap();
            tls.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        }
        let tls = Arc::new(tls.build());
        Self::listen("https", move |connection| tls.accept(connection).ok())
    }

    fn listen<S: Read + Write>(
        scheme: &str,
        accept: impl Fn(TcpStream) -> Option<S> + Clone + Send + 'static,
    ) -> Self {
        let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("{scheme}://{}", socket.local_addr().unwrap());
        let registry = Self {
            url,
            answers: Answers::default(),
            requests: Arc::default(),
        };
        let (answers, requests) = (registry.answers.clone(), Arc::clone(&registry.requests));
        std::thread::spawn(move || {
            for connection in socket.incoming().flatten() {
                let (answers, requests) = (answers.clone(), Arc::clone(&requests));
                let accept = accept.clone();
                std::thread::spawn(move || serve(accept(connection)?, &answers, &requests));
            }
        });
        registry
    }

    /// From now on this path is answered so.
    pub(crate) fn answer(&self, path: &str, status: u16, body: &(impl ToString + ?Sized)) {
        let mut answers = self.answers.0.lock().unwrap();
        answers.insert(path.to_owned(), (status, body.to_string()));
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// One request; a status of 0 hangs, one of 1 hangs up, and one of 2 cuts the body. A redirect leads to its body.
fn serve(
    connection: impl Read + Write,
    answers: &Answers,
    requests: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut connection = BufReader::new(connection);
    let mut lines = connection.by_ref().lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let mut login = String::new();
    for line in lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
    {
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("authorization")
        {
            value.clone_into(&mut login);
        }
    }
    let request = format!("{method} {path} {login}").trim_end().to_owned();
    requests.lock().unwrap().push(request);
    let missing = (
        404,
        r#"{"error_code":40403,"message":"Schema not found"}"#.to_owned(),
    );
    let found = answers.0.lock().unwrap().get(path).cloned();
    let (status, body) = found.unwrap_or(missing);
    match status {
        0 => std::thread::sleep(Duration::from_secs(120)),
        1 => {}
        _ => {
            let is_redirect = (300..400).contains(&status) && !body.is_empty();
            let location = if is_redirect {
                format!("Location: {body}\r\n")
            } else {
                String::new()
            };
            let (status, length) = match status {
                2 => (200, body.len() + 1),
                _ => (status, body.len()),
            };
            let head = format!(
                "HTTP/1.1 {status} X\r\n{location}Content-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            let connection = connection.get_mut();
            connection.write_all((head + &body).as_bytes()).ok()?;
        }
    }
    Some(())
}
