//! Brokers with TLS that ask for a password by SCRAM, in builds with the feature `kafka-tls`.

use std::path::Path;

use crate::broker::Broker;
use crate::refusals::assert_gave_up;
use crate::replay::{delivered, replay};
use crate::support::{self, authority::Authority};

const PROTOCOLS: &str = "listener.security.protocol.map=PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT";

const MECHANISMS: &str = "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512";

/// Passwords that the broker keeps, as its tool takes them.
const PASSWORDS: [&str; 2] =
    ["SCRAM-SHA-256=[name=probe,password=secret]", "SCRAM-SHA-512=[name=probe,password=another]"];

#[test]
#[ignore = "needs a build with the feature kafka-tls"]
fn brokers_with_tls_and_scram_are_written_to() {
    let (authority, folder) = (Authority::new(), support::scratch());
    let certificate = authority.certify("127.0.0.1");
    let keys = format!("{}{}", certificate.key.serialize_pem(), certificate.pem);
    let keys = support::write(&folder, "keys.pem", keys.as_bytes());
    let ca = support::write(&folder, "ca.pem", authority.pem.as_bytes());
    let keys = format!("ssl.keystore.location={}", keys.display());
    let trusted = format!("ssl.truststore.location={}", ca.display());
    let login = "listener.name.plaintext.plain.sasl.jaas.config=\
                 org.apache.kafka.common.security.plain.PlainLoginModule required \
                 username=\"broker\" password=\"b\" user_broker=\"b\";";
    let scram = ["256", "512"].map(|bits| {
        format!(
            "listener.name.plaintext.scram-sha-{bits}.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;"
        )
    });
    let settings = [
        PROTOCOLS,
        MECHANISMS,
        "sasl.mechanism.inter.broker.protocol=PLAIN",
        "auto.create.topics.enable=true",
        "ssl.keystore.type=PEM",
        &keys,
        "ssl.truststore.type=PEM",
        &trusted,
        login,
        &scram[0],
        &scram[1],
    ];
    let Some(broker) = Broker::start_with_passwords(&settings, &PASSWORDS) else { return };
    let other = support::write(&folder, "other.pem", Authority::new().pem.as_bytes());
    let output_trusting = |ca: &Path, topic: &str, sasl: &str, password: &str| {
        let file = support::write(&folder, &format!("{sasl}-{password}"), password.as_bytes());
        let settings = format!("user=probe&password-file={}&sasl={sasl}", file.display());
        let plain = broker.output(topic, &format!("{settings}&ca={}", ca.display()));
        plain.replacen("kafka", "kafka+tls", 1)
    };
    let output =
        |topic: &str, sasl: &str, password: &str| output_trusting(&ca, topic, sasl, password);
    for (sasl, password) in [("scram-sha-256", "secret"), ("scram-sha-512", "another")] {
        let run = replay(&support::office(), &output(sasl, sasl, password));
        assert_eq!(run.status, 0, "{}", run.stderr);
        assert_eq!(delivered(&run, "accepted"), run.count("outputs.0.sent.records"));
        run.assert_conservation();
    }
    let run = replay(&support::office(), &output("flows", "scram-sha-512", "secret"));
    assert_gave_up(&run, "Authentication failed");
    let run =
        replay(&support::office(), &output_trusting(&other, "flows", "scram-sha-256", "secret"));
    assert_gave_up(&run, "certificate");
}
