//! The public keys of whoever signs JWTs (JWKS, RFC 7517): from a file that is read again when it
//! changes, or from a URL that is asked in the background.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokio::sync::Notify;

/// Bytes of a set of keys.
const BYTES_MAX: usize = 1 << 20;
/// Keys of a set.
const KEYS_MAX: usize = 100;
/// How long one fetch may take.
const FETCH_MAX: Duration = Duration::from_secs(10);
/// How often keys are fetched anew, so that one that was taken back ends.
const FETCH_EVERY: Duration = Duration::from_secs(300);
/// The least time between two fetches, whatever tokens come.
const FETCH_PAUSE: Duration = Duration::from_secs(10);

/// How a token is signed. Nothing with a shared secret, and not `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// RSA, PKCS #1, SHA-256.
    RS256,
    /// RSA, PSS, SHA-256.
    PS256,
    /// ECDSA over P-256, SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

#[derive(Debug)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The uncompressed point.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// One public key.
#[derive(Debug)]
pub struct Key {
    id: String,
    /// The one algorithm that it is for, where the set says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

impl Key {
    /// Whether the key signed the message in this way. A key is used for its own kind of
    /// algorithm only, whatever a token says.
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if self.algorithm.is_some_and(|only| only != algorithm) {
            return false;
        }
        let verified =
            match (&self.material, algorithm) {
                (Material::Rsa { n, e }, Algorithm::RS256) => RsaPublicKeyComponents { n, e }
                    .verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature),
                (Material::Rsa { n, e }, Algorithm::PS256) => RsaPublicKeyComponents { n, e }
                    .verify(&signature::RSA_PSS_2048_8192_SHA256, message, signature),
                (Material::P256(point), Algorithm::ES256) => {
                    UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                        .verify(message, signature)
                }
                (Material::Ed25519(point), Algorithm::EdDSA) => {
                    UnparsedPublicKey::new(&signature::ED25519, point).verify(message, signature)
                }
                _ => return false,
            };
        verified.is_ok()
    }
}

/// A key as it is written.
#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct WrittenSet {
    keys: Vec<serde_json::Value>,
}

/// A set of keys. Those of kinds that are not used, or without an id, are left out.
#[derive(Debug, Default)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// Reads a set.
    ///
    /// # Errors
    /// It is none, or too large.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        if bytes.len() > BYTES_MAX {
            return Err("the set of keys is too large");
        }
        let set: WrittenSet =
            serde_json::from_slice(bytes).map_err(|_| "this is no set of keys (JWKS)")?;
        if set.keys.len() > KEYS_MAX {
            return Err("the set has too many keys");
        }
        let keys = set.keys.into_iter().filter_map(|key| {
            let key: Written = serde_json::from_value(key).ok()?;
            key.read()
        });
        Ok(Self(keys.collect()))
    }

    /// The keys with this id.
    pub fn of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Key> {
        self.0.iter().filter(move |key| key.id == id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Written {
    fn read(self) -> Option<Key> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let (material, algorithms): (_, &[_]) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => (
                Material::Rsa {
                    n: bytes(&self.n)?,
                    e: bytes(&self.e)?,
                },
                &[Algorithm::RS256, Algorithm::PS256],
            ),
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
                if x.len() != 32 || y.len() != 32 {
                    return None;
                }
                (
                    Material::P256([&[4], x.as_slice(), &y].concat()),
                    &[Algorithm::ES256],
                )
            }
            ("OKP", Some("Ed25519")) => (Material::Ed25519(bytes(&self.x)?), &[Algorithm::EdDSA]),
            _ => return None,
        };
        let algorithm = match self.alg {
            None => None,
            Some(name) => {
                let named = serde_json::from_value(name.into()).ok();
                Some(named.filter(|named| algorithms.contains(named))?)
            }
        };
        Some(Key {
            id: self.kid?,
            algorithm,
            material,
        })
    }
}

/// What tells whether a file is another one than it was.
type Stamp = Option<(SystemTime, u64)>;

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Where keys come from.
#[derive(Debug)]
pub enum Source {
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// As it was read last.
        read: Mutex<Stamp>,
    },
    /// A URL.
    Url {
        /// The URL.
        url: String,
        /// Rung when a token names a key that nobody knows.
        bell: Notify,
    },
}

/// The keys in force.
#[derive(Debug)]
pub struct KeyStore {
    source: Source,
    keys: RwLock<Arc<Keys>>,
}

impl KeyStore {
    /// Keys of a file.
    ///
    /// # Errors
    /// It cannot be read, or is no set of keys.
    pub fn of_file(path: &Path) -> Result<Self, String> {
        let read = stamp(path);
        let keys = read_file(path)?;
        Ok(Self {
            source: Source::File {
                path: path.to_path_buf(),
                read: Mutex::new(read),
            },
            keys: RwLock::new(Arc::new(keys)),
        })
    }

    /// Keys of a URL; none until [`KeyStore::follow`] has fetched them.
    pub fn of_url(url: &str) -> Self {
        Self {
            source: Source::Url {
                url: url.to_string(),
                bell: Notify::new(),
            },
            keys: RwLock::default(),
        }
    }

    /// The keys as they are now. A file that has changed is read; one that cannot be read any more
    /// leaves the keys as they were.
    pub fn keys(&self) -> Arc<Keys> {
        if let Source::File { path, read } = &self.source {
            let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
            let now = stamp(path);
            if *read != now {
                *read = now;
                match read_file(path) {
                    Ok(keys) => self.replace(keys),
                    Err(error) => tracing::error!(error, "the keys for JWTs stay as they were"),
                }
            }
        }
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, keys: Keys) {
        tracing::info!(n_keys = keys.len(), "keys for JWTs");
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Somebody came with a key that is not in the set: perhaps there is a new one.
    pub fn missed(&self) {
        if let Source::Url { bell, .. } = &self.source {
            bell.notify_one();
        }
    }

    /// Fetches the keys of a URL, again and again; ends at once for a file.
    pub async fn follow(&self) {
        let Source::Url { url, bell } = &self.source else {
            return;
        };
        loop {
            let started = Instant::now();
            match fetch(url).await {
                Ok(keys) => self.replace(keys),
                Err(error) => {
                    tracing::error!(error, "the keys for JWTs cannot be fetched");
                }
            }
            let has_keys = !self.keys().is_empty();
            let wait = if has_keys { FETCH_EVERY } else { FETCH_PAUSE };
            // Whoever rings waits with others until the pause is over.
            tokio::time::sleep(FETCH_PAUSE.saturating_sub(started.elapsed())).await;
            tokio::select! {
                () = tokio::time::sleep(wait.saturating_sub(started.elapsed())) => {}
                () = bell.notified() => {}
            }
        }
    }
}

fn read_file(path: &Path) -> Result<Keys, String> {
    let told = |problem: &str| format!("`{}`: {problem}", path.display());
    let bytes = std::fs::read(path).map_err(|e| told(&e.to_string()))?;
    Keys::parse(&bytes).map_err(told)
}

async fn fetch(url: &str) -> Result<Keys, String> {
    let client = reqwest::Client::builder()
        .timeout(FETCH_MAX)
        // Another address than the operator named is not asked.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|e| e.to_string())?;
    let answer = client.get(url).send().await.map_err(|e| e.to_string())?;
    let mut answer = answer.error_for_status().map_err(|e| e.to_string())?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!("the answer was {}", answer.status()));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|e| e.to_string())? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > BYTES_MAX {
            return Err("the set of keys is too large".into());
        }
    }
    Ok(Keys::parse(&bytes)?)
}
