//! A real S3 server in a thread of this process, over a folder: what a bucket is to the programs.

use super::command::Cmd;
use super::session;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s::{S3Result, s3_error};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::Mutex;

/// A real S3 server over a folder, in a thread of this process.
pub(crate) struct S3 {
    folder: PathBuf,
    port: u16,
    /// Whether the bucket is to be no more.
    is_gone: Arc<AtomicBool>,
    faults: Arc<Faults>,
}

/// What goes wrong.
#[derive(Default)]
struct Faults {
    /// So many requests more are answered with 503 SlowDown.
    slow_downs: AtomicU32,
    /// So many objects more are created with 409 ConditionalRequestConflict first.
    conflicts: AtomicU32,
    /// Of so many objects more every second one is stored without an answer: the connection breaks.
    lost_answers: AtomicU32,
    /// Whether objects are overwritten, whatever the request says.
    overwrites: AtomicBool,
    /// So many requests were answered with an error for it.
    met: AtomicU32,
}

/// Counts one down; says how many were left.
fn take(left: &AtomicU32) -> Option<u32> {
    let order = Ordering::SeqCst;
    let taken = left.fetch_update(order, order, |n| n.checked_sub(1));
    taken.ok()
}

impl Faults {
    /// The answer that a request gets instead of its own.
    fn answer<B>(&self, request: &Request<B>, folder: &Path) -> Option<Response<s3s::Body>> {
        let is_creation = request.headers().contains_key("if-none-match");
        if is_creation && self.overwrites.load(Ordering::SeqCst) {
            // The header is signed and has to stay; the object goes.
            let object = folder.join(request.uri().path().trim_start_matches('/'));
            drop(std::fs::remove_file(object));
        }
        let (status, code) = if take(&self.slow_downs).is_some() {
            (503, "SlowDown")
        } else if is_creation && take(&self.conflicts).is_some() {
            (409, "ConditionalRequestConflict")
        } else {
            return None;
        };
        self.met.fetch_add(1, Ordering::SeqCst);
        let body = format!(
            "<?xml version=\"1.0\"?>\n<Error>\n<Code>{code}</Code>\n<Message>wait</Message></Error>"
        );
        Some(
            Response::builder()
                .status(status)
                .body(body.into())
                .unwrap(),
        )
    }
}

/// Whose headers the server understands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Amazon,
    /// The XML API of Google Cloud Storage, which is S3's with other headers.
    Google,
}

/// Lets in who has a key, for as long as there is a bucket; Google's keys are not looked at.
struct Gate(Arc<AtomicBool>, Dialect);

impl S3Access for Gate {
    fn check<'a, 'b, 'c, 'd>(
        &'a self,
        context: &'b mut S3AccessContext<'c>,
    ) -> Pin<Box<dyn Future<Output = S3Result<()>> + Send + 'd>>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
        Self: 'd,
    {
        let has_key = self.1 == Dialect::Google || context.credentials().is_some();
        let checked = if !has_key {
            Err(s3_error!(AccessDenied))
        } else if self.0.load(Ordering::SeqCst) {
            Err(s3_error!(NoSuchBucket))
        } else {
            Ok(())
        };
        Box::pin(std::future::ready(checked))
    }
}

impl S3 {
    /// Starts it with one bucket, `backups`.
    pub(crate) fn start() -> Self {
        Self::start_with(Dialect::Amazon)
    }

    /// The same for clients of Google Cloud Storage.
    pub(crate) fn start_as_google() -> Self {
        Self::start_with(Dialect::Google)
    }

