//! The RSA-2048 key pairs of a tape, one per `publickey_ver` (wecom-sdk 4.1).

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{
    KeySize, Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey, PrivateDecryptingKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::TapeError;

const PEM_HEAD: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_FOOT: &str = "-----END PRIVATE KEY-----";

/// One key pair and the `publickey_ver` that it answers to.
pub struct KeyPair {
    version: u32,
    private: Pkcs1PrivateDecryptingKey,
    public: Pkcs1PublicEncryptingKey,
    pkcs8: Vec<u8>,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl KeyPair {
    /// A new RSA-2048 pair for `publickey_ver` `version`.
    ///
    /// # Errors
    /// [`TapeError::Crypto`] when the cryptographic library refuses.
    pub fn generate(version: u32) -> Result<Self, TapeError> {
        let failed = |_| TapeError::Crypto {
            doing: "generating an RSA-2048 key",
        };
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(failed)?;
        let der: Pkcs8V1Der<'_> = key.as_der().map_err(failed)?;
        let pkcs8 = der.as_ref().to_vec();
        Self::from_parts(version, key, pkcs8)
    }

    /// The pair whose private half is this PKCS#8 PEM text.
    ///
    /// # Errors
    /// [`TapeError::BadKey`] for anything else, PKCS#1 PEM and other key sizes included.
    pub fn from_pem(version: u32, pem: &str) -> Result<Self, TapeError> {
        let bad = || TapeError::BadKey { version };
        let body = pem
            .split_once(PEM_HEAD)
            .and_then(|(_, rest)| rest.split_once(PEM_FOOT));
        let base64: String = body.ok_or_else(bad)?.0.split_whitespace().collect();
        let pkcs8 = STANDARD.decode(base64).map_err(|_| bad())?;
        let key = PrivateDecryptingKey::from_pkcs8(&pkcs8).map_err(|_| bad())?;
        if key.key_size_bits() != 2048 {
            return Err(bad());
        }
        Self::from_parts(version, key, pkcs8)
    }

    fn from_parts(
        version: u32,
        key: PrivateDecryptingKey,
        pkcs8: Vec<u8>,
    ) -> Result<Self, TapeError> {
        let failed = |_| TapeError::Crypto {
            doing: "preparing an RSA-2048 key",
        };
        let public = Pkcs1PublicEncryptingKey::new(key.public_key()).map_err(failed)?;
        let private = Pkcs1PrivateDecryptingKey::new(key).map_err(failed)?;
        Ok(Self {
            version,
            private,
            public,
            pkcs8,
        })
    }

    /// The `publickey_ver` of this pair.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The private key as PKCS#8 PEM, as an operator keeps it.
    pub fn to_pem(&self) -> String {
        let base64 = STANDARD.encode(&self.pkcs8);
        let mut pem = String::with_capacity(base64.len() + 100);
        pem.push_str(PEM_HEAD);
        for (at, letter) in base64.chars().enumerate() {
            if at % 64 == 0 {
                pem.push('\n');
            }
            pem.push(letter);
        }
        pem.push('\n');
        pem.push_str(PEM_FOOT);
        pem.push('\n');
        pem
    }

    /// Opens a record's `encrypt_random_key`: what the operator's side does before `DecryptData`.
    ///
    /// # Errors
    /// [`TapeError::Crypto`] when it was sealed for another key or is no such text.
    pub fn unseal(&self, encrypt_random_key: &str) -> Result<String, TapeError> {
        let failed = || TapeError::Crypto {
            doing: "opening a random key",
        };
        let sealed = STANDARD.decode(encrypt_random_key).map_err(|_| failed())?;
        let mut room = vec![0; self.private.min_output_size()];
        let text = self
            .private
            .decrypt(&sealed, &mut room)
            .map_err(|_| failed())?;
        String::from_utf8(text.to_vec()).map_err(|_| failed())
    }

    pub(crate) fn encrypt(&self, key_text: &[u8]) -> Result<Vec<u8>, TapeError> {
        let mut sealed = vec![0; self.public.ciphertext_size()];
        let n_bytes = self
            .public
            .encrypt(key_text, &mut sealed)
            .map_err(|_| TapeError::Crypto {
                doing: "sealing a random key",
            })?
            .len();
        sealed.truncate(n_bytes);
        Ok(sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_pem() {
        let keys = KeyPair::generate(3).unwrap();
        let again = KeyPair::from_pem(3, &keys.to_pem()).unwrap();
        let sealed = STANDARD.encode(keys.encrypt(b"random key").unwrap());
        assert_eq!(again.unseal(&sealed).unwrap(), "random key");
        assert!(matches!(
            KeyPair::from_pem(4, "-----BEGIN RSA PRIVATE KEY-----"),
            Err(TapeError::BadKey { version: 4 })
        ));
    }
}
