//! JWTs that the SCRM has signed (RFC 7519): checked, and turned into what their roles open.
//!
//! Only signatures by public keys count, each by its own kind of algorithm; the key is the one that
//! `kid` names. Issuer, audience and time must fit. What is wrong with one is told to nobody but
//! the program's own log: the answer to all of it is the same 401.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use huicun_engine::access::{Grant, Identity, Role};
use huicun_indexer::ingest::config::JwtSettings;
use serde::Deserialize;
use serde_json::Value;

use super::jwks::{Algorithm, KeyStore};

/// Bytes of a token.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Characters of a subject or employee.
const NAME_BYTES_MAX: usize = 256;

/// Who may come with a JWT.
#[derive(Debug)]
pub struct JwtDoor {
    settings: JwtSettings,
    keys: Arc<KeyStore>,
}

#[derive(Deserialize)]
struct Header {
    /// Kept as text: an algorithm that is none of ours is refused like any other mistake.
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood: there is none that is.
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    aud: Option<Value>,
    sub: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

impl Claims {
    /// A claim that is a text.
    fn text(&self, name: &str) -> Option<&str> {
        match name {
            "sub" => self.sub.as_deref(),
            name => self.rest.get(name)?.as_str(),
        }
    }
}

impl JwtDoor {
    /// As the settings say.
    ///
    /// # Errors
    /// The file of keys cannot be read.
    pub fn open(settings: &JwtSettings) -> Result<Self, String> {
        let keys = match (&settings.jwks_file, &settings.jwks_url) {
            (Some(file), _) => KeyStore::of_file(file)?,
            (None, Some(url)) => KeyStore::of_url(url),
            (None, None) => return Err("[jwt] names no keys".into()),
        };
        Ok(Self {
            settings: settings.clone(),
            keys: Arc::new(keys),
        })
    }

    /// The roles that a JWT may have.
    pub fn known_roles(&self) -> Vec<Role> {
        let roles = self.settings.role.iter();
        roles
            .map(|role| Role {
                functions: role.functions.clone(),
                scope: role.scope.clone(),
            })
            .collect()
    }

    /// The keys, to be followed in the background.
    pub fn keys(&self) -> Arc<KeyStore> {
        Arc::clone(&self.keys)
    }

    /// Who comes with this token, and what his roles open.
    ///
    /// # Errors
    /// Why it is refused, for the log only.
    pub fn admit(&self, token: &str, now_ms: i64) -> Result<(Identity, Grant), &'static str> {
        let claims = self.verified(token)?;
        self.check(&claims, now_ms as f64 / 1000.0)?;
        let subject = claims.sub.as_deref().unwrap_or_default();
        let employee = claims.text(&self.settings.employee_claim);
        if [Some(subject), employee]
            .iter()
            .flatten()
            .any(|name| name.len() > NAME_BYTES_MAX)
        {
            return Err("its names are too long");
        }
        if subject.is_empty() && employee.is_none() {
            return Err("it names nobody");
        }
        let employee = employee.filter(|id| !id.is_empty());
        let identity = Identity {
            kind: "jwt",
            id: subject.to_string(),
            name: employee.unwrap_or_default().to_string(),
        };
        let grant = Grant {
            roles: self.roles(claims.rest.get(&self.settings.roles_claim)),
            employee: employee.map(String::from),
        };
        Ok((identity, grant))
    }

    fn verified(&self, token: &str) -> Result<Claims, &'static str> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err("it is too long");
        }
        let (message, signature) = token.rsplit_once('.').ok_or("it has no signature")?;
        let (header, claims) = message.split_once('.').ok_or("it has no claims")?;
        let bytes = |part: &str| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|_| "it is not base64url")
        };
        let header: Header =
            serde_json::from_slice(&bytes(header)?).map_err(|_| "its header is wrong")?;
        if header.crit.is_some() {
            return Err("it needs an extension");
        }
        let algorithm: Algorithm = serde_json::from_value(header.alg.into())
            .map_err(|_| "its algorithm is not allowed")?;
        let id = header.kid.ok_or("it names no key")?;
        let signature = bytes(signature)?;
        let keys = self.keys.keys();
        let mut named = keys.of(&id).peekable();
        if named.peek().is_none() {
            self.keys.missed();
            return Err("nobody knows its key");
        }
        if !named.any(|key| key.verifies(algorithm, message.as_bytes(), &signature)) {
            return Err("its signature is wrong");
        }
        serde_json::from_slice(&bytes(claims)?).map_err(|_| "its claims are wrong")
    }

    fn check(&self, claims: &Claims, now: f64) -> Result<(), &'static str> {
        let skew = self.settings.clock_skew_seconds as f64;
        if claims.iss.as_deref() != Some(self.settings.issuer.as_str()) {
            return Err("it is another issuer's");
        }
        let audience = self.settings.audience.as_str();
        let is_for_us = match &claims.aud {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(many)) => many.iter().any(|one| one == audience),
            _ => false,
        };
        if !is_for_us {
            return Err("it is for somebody else");
        }
        let expires = claims.exp.ok_or("it never expires")?;
        if expires + skew <= now {
            return Err("it has expired");
        }
        if claims.nbf.is_some_and(|from| from - skew > now) {
            return Err("it is not valid yet");
        }
        Ok(())
    }

    /// What the names in the claim open; a name that nobody has configured opens nothing.
    fn roles(&self, claim: Option<&Value>) -> Vec<Role> {
        let names: Vec<&str> = match claim {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let roles = self.settings.role.iter();
        roles
            .filter(|role| names.contains(&role.name.as_str()))
            .map(|role| Role {
                functions: role.functions.clone(),
                scope: role.scope.clone(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
