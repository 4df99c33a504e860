//! Authorities, servers and clients with certificates, right and wrong, made by openssl.

use super::command::cmd;
use std::path::{Path, PathBuf};

/// The password of every key store here; what it guards lives as long as the test.
pub(crate) const STORE_PASSWORD: &str = "changeit";

/// An authority that signs.
pub(crate) struct Authority {
    folder: PathBuf,
}

/// A key with its certificate.
pub(crate) struct Certified {
    /// Both, as Java reads them.
    pub(crate) store: PathBuf,
    /// The certificate.
    pub(crate) certificate: PathBuf,
    /// The key.
    pub(crate) key: PathBuf,
}

/// For when a certificate is good, as openssl writes days from now.
#[derive(Clone, Copy)]
pub(crate) enum Good {
    Now,
    /// It ended in 2020.
    Before,
}

impl Authority {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let folder = folder.join(name);
        std::fs::create_dir(&folder).unwrap();
        let subject = format!("/CN={name}");
        openssl(
            &folder,
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
                "-subj",
                &subject,
                "-keyout",
                "ca.key",
                "-out",
                "ca.pem",
            ],
        );
        Self { folder }
    }

    /// What those are given who are to trust it.
    pub(crate) fn trusted(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// What Java's brokers are given to trust it.
    pub(crate) fn trust_store(&self) -> PathBuf {
        let store = self.folder.join("trust.p12");
        if !store.exists() {
            cmd("keytool")
                .args([
                    "-importcert",
                    "-noprompt",
                    "-alias",
                    "ca",
                    "-storetype",
                    "PKCS12",
                ])
                .args(["-storepass", STORE_PASSWORD, "-file"])
                .arg(self.trusted())
                .arg("-keystore")
                .arg(&store)
                .run()
                .succeeds();
        }
        store
    }

    /// Signs for `subject` under the alternative `names` (`IP:…`, `DNS:…`).
    pub(crate) fn sign(&self, subject: &str, names: &str, good: Good) -> Certified {
        let file = |end: &str| format!("{subject}.{end}");
        let subject_option = format!("/CN={subject}");
        openssl(
            &self.folder,
            &[
                "req",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-subj",
                &subject_option,
                "-keyout",
                &file("key"),
                "-out",
                &file("csr"),
            ],
        );
        std::fs::write(
            self.folder.join(file("ext")),
            format!("subjectAltName={names}\n"),
        )
        .unwrap();
        // `openssl x509` of Debian 12 only counts days from now; a day of -1 ended yesterday.
        let days = match good {
            Good::Now => "2",
            Good::Before => "-1",
        };
        openssl(
            &self.folder,
            &[
                "x509",
                "-req",
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-days",
                days,
                "-in",
                &file("csr"),
                "-extfile",
                &file("ext"),
                "-out",
                &file("pem"),
            ],
        );
        let password = format!("pass:{STORE_PASSWORD}");
        openssl(
            &self.folder,
            &[
                "pkcs12",
                "-export",
                "-name",
                subject,
                "-in",
                &file("pem"),
                "-inkey",
                &file("key"),
                "-certfile",
                "ca.pem",
                "-passout",
                &password,
                "-out",
                &file("p12"),
            ],
        );
        Certified {
            store: self.folder.join(file("p12")),
            certificate: self.folder.join(file("pem")),
            key: self.folder.join(file("key")),
        }
    }
}

fn openssl(folder: &Path, args: &[&str]) {
    cmd("openssl").inside(folder).args(args).run().succeeds();
}