    fn start_with(dialect: Dialect) -> Self {
        let folder = session::folder("s3");
        std::fs::create_dir(folder.join("backups")).unwrap();
        let (sender, receiver) = mpsc::channel();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(&folder).unwrap());
        let is_gone = Arc::new(AtomicBool::new(false));
        service.set_access(Gate(Arc::clone(&is_gone), dialect));
        service.set_auth(SimpleAuth::from_single("me", "secret"));
        let service = service.build();
        let faults = Arc::new(Faults::default());
        let injected = Arc::clone(&faults);
        let root = folder.clone();
        std::thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap().port()).unwrap();
                let writing = Arc::new(Mutex::new(()));
                loop {
                    let (socket, _) = listener.accept().await.unwrap();
                    let (service, writing) = (service.clone(), Arc::clone(&writing));
                    let (faults, root) = (Arc::clone(&injected), root.clone());
                    let service = service_fn(move |mut request: Request<Incoming>| {
                        if dialect == Dialect::Google {
                            translate(request.headers_mut());
                        }
                        let (service, writing) = (service.clone(), Arc::clone(&writing));
                        let fault = faults.answer(&request, &root);
                        let faults = Arc::clone(&faults);
                        async move {
                            if let Some(fault) = fault {
                                return Ok(fault);
                            }
                            // The server looks whether a name is free and then writes; S3 does both in one step.
                            let is_put = request.method() == Method::PUT;
                            let is_change = !request.method().is_safe();
                            let _one_at_a_time = if is_put {
                                Some(writing.lock().await)
                            } else {
                                None
                            };
                            let answer = Service::call(&service, request).await;
                            if is_change
                                && take(&faults.lost_answers).is_some_and(|left| left % 2 == 0)
                            {
                                faults.met.fetch_add(1, Ordering::SeqCst);
                                return Err(io::Error::other("the connection breaks"));
                            }
                            answer.map_err(|_| io::Error::other("no answer"))
                        }
                    });
                    let served =
                        http1::Builder::new().serve_connection(TokioIo::new(socket), service);
                    // A client that was killed breaks its connection.
                    tokio::spawn(async move { drop(served.await) });
                }
            });
        });
        let port = receiver.recv().unwrap();
        Self {
            folder,
            port,
            is_gone,
            faults,
        }
    }

    /// The command with an environment in which ktee, or any other client of S3, finds this server and is let in.
    pub(crate) fn known_to(&self, command: Cmd) -> Cmd {
        command
            .env("AWS_ENDPOINT_URL", self.url())
            .env("AWS_ACCESS_KEY_ID", "me")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", "us-east-1")
    }

    /// The same for a server that speaks as Google's does.
    pub(crate) fn known_to_google(&self, command: Cmd) -> Cmd {
        let account = format!(
            r#"{{"gcs_base_url":"{}","disable_oauth":true,"client_email":"","private_key":"","private_key_id":""}}"#,
            self.url()
        );
        command.env("GOOGLE_SERVICE_ACCOUNT_KEY", account)
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The folder that has the buckets.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Answers the next requests, so many, with 503 SlowDown.
    pub(crate) fn slow_down(&self, requests: u32) {
        self.faults.slow_downs.store(requests, Ordering::SeqCst);
    }

    /// Answers the next creations of objects, so many, with 409 ConditionalRequestConflict.
    pub(crate) fn conflict(&self, creations: u32) {
        self.faults.conflicts.store(creations, Ordering::SeqCst);
    }

    /// Carries out the next changes, so many, and breaks the connection before the answer of every second one.
    pub(crate) fn lose_answers(&self, changes: u32) {
        self.faults.lost_answers.store(changes, Ordering::SeqCst);
    }

    /// Overwrites objects from now on, whatever a request says.
    pub(crate) fn overwrite(&self) {
        self.faults.overwrites.store(true, Ordering::SeqCst);
    }

    /// How many requests have met a fault.
    pub(crate) fn faults_met(&self) -> u32 {
        self.faults.met.load(Ordering::SeqCst)
    }

    /// From now on there is no bucket.
    pub(crate) fn lose_buckets(&self) {
        self.is_gone.store(true, Ordering::SeqCst);
    }
}

/// Google's headers into Amazon's.
fn translate(headers: &mut HeaderMap) {
    headers.remove("authorization");
    if let Some(generation) = headers.remove("x-goog-if-generation-match") {
        // Generation 0 is that of an object which is not there.
        assert_eq!(generation, "0");
        headers.insert("if-none-match", HeaderValue::from_static("*"));
    }
    let of_google: Vec<(String, HeaderValue)> = headers
        .iter()
        .filter_map(|(name, value)| {
            let rest = name.as_str().strip_prefix("x-goog-")?;
            Some((rest.to_owned(), value.clone()))
        })
        .collect();
    for (rest, value) in of_google {
        headers.remove(format!("x-goog-{rest}"));
        let name = HeaderName::from_bytes(format!("x-amz-{rest}").as_bytes()).unwrap();
        headers.insert(name, value);
    }
}
