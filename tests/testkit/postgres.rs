//! A real PostgreSQL of a test's own: a new cluster in a temporary folder, reached by a Unix socket there.

use super::command::Cmd;
use super::output::Output;
use super::process::status;
use super::session::{self, Group, on_path};
use super::witness;
use rustix::process::Signal;
use std::fs::{File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to start or to stop on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running PostgreSQL, stopped when dropped. Its superuser and its database are `postgres`.
pub(crate) struct Postgres {
    folder: PathBuf,
    server: Group,
}

/// Starts one; where PostgreSQL is not installed the test is skipped by name.
#[track_caller]
pub(crate) fn start() -> Option<Postgres> {
    let Some(programs) = programs() else {
        super::skip("no initdb in /usr/lib/postgresql/*/bin nor on the path");
        return None;
    };
    witness::installed("psql")?;
    let started = Postgres::start(&programs);
    super::or_skip(started.map_err(|why| format!("PostgreSQL does not start: {why}")))
}

/// Where `initdb` and `postgres` are: Debian keeps those of each release apart from the path.
fn programs() -> Option<PathBuf> {
    let releases = std::fs::read_dir("/usr/lib/postgresql").into_iter();
    let folders = releases
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"));
    let newest = folders
        .filter(|folder| folder.join("initdb").is_file())
        .max_by_key(|folder| release(folder));
    newest.or_else(|| on_path("initdb").then(PathBuf::new))
}

/// The number in `/usr/lib/postgresql/15/bin`.
fn release(folder: &Path) -> Option<u32> {
    let name = folder.parent()?.file_name()?;
    name.to_str()?.parse().ok()
}

impl Postgres {
    fn start(programs: &Path) -> Result<Self, String> {
        let folder = session::folder("postgres");
        let user = server_user()?;
        if let Some((uid, gid)) = user {
            // PostgreSQL will not run as root, so another user has to get through the run's folder to this one.
            let run = folder.parent().unwrap();
            std::fs::set_permissions(run, Permissions::from_mode(0o711)).unwrap();
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let program = |name: &str| {
            let mut command = Command::new(programs.join(name));
            let log = File::options()
                .create(true)
                .append(true)
                .open(folder.join("log"));
            let log = log.unwrap();
            command.current_dir(&folder).stdin(Stdio::null());
            command.stdout(log.try_clone().unwrap()).stderr(log);
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command
        };
        let failed = |what: &str| {
            let log = std::fs::read_to_string(folder.join("log"));
            format!("{what}: {}", log.unwrap_or_default())
        };
        let mut initdb = program("initdb");
        initdb.args(["--pgdata=data", "--username=postgres", "--auth=trust"]);
        initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C"]);
        let initdb = Group::spawn(&mut initdb).map_err(|e| format!("initdb: {e}"));
        if !initdb?
            .wait_until(Instant::now() + PATIENCE)
            .is_some_and(|status| status.success())
        {
            return Err(failed("initdb"));
        }
        let mut server = program("postgres");
        // No TCP, so no port to find; a test's data need not survive a power cut.
        server.args(["-D", "data", "-c", "listen_addresses=", "-c", "fsync=off"]);
        server.arg("-k").arg(&folder);
        let server = Group::spawn(&mut server).map_err(|e| format!("postgres: {e}"))?;
        let mut postgres = Self { folder, server };
        let deadline = Instant::now() + PATIENCE;
        while !postgres.answers() {
            if postgres.server.ended().is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(postgres.folder.join("log"));
                return Err(log.unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(postgres)
    }

    fn answers(&self) -> bool {
        let mut psql = self.known_to(super::command::cmd("psql")).command();
        psql.args(["-Xqc", "select 1"]).stdin(Stdio::null());
        psql.stdout(Stdio::null()).stderr(Stdio::null());
        status(&mut psql).unwrap().success()
    }

    /// The command with an environment in which `psql`, or any other client of libpq, finds this server.
    pub(crate) fn known_to(&self, command: Cmd) -> Cmd {
        let command = command.env("PGHOST", &self.folder);
        command
            .env("PGUSER", "postgres")
            .env("PGDATABASE", "postgres")
    }

    /// Runs SQL by `psql`, which stops at the first error: rows as lines, columns apart by tabs.
    #[track_caller]
    pub(crate) fn sql(&self, statements: &str) -> Output {
        let psql = self.known_to(super::command::cmd("psql"));
        psql.args(["-XAtq", "-F\t", "-v", "ON_ERROR_STOP=1", "-f", "-"])
            .stdin(statements)
            .run()
    }
}

/// Who the server runs as: us, or where we are root, which it refuses, the user of Debian's package or nobody.
fn server_user() -> Result<Option<(u32, u32)>, String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").map_err(|e| format!("/etc/passwd: {e}"))?;
    let ids = |wanted: &str| {
        let mut lines = users.lines().map(|line| line.split(':'));
        let mut fields = lines.find(|fields| fields.clone().next() == Some(wanted))?;
        let uid = fields.nth(2)?.parse().ok()?;
        Some((uid, fields.next()?.parse().ok()?))
    };
    let found = ids("postgres").or_else(|| ids("nobody"));
    found
        .map(Some)
        .ok_or_else(|| "we are root, and there is nobody else to run it as".to_owned())
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Asked to stop it gives its shared memory back; what does not stop is killed with the group.
        self.server.signal(Signal::INT);
        self.server.wait_until(Instant::now() + PATIENCE);
    }
}
