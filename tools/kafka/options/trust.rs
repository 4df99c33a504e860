//! Files of certificates: what librdkafka can't read is read here, and what nobody can is refused with the reason.

use std::path::Path;

use openssl::pkcs12::Pkcs12;

use super::java;

/// How Java's own stores begin.
const JKS: &[u8] = &[0xfe, 0xed, 0xfe, 0xed];

/// The certificates of a trust store of Java's, as PEM.
pub(super) fn read_store(path: &str, password: &str) -> Result<String, String> {
    let name = "ssl.truststore.location";
    let bytes = read(name, path)?;
    if bytes.starts_with(JKS) {
        return Err(java::refuse_jks(name, path));
    }
    if is_pem(&bytes) {
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let fail = |why: &dyn std::fmt::Display| {
        format!("{name}: {path} can't be read as PKCS12 with this ssl.truststore.password: {why}")
    };
    let store = Pkcs12::from_der(&bytes).map_err(|why| fail(&why))?;
    let store = store.parse2(password).map_err(|why| fail(&why))?;
    let mut pem = Vec::new();
    let mut add = |certificate: &openssl::x509::X509Ref| -> Result<(), String> {
        pem.extend(certificate.to_pem().map_err(|why| fail(&why))?);
        Ok(())
    };
    store.ca.iter().flatten().try_for_each(&mut add)?;
    store.cert.as_deref().map_or(Ok(()), add)?;
    if pem.is_empty() {
        return Err(format!("{name}: {path} holds no certificate"));
    }
    Ok(String::from_utf8_lossy(&pem).into_owned())
}

/// Whether librdkafka will be able to use the file that `name` names; it would only say that it failed.
pub(super) fn check(name: &str, path: &str) -> Result<(), String> {
    if (name == "ssl.ca.location" && path == "probe") || path.is_empty() || Path::new(path).is_dir()
    {
        return Ok(());
    }
    let bytes = read(name, path)?;
    if bytes.starts_with(JKS) {
        let java_name = match name {
            "ssl.ca.location" => "ssl.truststore.location",
            _ => "ssl.keystore.location",
        };
        return Err(java::refuse_jks(java_name, path));
    }
    if name == "ssl.keystore.location" {
        return Ok(());
    }
    let is_certificate = name != "ssl.key.location";
    let text = String::from_utf8_lossy(&bytes);
    let has = |what: &str| text.contains("-----BEGIN ") && text.contains(what);
    match is_certificate {
        true if !has("CERTIFICATE-----") => Err(format!(
            "{name}: there is no certificate in {path} (PEM is expected: -----BEGIN CERTIFICATE-----)"
        )),
        false if !has("KEY-----") => Err(format!(
            "{name}: there is no private key in {path} (PEM is expected: -----BEGIN PRIVATE KEY-----)"
        )),
        _ => Ok(()),
    }
}

fn read(name: &str, path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|why| format!("{name}: {path}: {why}"))
}

fn is_pem(bytes: &[u8]) -> bool {
    String::from_utf8_lossy(bytes).contains("-----BEGIN CERTIFICATE-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_no_certificate_is_named_with_the_reason() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let path = file.path().to_str().expect("a path");
        let says = |bytes: &[u8]| {
            std::fs::write(path, bytes).expect("written");
            check("ssl.ca.location", path).expect_err("no certificate")
        };
        assert!(says(b"root:x:0").contains("there is no certificate in"));
        assert!(says(b"-----BEGIN PRIVATE KEY-----").contains("there is no certificate in"));
        assert!(says(&[0xfe, 0xed, 0xfe, 0xed, 0, 0]).contains("keytool"));
        assert!(read_store(path, "x").expect_err("JKS").contains("keytool"));
        let missing = check("ssl.ca.location", "/no/such.pem").expect_err("no file");
        assert!(missing.contains("/no/such.pem: No such file"), "{missing}");
        assert_eq!(check("ssl.ca.location", "probe"), Ok(()));
        std::fs::write(path, b"not a store").expect("written");
        assert!(
            read_store(path, "x")
                .expect_err("no store")
                .contains("PKCS12")
        );
    }
}
