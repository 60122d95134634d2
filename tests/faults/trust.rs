//! Collectors over TLS that no authority vouches for, and private keys that everybody can read.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};

use crate::support::authority::{Authority, Identity};
use crate::tls::{ANYBODY, Demands, Files, check_not_trusted, check_taken, collector, replay};
use crate::{DONE, assert_failed_at_start};

/// Nobody certifies whoever has this name but itself; openssl makes such ones as authorities.
fn self_signed(name: &str, is_authority: bool) -> Identity {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if is_authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Identity { pem: certificate.pem(), der: certificate.der().clone(), key }
}

#[test]
fn self_signed_certificate_that_was_given_is_trusted() {
    let files = Files::new();
    for (version, is_authority) in
        [(&TLS12, true), (&TLS13, true), (&TLS12, false), (&TLS13, false)]
    {
        // Who gave it knows whose it is, whatever name is in it.
        for name in ["localhost", "collector.example"] {
            let identity = self_signed(name, is_authority);
            let ca = files.write("ca.pem", &[Authority::new().pem, identity.pem.clone()].concat());
            let (taken, port) = collector(&identity, Demands { version, ..ANYBODY });
            check_taken(taken, &format!("ipfix+tls://localhost:{port}?ca={}", ca.display()));
        }
    }
}

#[test]
fn self_signed_certificate_that_was_not_given_is_not_trusted_and_shown() {
    for is_authority in [true, false] {
        let identity = self_signed("localhost", is_authority);
        let shown = format!("fingerprint={}", fingerprint(&identity.der));
        let words = ["self-signed", "ca= does not hold it", shown.as_str()];
        check_not_trusted(&identity, &Authority::new(), &words);
    }
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let folder = Files::new();
    let path = folder.write("certificate", "");
    fs::write(&path, certificate).unwrap();
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split(' ').next().unwrap().to_owned()
}

#[test]
fn fingerprint_pins_the_certificate() {
    let (files, authority) = (Files::new(), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    for version in [&TLS12, &TLS13] {
        let identity = self_signed("collector.example", true);
        let pin = fingerprint(&identity.der);
        let (taken, port) = collector(&identity, Demands { version, ..ANYBODY });
        check_taken(taken, &format!("ipfix+tls://localhost:{port}?fingerprint={pin}"));
        // Another certificate is not trusted, though an authority vouches for it.
        let other = authority.certify("localhost");
        let (taken, port) = collector(&other, Demands { version, ..ANYBODY });
        let url = format!("ipfix+tls://localhost:{port}");
        let run = replay(&format!("{url}?ca={}&fingerprint={pin}", ca.display()), 10);
        let words = ["another fingerprint", &fingerprint(&other.der)];
        assert_failed_at_start(&run, &[&[url.as_str()], &words[..]].concat());
        assert!(taken.join().unwrap().is_err(), "nothing was sent");
    }
}

/// A name in a certificate is for the terminal what a file name is.
#[test]
fn control_characters_of_a_certificate_do_not_reach_the_terminal() {
    let files = Files::new();
    let forged = "a\x1b]0;title\x07\r\nflowprobe: error: forged";
    let authority = Authority::named(&format!("authority {forged}"));
    let ca = files.write("ca.pem", &authority.pem);
    for identity in [authority.certify(forged), self_signed(forged, true), named(forged)] {
        for trusted in [&ca, &files.write("other.pem", &Authority::new().pem)] {
            let (taken, port) = collector(&identity, ANYBODY);
            let url = format!("ipfix+tls://localhost:{port}?wait=1s&ca={}", trusted.display());
            let run = replay(&url, 1);
            assert_failed_at_start(&run, &["certificate"]);
            let is_obeyed = |octet: char| octet.is_control() && octet != '\n';
            assert!(!run.stderr.contains(is_obeyed), "{:?}", run.stderr);
            assert!(!run.stderr.contains("\nflowprobe: error: forged"), "{:?}", run.stderr);
            assert!(taken.join().unwrap().is_err());
        }
    }
}

/// Nobody vouches for it, and its subject is this.
fn named(subject: &str) -> Identity {
    let mut params = CertificateParams::new(vec!["collector.example".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, subject);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Identity { pem: certificate.pem(), der: certificate.der().clone(), key }
}

#[test]
fn private_key_that_others_can_read_is_warned_of() {
    let (files, authority, clients) = (Files::new(), Authority::new(), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    let client = files.client(&clients.certify("probe.example"));
    for (mode, is_warned) in [(0o644, true), (0o604, true), (0o640, false), (0o600, false)] {
        let key = files.0.path().join("client.key");
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let (taken, port) = collector(&authority.certify("localhost"), ANYBODY);
        let url = format!("ipfix+tls://localhost:{port}?ca={}&{client}", ca.display());
        let run = replay(&url, 10);
        assert_eq!(run.status, DONE, "{}", run.stderr);
        taken.join().unwrap().unwrap();
        let warning = run.stderr.contains("client.key: every user of this host can read");
        assert_eq!(warning, is_warned, "{mode:o}: {}", run.stderr);
    }
}

#[test]
fn secrets_of_a_cluster_that_others_can_read_are_warned_of() {
    let files = Files::new();
    let secret = files.write("secret", "0123456789");
    for (mode, is_warned) in [(0o644, true), (0o640, false)] {
        fs::set_permissions(&secret, Permissions::from_mode(mode)).unwrap();
        for setting in ["api-key-file=", "user=me&password-file="] {
            let url =
                format!("elastic+http://127.0.0.1:1?give-up=1s&{setting}{}", secret.display());
            let run = replay(&url, 1);
            let warning = run.stderr.contains("secret: every user of this host can read");
            assert_eq!(warning, is_warned, "{setting}, {mode:o}: {}", run.stderr);
        }
    }
}
