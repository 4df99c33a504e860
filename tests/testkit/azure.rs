//! Azurite, Microsoft's own emulator of Azure's blob storage, from npm.

use super::command::{Cmd, cmd};
use super::process::output;
use super::running::Running;
use super::{http, session};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The version that is installed.
const PACKAGE: &str = "azurite@3.35.0";
/// The account that every Azurite has, and its key, which are no secret.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// An emulator at work; it ends when this is dropped.
pub(crate) struct Azure {
    port: u16,
    _program: Running,
}

impl Azure {
    /// Starts it with one container, `backups`. Without npm the test is skipped by name.
    #[track_caller]
    pub(crate) fn start() -> Option<Self> {
        let installed = super::cached("azurite-3.35.0", |folder| {
            let mut npm = Command::new("npm");
            npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
                .arg(folder)
                .arg(PACKAGE);
            let install =
                output(npm.stdin(Stdio::null())).map_err(|error| format!("npm: {error}"))?;
            let text = String::from_utf8_lossy(&install.stderr).into_owned();
            install.status.success().then_some(()).ok_or(text)
        });
        let folder = super::or_skip(installed.map_err(|why| format!("no Azurite: {why}")))?;
        let program = folder.join("node_modules/.bin/azurite-blob");
        let mut program = cmd(&program.display().to_string())
            .args(["--blobPort", "0", "--silent", "--skipApiVersionCheck"])
            .args(["--disableTelemetry", "--location", "."])
            .inside(&session::folder("azure"))
            .stdin_open()
            .limit(Duration::from_secs(600))
            .start();
        let said = program.stdout_until("successfully listens on ", Duration::from_secs(30));
        let rest = program.stdout_until("\n", Duration::from_secs(10));
        let said = String::from_utf8([said, rest].concat()).unwrap();
        let (_, port) = said.trim_end().rsplit_once(':').unwrap();
        let azure = Self {
            port: port.parse().unwrap(),
            _program: program,
        };
        azure.make_container("backups");
        Some(azure)
    }

    /// The command with an environment in which ktee finds this emulator.
    pub(crate) fn known_to(&self, command: Cmd) -> Cmd {
        let url = format!("http://127.0.0.1:{}", self.port);
        command
            .env("AZURE_STORAGE_USE_EMULATOR", "true")
            .env("AZURITE_BLOB_STORAGE_URL", url)
    }

    /// A request signed with the account's key (Authorize with Shared Key).
    fn make_container(&self, name: &str) {
        let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
        let headers = format!("x-ms-date:{date}\nx-ms-version:2021-08-06\n");
        let resource = format!("/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container");
        let text = format!("PUT{}{headers}{resource}", "\n".repeat(12));
        let key = BASE64_STANDARD.decode(KEY).unwrap();
        let signature = BASE64_STANDARD.encode(hmac_sha256(&key, text.as_bytes()));
        let request = format!(
            "PUT /{ACCOUNT}/{name}?restype=container HTTP/1.1\r\nHost: 127.0.0.1\r\n{}\
             Authorization: SharedKey {ACCOUNT}:{signature}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            headers.replace('\n', "\r\n")
        );
        let stream = http::connect(("127.0.0.1", self.port)).unwrap();
        let answer = http::send(stream, &request).unwrap();
        assert!(answer.status.starts_with("201"), "{answer:?}");
    }
}

/// RFC 2104, for a key of at most a block, which this one is.
fn hmac_sha256(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x36))
        .chain_update(text)
        .finalize();
    Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}
