//! JWTs made with keys of the test's own: what is let in, and everything that is not.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use huicun_engine::access::{DataScope, Function};
use serde_json::{Value, json};

use super::*;

const NOW_S: i64 = 1_727_712_000;

/// Private keys of one issuer.
struct Issuer {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Issuer {
    fn new() -> Self {
        Self {
            rsa: RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed: Ed25519KeyPair::generate().unwrap(),
        }
    }

    /// The public keys as a set; their ids end in `name`.
    fn jwks(&self, name: &str) -> Value {
        // SEQUENCE { INTEGER n of 2048 bits, INTEGER e = 65537 }
        let der = self.rsa.public_key().as_ref();
        let (n, e) = (&der[9..265], &der[der.len() - 3..]);
        let point = self.ec.public_key().as_ref();
        json!({"keys": [
            {"kty": "RSA", "kid": format!("rsa{name}"), "use": "sig", "n": b64(n), "e": b64(e)},
            {"kty": "EC", "crv": "P-256", "kid": format!("ec{name}"), "alg": "ES256",
             "x": b64(&point[1..33]), "y": b64(&point[33..])},
            {"kty": "OKP", "crv": "Ed25519", "kid": format!("ed{name}"),
             "x": b64(self.ed.public_key().as_ref())},
            {"kty": "oct", "kid": format!("oct{name}"), "k": b64(b"shared secret")},
        ]})
    }

    fn signature(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match algorithm {
            "ES256" => self.ec.sign(&random, message).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed.sign(message).as_ref().to_vec(),
            other => {
                let mut out = vec![0; 256];
                let padding: &dyn aws_lc_rs::signature::RsaEncoding = match other {
                    "PS256" => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                self.rsa.sign(padding, &random, message, &mut out).unwrap();
                out
            }
        }
    }

    fn token_with(&self, header: &Value, claims: &Value, signed_as: &str) -> String {
        let message = format!(
            "{}.{}",
            b64(header.to_string().as_bytes()),
            b64(claims.to_string().as_bytes())
        );
        let signature = self.signature(signed_as, message.as_bytes());
        format!("{message}.{}", b64(&signature))
    }

    fn token(&self, algorithm: &str, kid: &str, claims: &Value) -> String {
        self.token_with(&json!({"alg": algorithm, "kid": kid}), claims, algorithm)
    }
}

fn claims() -> Value {
    json!({"iss": "scrm", "aud": "huicun", "sub": "zhang", "exp": NOW_S + 600,
           "nbf": NOW_S - 5, "roles": ["manager", "unknown"]})
}

fn with(key: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[key] = value;
    claims
}

fn door(folder: &tempfile::TempDir, jwks: &Value) -> JwtDoor {
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, jwks.to_string()).unwrap();
    let role = |name: &str, functions: &[&str], scope: &str| json!({"name": name, "functions": functions, "scope": scope});
    let settings = json!({
        "issuer": "scrm", "audience": "huicun", "jwks_file": file,
        "role": [
            role("manager", &["messages.read"], "self"),
            role("manager2", &["sql"], "all"),
        ],
    });
    JwtDoor::open(&serde_json::from_value(settings).unwrap()).unwrap()
}

fn admit(door: &JwtDoor, token: &str) -> Result<(Identity, Grant), &'static str> {
    door.admit(token, NOW_S * 1000)
}

#[test]
fn each_algorithm_lets_its_own_key_in_and_the_roles_open_what_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::new();
    let door = door(&folder, &issuer.jwks("1"));
    for (algorithm, kid) in [
        ("RS256", "rsa1"),
        ("PS256", "rsa1"),
        ("ES256", "ec1"),
        ("EdDSA", "ed1"),
    ] {
        let token = issuer.token(algorithm, kid, &claims());
        let (identity, grant) = admit(&door, &token).unwrap();
        assert_eq!((identity.kind, identity.id.as_str()), ("jwt", "zhang"));
        assert_eq!(grant.employee.as_deref(), Some("zhang"));
        let [role] = grant.roles.as_slice() else {
            panic!("{grant:?}");
        };
        assert_eq!(role.scope, DataScope::Own);
        assert!(role.functions.contains(&Function::MessagesRead));
    }
    let many = with("aud", json!(["other", "huicun"]));
    admit(&door, &issuer.token("ES256", "ec1", &many)).unwrap();
    let none = with("roles", json!(7));
    let (_, grant) = admit(&door, &issuer.token("ES256", "ec1", &none)).unwrap();
    assert!(grant.roles.is_empty());
}

