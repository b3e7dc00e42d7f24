//! Secrets: plaintexts that do not print themselves, their hashes, and how they are made.

use crate::model::error::Error;
use crate::model::error::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::SecureRandom;
use ring::rand::SystemRandom;
use std::fmt;

/// Characters of the random part that stay visible (`start`).
const SHOWN: usize = 4;

/// A whole key as its holder has it. Not cloned, not compared, never printed.
pub struct Plaintext(String);

impl Plaintext {
    /// Takes a secret that came from outside.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Makes a secret: `byte_length` bytes of the operating system's CSPRNG in base58, after `<prefix>_` if there is one.
    ///
    /// # Errors
    /// `unexpected_error` if the operating system gives no randomness.
    pub fn generate(prefix: Option<&str>, byte_length: u8) -> Result<Self> {
        let mut bytes = vec![0; usize::from(byte_length)];
        fill(&mut bytes)?;
        let random = bs58::encode(bytes).into_string();
        Ok(Self(match prefix {
            Some(prefix) => format!("{prefix}_{random}"),
            None => random,
        }))
    }

    /// The secret itself, for the one place that hands it out.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// SHA-256, the only form that is stored.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&self.0)
    }

    /// What may be shown of a key with this prefix: the prefix and the first four random characters.
    #[must_use]
    pub fn start(&self, prefix: Option<&str>) -> String {
        let skipped = prefix.map_or(0, |prefix| prefix.len() + 1);
        self.0.chars().take(skipped + SHOWN).collect()
    }

    /// The last four characters.
    #[must_use]
    pub fn last_characters(&self) -> String {
        let length = self.0.chars().count();
        self.0.chars().skip(length.saturating_sub(SHOWN)).collect()
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plaintext(…)")
    }
}

/// SHA-256 of a secret.
#[derive(Clone, Copy, PartialEq, Eq, std::hash::Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Hashes a secret.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref());
        Self(hash)
    }

    /// Reads a hash as other systems write it: 64 hexadecimal digits, or base64 of 32 bytes (standard or URL-safe, with
    /// or without padding).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = if text.len() == 64 {
            text.as_bytes().chunks(2).map(hex_byte).collect::<Option<Vec<u8>>>()?
        } else {
            let unpadded = text.strip_suffix('=').unwrap_or(text);
            STANDARD_NO_PAD.decode(unpadded).or_else(|_other| URL_SAFE_NO_PAD.decode(unpadded)).ok()?
        };
        bytes.try_into().ok().map(Self)
    }

    /// A hash that was stored.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(…)")
    }
}

fn hex_byte(pair: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(pair).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

/// Fills a buffer from the operating system's CSPRNG.
///
/// # Errors
/// `unexpected_error` if it cannot.
pub fn fill(buffer: &mut [u8]) -> Result<()> {
    SystemRandom::new()
        .fill(buffer)
        .map_err(|_unspecified| Error::unexpected("the operating system's random number generator failed"))
}

#[cfg(test)]
mod tests {
    use super::Hash;
    use super::Plaintext;

    #[test]
    fn a_hash_is_read_from_hex_and_base64() {
        // Its base64 has both characters that the two alphabets differ in.
        let hash = Hash::of("27");
        let hex: String = hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        for text in [&*hex, &*hex.to_uppercase(), &base64(&hash), base64(&hash).trim_end_matches('='), &url_safe(&hash)]
        {
            assert!(Hash::parse(text) == Some(hash), "{text}");
        }
        let short: String = base64(&hash).chars().skip(1).collect();
        let odd: String = hex.chars().skip(1).collect();
        let mixed = "+".to_owned() + &"-".repeat(41) + "A";
        for text in ["", "abc", &odd, &format!("{odd}g"), &format!("{hex}0"), &short, &mixed, &"é".repeat(32)] {
            assert!(Hash::parse(text).is_none(), "{text}");
        }
    }

    fn base64(hash: &Hash) -> String {
        use ::base64::Engine;
        ::base64::engine::general_purpose::STANDARD.encode(hash.as_bytes())
    }

    fn url_safe(hash: &Hash) -> String {
        base64(hash).replace('+', "-").replace('/', "_")
    }

    #[test]
    fn a_secret_shows_its_prefix_and_four_characters() {
        let secret = Plaintext::generate(Some("sk_live"), 16).unwrap();
        let start = secret.start(Some("sk_live"));
        assert_eq!(start.len(), "sk_live_".len() + 4);
        assert!(secret.reveal().starts_with(&start));
        assert!(secret.reveal().ends_with(&secret.last_characters()));
        assert!((29..=30).contains(&secret.reveal().len()), "16 bytes are 21 or 22 characters of base58");
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        let secret = Plaintext::generate(None, 255).unwrap();
        assert!(!format!("{secret:?} {:?}", secret.hash()).contains(secret.reveal()));
    }

    #[test]
    fn a_hash_is_the_sha_256_of_the_whole_secret() {
        let hex: String = Plaintext::new("abc").hash().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
