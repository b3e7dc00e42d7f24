//! The master key ring: seals recoverable keys with AES-256-GCM, each bound to its key id and workspace.

use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::KeyId;
use crate::model::id::WorkspaceId;
use crate::model::secret;
use crate::model::secret::Plaintext;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead;
use std::collections::HashSet;
use std::fmt;

/// Most keys in one ring.
const MAX_KEYS: usize = 16;
/// Longest id of a master key.
const MAX_ID_LENGTH: usize = 64;

/// Master keys by id. The first one seals, all of them open.
#[derive(Default)]
pub struct MasterKeys(Vec<MasterKey>);

struct MasterKey {
    id: String,
    key: aead::LessSafeKey,
}

/// A key as it is stored: nobody opens it without the master key of that id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Which master key sealed it.
    pub master_key_id: String,
    /// 96 random bits, fresh for each sealing.
    pub nonce: Vec<u8>,
    /// Ciphertext and tag.
    pub ciphertext: Vec<u8>,
}

impl MasterKeys {
    /// Reads `id:base64[,id:base64…]`; each key is 32 bytes.
    ///
    /// # Errors
    /// A sentence that says which part is malformed, without showing it.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut ids = HashSet::new();
        let mut keys = Vec::new();
        for (index, part) in text.split(',').map(str::trim).enumerate() {
            let place = format!("entry {}", index + 1);
            let (id, encoded) = part.split_once(':').ok_or_else(|| format!("{place} is not `id:base64`"))?;
            let well_formed = (1..=MAX_ID_LENGTH).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
            if !well_formed {
                return Err(format!("{place} has a malformed id (1 to {MAX_ID_LENGTH} of letters, digits, _ and -)"));
            }
            if !ids.insert(id) {
                return Err(format!("{place} repeats the id `{id}`"));
            }
            let bytes = STANDARD.decode(encoded).map_err(|_invalid| format!("the key of `{id}` is not base64"))?;
            let key = aead::UnboundKey::new(&aead::AES_256_GCM, &bytes)
                .map_err(|_wrong_length| format!("the key of `{id}` is {} bytes long instead of 32", bytes.len()))?;
            keys.push(MasterKey { id: id.to_owned(), key: aead::LessSafeKey::new(key) });
        }
        if keys.len() > MAX_KEYS {
            return Err(format!("{} keys are given, {MAX_KEYS} are the most", keys.len()));
        }
        Ok(Self(keys))
    }

    /// One new ring entry in the form that [`Self::parse`] reads.
    ///
    /// # Errors
    /// `unexpected_error` if the operating system gives no randomness.
    pub fn generate_entry() -> Result<String> {
        let (mut id, mut key) = ([0; 6], [0; 32]);
        secret::fill(&mut id)?;
        secret::fill(&mut key)?;
        Ok(format!("mk_{}:{}", bs58::encode(id).into_string(), STANDARD.encode(key)))
    }

    /// Whether no master key is configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Id of the key that seals.
    #[must_use]
    pub fn sealing_id(&self) -> Option<&str> {
        self.0.first().map(|key| key.id.as_str())
    }

    /// All ids, the sealing one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.id.as_str())
    }

    /// Seals a plaintext under the first master key. `None` without any.
    ///
    /// # Errors
    /// `unexpected_error` if there is no randomness for the nonce.
    pub fn seal(&self, workspace: &WorkspaceId, key: &KeyId, plaintext: &Plaintext) -> Result<Option<Sealed>> {
        let Some(master) = self.0.first() else { return Ok(None) };
        let mut nonce = [0; aead::NONCE_LEN];
        secret::fill(&mut nonce)?;
        let mut sealed = plaintext.reveal().as_bytes().to_vec();
        master
            .key
            .seal_in_place_append_tag(aead::Nonce::assume_unique_for_key(nonce), bound_to(workspace, key), &mut sealed)
            .map_err(|_unspecified| Error::unexpected("sealing a recoverable key failed"))?;
        Ok(Some(Sealed { master_key_id: master.id.clone(), nonce: nonce.to_vec(), ciphertext: sealed }))
    }

    /// Opens what [`Self::seal`] made.
    ///
    /// # Errors
    /// A [`CannotOpen`] that says whether the master key is missing or the record is not authentic.
    pub fn open(
        &self,
        workspace: &WorkspaceId,
        key: &KeyId,
        sealed: &Sealed,
    ) -> std::result::Result<Plaintext, CannotOpen> {
        let master = self
            .0
            .iter()
            .find(|master| master.id == sealed.master_key_id)
            .ok_or_else(|| CannotOpen::NoMasterKey(sealed.master_key_id.clone()))?;
        let nonce =
            aead::Nonce::try_assume_unique_for_key(&sealed.nonce).map_err(|_length| CannotOpen::NotAuthentic)?;
        let mut buffer = sealed.ciphertext.clone();
        let opened = master
            .key
            .open_in_place(nonce, bound_to(workspace, key), &mut buffer)
            .map_err(|_unspecified| CannotOpen::NotAuthentic)?;
        String::from_utf8(opened.to_vec()).map(Plaintext::new).map_err(|_not_text| CannotOpen::NotAuthentic)
    }
}

