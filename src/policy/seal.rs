//! Sealing values to an operator's key: the daemon writes down what it cannot read back.
//!
//! RFC 9180 in base mode: X25519, HKDF-SHA256, ChaCha20-Poly1305. The key that opens is nowhere near the daemon.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use serde::{Deserialize, Serialize};

type Suite = X25519HkdfSha256;
type Public = <Suite as Kem>::PublicKey;
type Private = <Suite as Kem>::PrivateKey;
type Encapsulated = <Suite as Kem>::EncappedKey;

/// So that nothing that was sealed for another purpose opens here.
const PURPOSE: &[u8] = b"layshaft decision log, values, 1";

const PUBLIC: &str = "layshaft-public:";
const PRIVATE: &str = "layshaft-private:";

/// Bytes of the key that comes before what was sealed with it.
const ENCAPSULATED: usize = 32;

/// A key that values can be sealed to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(Public);

/// The key that opens them again.
pub struct PrivateKey(Private);

/// Why something could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    #[error("the sealed values were sealed to another key, or were changed since")]
    OtherKey,
    #[error("the sealed values are of a form that this version does not know")]
    Unreadable,
}

impl PublicKey {
    /// Seals values by name. What was sealed is different each time.
    pub(super) fn seal(&self, values: &BTreeMap<&str, &str>) -> Option<String> {
        let plain = serde_json::to_vec(values).ok()?;
        let sealed = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, Suite>(
            &OpModeS::Base,
            &self.0,
            PURPOSE,
            &plain,
            &[],
        );
        let (encapsulated, sealed) = sealed.ok()?;
        Some(BASE64.encode([&encapsulated.to_bytes()[..], &sealed].concat()))
    }
}

impl PrivateKey {
    /// Makes a new pair of keys.
    pub fn generate() -> (Self, PublicKey) {
        let (private, public) = Suite::gen_keypair();
        (Self(private), PublicKey(public))
    }

    /// Returns the key as it is kept in a file.
    pub fn to_text(&self) -> String {
        format!("{PRIVATE}{}", BASE64.encode(self.0.to_bytes()))
    }

    /// Reads the key in a file; lines that begin with `#` are left out.
    ///
    /// # Errors
    /// What the text is instead; never the text itself.
    pub fn read(text: &str) -> Result<Self, String> {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        let line = line.unwrap_or_default();
        if line.starts_with(PUBLIC) {
            return Err("this is the public key, which only seals; name the file that `keygen` wrote".to_owned());
        }
        let bytes = line.strip_prefix(PRIVATE).and_then(|text| BASE64.decode(text).ok());
        let key = bytes.and_then(|bytes| Private::from_bytes(&bytes).ok());
        key.map(Self).ok_or_else(|| format!("this is no private key, which is a line that begins with {PRIVATE}"))
    }

    /// Opens what was sealed to this key.
    ///
    /// # Errors
    /// Another key, or not sealed here.
    pub fn open(&self, sealed: &str) -> Result<BTreeMap<String, String>, NotOpened> {
        let bytes = BASE64.decode(sealed).map_err(|_| NotOpened::Unreadable)?;
        let (encapsulated, sealed) = bytes.split_at_checked(ENCAPSULATED).ok_or(NotOpened::Unreadable)?;
        let encapsulated = Encapsulated::from_bytes(encapsulated).map_err(|_| NotOpened::Unreadable)?;
        let plain = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, Suite>(
            &OpModeR::Base,
            &self.0,
            &encapsulated,
            PURPOSE,
            sealed,
            &[],
        );
        serde_json::from_slice(&plain.map_err(|_| NotOpened::OtherKey)?).map_err(|_| NotOpened::Unreadable)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.trim().starts_with(PRIVATE) {
            return Err(
                "this is a private key, which must not be here: write the public one that `layshaft policy keygen` \
                        printed, and make a new pair, since this one was written down in the wrong place"
                    .to_owned(),
            );
        }
        let bytes = text.trim().strip_prefix(PUBLIC).and_then(|text| BASE64.decode(text).ok());
        let key = bytes.and_then(|bytes| Public::from_bytes(&bytes).ok());
        key.map(Self).ok_or_else(|| format!("this is no public key such as `layshaft policy keygen` prints, {PUBLIC}…"))
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", BASE64.encode(self.0.to_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_private_key_opens_what_was_sealed_to_its_public_one() {
        let (private, public) = PrivateKey::generate();
        let values = BTreeMap::from([("TOKEN", "hunter2"), ("EMPTY", "")]);
        let (sealed, again) = (public.seal(&values).unwrap(), public.seal(&values).unwrap());
        assert_ne!(sealed, again);
        assert!(!sealed.contains("hunter2") && !sealed.contains(&BASE64.encode("hunter2")));
        let opened = private.open(&sealed).unwrap();
        assert_eq!(opened.iter().map(|(name, value)| (&**name, &**value)).collect::<BTreeMap<_, _>>(), values);
        let (other, _) = PrivateKey::generate();
        assert_eq!(other.open(&sealed), Err(NotOpened::OtherKey));
        let mut changed = BASE64.decode(&sealed).unwrap();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(private.open(&BASE64.encode(changed)), Err(NotOpened::OtherKey));
        for nonsense in ["", "AAAA", "not base64!"] {
            assert_eq!(private.open(nonsense), Err(NotOpened::Unreadable), "{nonsense}");
        }
    }

    #[test]
    fn keys_are_read_as_they_are_written_and_not_taken_for_each_other() {
        let (private, public) = PrivateKey::generate();
        let read = PrivateKey::read(&format!("# kept in the safe\n\n {} \n", private.to_text())).unwrap();
        assert_eq!(read.to_text(), private.to_text());
        assert_eq!(PublicKey::try_from(public.to_string()).unwrap(), public);
        let error = PublicKey::try_from(private.to_text()).unwrap_err();
        assert!(error.contains("must not be here") && !error.contains(&private.to_text()), "{error}");
        assert!(PrivateKey::read(&public.to_string()).unwrap_err().contains("public key"));
        assert!(PrivateKey::read("hunter2").unwrap_err().contains("no private key"));
        assert_eq!(format!("{private:?}"), "PrivateKey(***)");
    }
}