#[test]
fn a_token_of_another_key_or_for_another_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    let door = door(&folder, &issuer.jwks("1"));
    let good = issuer.token("ES256", "ec1", &claims());
    admit(&door, &good).unwrap();
    for token in [
        stranger.token("ES256", "ec1", &claims()),
        stranger.token("RS256", "rsa1", &claims()),
        // Keys are for their own kind only, whatever the token says.
        issuer.token("ES256", "ed1", &claims()),
        issuer.token("RS256", "ec1", &claims()),
        issuer.token("ES256", "ec2", &claims()),
        issuer.token_with(&json!({"alg": "PS256", "kid": "rsa1"}), &claims(), "RS256"),
        issuer.token_with(&json!({"alg": "none", "kid": "ec1"}), &claims(), "ES256"),
        issuer.token_with(&json!({"alg": "HS256", "kid": "oct1"}), &claims(), "ES256"),
        issuer.token_with(&json!({"alg": "ES256"}), &claims(), "ES256"),
        issuer.token_with(
            &json!({"alg": "ES256", "kid": "ec1", "crit": ["b64"]}),
            &claims(),
            "ES256",
        ),
        issuer.token("ES256", "ec1", &with("iss", json!("other"))),
        issuer.token("ES256", "ec1", &with("aud", json!("other"))),
        issuer.token("ES256", "ec1", &with("aud", json!(["other"]))),
        issuer.token("ES256", "ec1", &with("aud", Value::Null)),
        issuer.token("ES256", "ec1", &with("exp", Value::Null)),
        issuer.token("ES256", "ec1", &with("exp", json!(NOW_S - 60))),
        issuer.token("ES256", "ec1", &with("exp", json!("tomorrow"))),
        issuer.token("ES256", "ec1", &with("nbf", json!(NOW_S + 61))),
        issuer.token("ES256", "ec1", &with("sub", Value::Null)),
        issuer.token("ES256", "ec1", &with("sub", json!("z".repeat(300)))),
        good.rsplit_once('.').unwrap().0.to_string() + ".",
        good.rsplit_once('.').unwrap().0.to_string(),
        format!("{good}="),
        "..".into(),
        String::new(),
        "a".repeat(40_000),
    ] {
        let about = &token[..token.len().min(60)];
        assert!(admit(&door, &token).is_err(), "{about}");
    }
    // Within the skew of the clocks both ends are still open.
    for claims in [
        with("exp", json!(NOW_S - 59)),
        with("nbf", json!(NOW_S + 59)),
    ] {
        admit(&door, &issuer.token("EdDSA", "ed1", &claims)).unwrap();
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::new();
    let door = door(&folder, &issuer.jwks("1"));
    let good = issuer.token("EdDSA", "ed1", &claims());
    admit(&door, &good).unwrap();
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] ^= 1;
        let token = String::from_utf8(bytes).unwrap();
        assert!(admit(&door, &token).is_err(), "byte {at}");
    }
}

#[test]
fn keys_are_read_again_when_their_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Issuer::new(), Issuer::new());
    let door = door(&folder, &old.jwks("1"));
    let (before, after) = (
        old.token("ES256", "ec1", &claims()),
        new.token("ES256", "ec-new", &claims()),
    );
    admit(&door, &before).unwrap();
    assert!(admit(&door, &after).is_err());
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, new.jwks("-new").to_string()).unwrap();
    admit(&door, &after).unwrap();
    assert!(admit(&door, &before).is_err());
    // A file that is no set of keys changes nothing.
    std::fs::write(&file, "{").unwrap();
    admit(&door, &after).unwrap();
    std::fs::write(&file, json!({"keys": []}).to_string()).unwrap();
    assert!(admit(&door, &after).is_err());
}

#[tokio::test]
async fn keys_are_fetched_from_a_url() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let issuer = Issuer::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let body = issuer.jwks("1").to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 1024];
        let _ = stream.read(&mut asked).await.unwrap();
        let head = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
    });
    let settings = json!({
        "issuer": "scrm", "audience": "huicun", "jwks_url": format!("http://{address}/keys"),
    });
    let door = JwtDoor::open(&serde_json::from_value(settings).unwrap()).unwrap();
    let token = issuer.token("ES256", "ec1", &claims());
    assert!(admit(&door, &token).is_err());
    let keys = door.keys();
    tokio::spawn(async move { keys.follow().await });
    let started = std::time::Instant::now();
    while admit(&door, &token).is_err() {
        assert!(started.elapsed().as_secs() < 30, "no keys");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