/// The associated data: a sealed key that is moved to another row does not open there.
fn bound_to(workspace: &WorkspaceId, key: &KeyId) -> aead::Aad<String> {
    aead::Aad::from(format!("keyward/recoverable-key/1\n{workspace}\n{key}"))
}

/// Why a sealed key stays closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotOpen {
    /// The master key of this id is not configured.
    NoMasterKey(String),
    /// The master key of that id is another one, or the record was altered or moved.
    NotAuthentic,
}

impl fmt::Display for CannotOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMasterKey(id) => write!(f, "the master key `{id}` is not configured"),
            Self::NotAuthentic => f.write_str(
                "the master key of that id is not the one it was sealed with, or the stored record was altered",
            ),
        }
    }
}

impl std::error::Error for CannotOpen {}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::CannotOpen;
    use super::MasterKeys;
    use crate::model::id::KeyId;
    use crate::model::id::WorkspaceId;
    use crate::model::secret::Plaintext;

    fn ring(entries: usize) -> MasterKeys {
        let entries: Vec<_> = (0..entries).map(|_| MasterKeys::generate_entry().unwrap()).collect();
        MasterKeys::parse(&entries.join(",")).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_only_in_its_place() {
        let (ring, workspace, key) = (ring(2), WorkspaceId::generate(), KeyId::generate());
        let sealed = ring.seal(&workspace, &key, &Plaintext::new("sk_secret")).unwrap().unwrap();
        assert_eq!(ring.open(&workspace, &key, &sealed).unwrap().reveal(), "sk_secret");
        for (workspace, key) in [(&WorkspaceId::generate(), &key), (&workspace, &KeyId::generate())] {
            assert_eq!(ring.open(workspace, key, &sealed).unwrap_err(), CannotOpen::NotAuthentic);
        }
    }

    #[test]
    fn an_altered_record_does_not_open() {
        let (ring, workspace, key) = (ring(1), WorkspaceId::generate(), KeyId::generate());
        let sealed = ring.seal(&workspace, &key, &Plaintext::new("sk_secret")).unwrap().unwrap();
        for index in 0..sealed.ciphertext.len() {
            let mut altered = sealed.clone();
            altered.ciphertext[index] ^= 1;
            assert_eq!(ring.open(&workspace, &key, &altered).unwrap_err(), CannotOpen::NotAuthentic);
        }
    }

    #[test]
    fn a_missing_master_key_is_named() {
        let (workspace, key) = (WorkspaceId::generate(), KeyId::generate());
        let sealed = ring(1).seal(&workspace, &key, &Plaintext::new("sk_secret")).unwrap().unwrap();
        assert_eq!(
            ring(1).open(&workspace, &key, &sealed).unwrap_err(),
            CannotOpen::NoMasterKey(sealed.master_key_id.clone())
        );
        assert!(MasterKeys::default().seal(&workspace, &key, &Plaintext::new("x")).unwrap().is_none());
    }

    #[test]
    fn a_malformed_ring_is_refused_without_showing_it() {
        let short = "a:c2hvcnQ=";
        for text in ["", "nocolon", ":AAAA", "a b:AAAA", short, "a:%%%"] {
            let reason = MasterKeys::parse(text).unwrap_err();
            assert!(!reason.contains("c2hvcnQ="), "{reason}");
        }
        let entry = MasterKeys::generate_entry().unwrap();
        assert!(MasterKeys::parse(&format!("{entry},{entry}")).is_err(), "an id twice");
    }
}
