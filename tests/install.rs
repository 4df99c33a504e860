//! Installing: what the packages hold, tried where nothing else is installed.
//!
//! `.ci/run` makes the packages and says where they are; making them takes a quarter of an hour, so without it these
//! tests are skipped. Each is tried in a system that debootstrap has made, which takes root.

/// Completion in bash, zsh and fish.
mod completions;

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::testkit::command::{Cmd, cmd};
use crate::testkit::process::output;
use crate::testkit::{self, session, witness};

/// The programs that Cargo.toml names.
const PROGRAMS: [&str; 5] = ["kcat-lite", "klag", "koldest", "kpart", "ktee"];

/// Where `.ci/run` says that this package is.
fn package(variable: &str) -> Option<PathBuf> {
    let place = std::env::var_os(variable).filter(|place| !place.is_empty());
    if place.is_none() {
        // Not the testkit's skip: who asks for a real Kafka need not want packages.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: {variable} names no package; .ci/run makes it"
        );
    }
    place.map(PathBuf::from)
}

/// A system with nothing but what every Debian has.
struct System {
    root: PathBuf,
}

impl System {
    /// A new one; skipped by name where none can be made.
    #[track_caller]
    fn new() -> Option<System> {
        let _ = witness::installed("debootstrap")?;
        if !rustix::process::geteuid().is_root() {
            testkit::skip("chroot takes root");
            return None;
        }
        let made = testkit::cached("debian", |folder| {
            let release = std::fs::read_to_string("/etc/os-release").map_err(|e| e.to_string())?;
            let name = release
                .lines()
                .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
            run(Command::new("debootstrap")
                .args(["--variant=minbase", name.ok_or("no VERSION_CODENAME")?])
                .arg(folder))
        });
        let root = session::folder("system").join("root");
        let copied = made.and_then(|made| {
            run(Command::new("cp").arg("-a").arg(made).arg(&root))?;
            let hosts = root.join("etc/hosts");
            std::fs::write(hosts, "127.0.0.1 localhost\n").map_err(|e| e.to_string())
        });
        if let Err(reason) = copied {
            testkit::skip(&format!("no empty system: {reason}"));
            return None;
        }
        Some(System { root })
    }

    fn put(&self, file: &Path, at: &str) {
        std::fs::copy(file, self.root.join(at)).unwrap();
    }

    fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// A command line of its shell.
    fn shell(&self, script: &str) -> Cmd {
        inside(&self.root).args(["/bin/bash", "-o", "pipefail", "-c", script])
    }
}

/// A command that sees this folder as `/`, and no library but its.
fn inside(root: &Path) -> Cmd {
    cmd("chroot")
        .arg(root)
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .env("HOME", "/")
        .limit(Duration::from_secs(120))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = output(command).map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    Err(told.lines().last().unwrap_or("it failed").to_owned())
}

/// What a program does where nothing is installed but itself: a cluster of its own, names, TLS.
fn works(system: &System) {
    for program in PROGRAMS {
        let output = system
            .shell(&format!("{program} --version"))
            .run()
            .succeeds();
        output
            .stdout_has(program)
            .stdout_has(env!("CARGO_PKG_VERSION"));
    }
    let pipe = "seq 3 | kcat-lite -P -t t -p 0 -z zstd && kcat-lite -C -t t -e -q --tsv | kpart -n 4 && kcat-lite -L -t t --tsv";
    system
        .shell(&format!("kcat-lite -M 1 -- bash -c '{pipe}'"))
        .run()
        .succeeds()
        .stdout_is("-1\t\\N\t1\n-1\t\\N\t2\n-1\t\\N\t3\nt\t0\t1\t1\t1\t\\N\nt\t1\t1\t1\t1\t\\N\nt\t2\t1\t1\t1\t\\N\nt\t3\t1\t1\t1\t\\N\n");
    // That nobody listens there is known only when the name was found and TLS was ready.
    system
        .shell("kcat-lite -L -b localhost:1 -m 2 -X security.protocol=ssl")
        .run()
        .fails_with(2)
        .stderr_has("127.0.0.1:1 failed: Connection refused");
}

#[test]
fn static_programs_need_nothing_at_all() {
    let Some(folder) = package("KAFKAUTILS_STATIC") else {
        return;
    };
    let Some(system) = System::new() else { return };
    let nothing = session::folder("nothing");
    for program in PROGRAMS {
        let built = folder.join(program);
        std::fs::copy(&built, nothing.join(program)).unwrap();
        system.put(&built, &format!("usr/local/bin/{program}"));
    }
    // The file of properties of what -M runs.
    let null = nothing.join("dev");
    std::fs::create_dir(&null).unwrap();
    run(Command::new("cp").args(["-a", "/dev/null"]).arg(&null)).unwrap();
    inside(&nothing)
        .args(["/kcat-lite", "-M", "1", "--", "/kcat-lite", "-L"])
        .run()
        .succeeds()
        .stdout_has(" 1 brokers:");
    works(&system);
}

#[test]
fn the_debian_package_needs_only_what_is_there() {
    let Some(package) = package("KAFKAUTILS_DEB") else {
        return;
    };
    let Some(system) = System::new() else { return };
    system.put(&package, "kafkautils.deb");
    // Without a network and without --force: what it depends on is installed, or this fails.
    system
        .shell("dpkg --install /kafkautils.deb")
        .run()
        .succeeds();
    works(&system);
    for program in PROGRAMS {
        for file in [
            format!("usr/share/man/man1/{program}.1.gz"),
            format!("usr/share/bash-completion/completions/{program}"),
            format!("usr/share/zsh/vendor-completions/_{program}"),
            format!("usr/share/fish/vendor_completions.d/{program}.fish"),
        ] {
            assert!(system.has(&file), "{file} is missing");
        }
    }
    assert!(system.has("usr/share/man/man5/kafka-records.5.gz"));
    assert!(system.has("usr/share/man/man7/kafkautils.7.gz"));
    let copyright = std::fs::read_to_string(system.root.join("usr/share/doc/kafkautils/copyright"));
    let copyright = copyright.unwrap();
    for named in [
        "Permission is hereby granted",
        "librdkafka -",
        "openssl-src",
        "Zstandard",
        "Jean-loup Gailly",
    ] {
        assert!(
            copyright.contains(named),
            "the licences say nothing of {named}"
        );
    }
    system
        .shell("dpkg --verify kafkautils")
        .run()
        .succeeds()
        .stdout_is("");
    system.shell("dpkg --purge kafkautils").run().succeeds();
    assert!(!system.has("usr/bin/klag"));
}

#[test]
fn cargo_installs_every_program() {
    let Some(installed) = package("KAFKAUTILS_INSTALLED") else {
        return;
    };
    let mut found: Vec<_> = installed
        .join("bin")
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    found.sort();
    assert_eq!(found, PROGRAMS.map(OsStr::new));
}
