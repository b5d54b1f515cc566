//! The simulator's cipher, and its return codes (wecom-sdk 2.1 and 4.2).
//!
//! A record's random key is 32 ASCII characters and is the AES-256 key as it stands. The
//! sealed message is base64 of a random IV followed by AES-256-CBC of a fixed mark and the
//! message; the mark is how a wrong key is told from a right one with certainty, as the
//! real library does. This is not WeCom's cipher.

use aws_lc_rs::cipher::{
    AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::TapeError;
use crate::keys::KeyPair;

/// Characters of a record's random key: the key of AES-256, byte for byte.
pub const KEY_TEXT_LEN: usize = 32;

const IV_LEN: usize = 16;
const MARK: &[u8; 8] = b"HCTAPE1\n";
/// 64 letters, so that six random bits pick one without bias.
const KEY_ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A return code of the C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub i32);

impl Code {
    /// Bad parameter.
    pub const BAD_PARAMETER: Code = Code(10000);
    /// Network failure.
    pub const NETWORK: Code = Code(10001);
    /// System failure.
    pub const SYSTEM: Code = Code(10003);
    /// Media id wrong or no longer valid.
    pub const FILE_ID: Code = Code(10005);
    /// Decryption failed.
    pub const DECRYPT: Code = Code(10006);
    /// The key text could not be used.
    pub const KEY_UNPARSABLE: Code = Code(10008);
}

/// The two sealed fields of a record.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Base64 of the RSA-sealed random key: 344 characters.
    pub encrypt_random_key: String,
    /// Base64 of IV and ciphertext.
    pub encrypt_chat_msg: String,
}

/// Seals one message under a fresh random key.
///
/// # Errors
/// [`TapeError::Crypto`] when the cryptographic library refuses.
pub fn seal(keys: &KeyPair, message: &[u8]) -> Result<Sealed, TapeError> {
    let key_text = random_key_text()?;
    let body = encrypt(&key_text, message).map_err(|Unspecified| TapeError::Crypto {
        doing: "AES-256-CBC encryption",
    })?;
    Ok(Sealed {
        encrypt_random_key: STANDARD.encode(keys.encrypt(&key_text)?),
        encrypt_chat_msg: STANDARD.encode(body),
    })
}

/// What the C library's `DecryptData` does with a tape's records.
///
/// # Errors
/// 10008 for a key text that is not of this record, 10006 for a body that is no ciphertext.
pub fn decrypt(key_text: &str, encrypt_msg: &str) -> Result<Vec<u8>, Code> {
    if key_text.len() != KEY_TEXT_LEN || !key_text.is_ascii() {
        return Err(Code::KEY_UNPARSABLE);
    }
    let mut body = STANDARD.decode(encrypt_msg).map_err(|_| Code::DECRYPT)?;
    if body.len() < 2 * IV_LEN || body.len() % IV_LEN != 0 {
        return Err(Code::DECRYPT);
    }
    let mut iv = [0; IV_LEN];
    iv.copy_from_slice(&body[..IV_LEN]);
    let plain = UnboundCipherKey::new(&AES_256, key_text.as_bytes())
        .and_then(PaddedBlockDecryptingKey::cbc_pkcs7)
        .and_then(|key| {
            let context = DecryptionContext::Iv128(FixedLength::from(iv));
            Ok(key.decrypt(&mut body[IV_LEN..], context)?.to_vec())
        })
        .map_err(|Unspecified| Code::KEY_UNPARSABLE)?;
    match plain.strip_prefix(MARK) {
        Some(message) => Ok(message.to_vec()),
        None => Err(Code::KEY_UNPARSABLE),
    }
}

fn encrypt(key_text: &[u8; KEY_TEXT_LEN], message: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let mut iv = [0; IV_LEN];
    rand::fill(&mut iv)?;
    let mut text = Vec::with_capacity(MARK.len() + message.len() + IV_LEN);
    text.extend_from_slice(MARK);
    text.extend_from_slice(message);
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, key_text)?)?;
    key.less_safe_encrypt(&mut text, EncryptionContext::Iv128(FixedLength::from(iv)))?;
    let mut body = Vec::with_capacity(IV_LEN + text.len());
    body.extend_from_slice(&iv);
    body.append(&mut text);
    Ok(body)
}

fn random_key_text() -> Result<[u8; KEY_TEXT_LEN], TapeError> {
    let mut key = [0; KEY_TEXT_LEN];
    rand::fill(&mut key).map_err(|Unspecified| TapeError::Crypto {
        doing: "drawing a random key",
    })?;
    for byte in &mut key {
        *byte = KEY_ALPHABET[usize::from(*byte & 63)];
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_message_opens_with_its_own_key_only() {
        let keys = KeyPair::generate(1).unwrap();
        let message = "{\"msgid\":\"1\",\"text\":{\"content\":\"您好\u{1}\"}}".as_bytes();
        let sealed = seal(&keys, message).unwrap();
        assert_eq!(sealed.encrypt_random_key.len(), 344);
        let key_text = keys.unseal(&sealed.encrypt_random_key).unwrap();
        assert_eq!(
            decrypt(&key_text, &sealed.encrypt_chat_msg),
            Ok(message.to_vec())
        );
        let other = "x".repeat(KEY_TEXT_LEN);
        assert_eq!(
            decrypt(&other, &sealed.encrypt_chat_msg),
            Err(Code::KEY_UNPARSABLE)
        );
        assert_eq!(
            decrypt("short", &sealed.encrypt_chat_msg),
            Err(Code::KEY_UNPARSABLE)
        );
    }

    #[test]
    fn a_body_that_is_no_ciphertext_is_refused() {
        let key = "k".repeat(KEY_TEXT_LEN);
        for body in ["", "AAAA", "not base64!", &STANDARD.encode([0; 33])] {
            assert_eq!(decrypt(&key, body), Err(Code::DECRYPT), "{body:?}");
        }
    }
}
