//! Compiles the shim of `tools/kafka/wire` against the sources of the librdkafka that rdkafka-sys has just built.

use std::env;
use std::path::PathBuf;

/// Where the shim is.
const SHIM: &str = "tools/kafka/wire/shim.c";
/// What has to be known before main().
const PROCESS: &str = "tools/kafka/process.c";
const RDKAFKA: &str = "librdkafka's private headers (rdkafka-sys has to build librdkafka itself, without its features dynamic-linking and cmake-build)";
const OPENSSL: &str = "OpenSSL's headers (openssl-sys has them with its feature vendored)";
const ZLIB: &str = "zlib's headers (libz-sys has them with its feature static)";

fn main() {
    println!("cargo:rerun-if-changed={SHIM}");
    println!("cargo:rerun-if-changed={PROCESS}");
    println!("cargo:rerun-if-changed=tools/build.rs");
    let folders = [
        ("DEP_RDKAFKA_ROOT", "src", "rdkafka_int.h", RDKAFKA),
        ("DEP_OPENSSL_INCLUDE", "", "openssl/ssl.h", OPENSSL),
        ("DEP_Z_INCLUDE", "", "zlib.h", ZLIB),
    ]
    .map(|(variable, below, header, what)| headers(variable, below, header, what));
    let mut build = cc::Build::new();
    // As librdkafka is compiled; what its headers are warned about is not ours to mend.
    build.file(SHIM).file(PROCESS).define("_GNU_SOURCE", None);
    for folder in folders {
        match folder {
            Ok(folder) => build.flag("-isystem").flag(folder),
            Err(missing) => {
                println!("cargo::error={missing}");
                return;
            }
        };
    }
    build.compile("kafkautils_wire_shim");
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        for function in ["cnd_init", "cnd_timedwait"] {
            println!("cargo::rustc-link-arg=-Wl,--wrap={function}");
        }
    } else {
        // Not every linker can lead a function elsewhere.
        println!(
            "cargo::warning=librdkafka's waits follow the wall clock: after it is set, they may be too short or too long"
        );
    }
}

/// The folder that `variable` names, which holds `header`; else what is missing.
fn headers(variable: &str, below: &str, header: &str, what: &str) -> Result<PathBuf, String> {
    let root = env::var_os(variable);
    let root = root.ok_or_else(|| format!("{what} are missing: {variable} is not set"))?;
    let folder = PathBuf::from(root).join(below);
    if folder.join(header).is_file() {
        return Ok(folder);
    }
    Err(format!(
        "{what} are missing: no {header} in {}",
        folder.display()
    ))
}
