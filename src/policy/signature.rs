//! Who vouches for a policy: minisign signatures of its files, held against the keys of the site's configuration.
//!
//! Module and sidecar are signed each by itself. What minisign writes into the signed comment names the file, so that a
//! signed policy cannot take another's place; and where signatures are demanded there has to be a sidecar, if an empty
//! one, so that taking it away is no way to take settings away.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::folder::{Contents, name_of};

/// Whom a site trusts to sign policies: the key that `minisign -G` writes into `minisign.pub`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey {
    text: String,
    key: minisign_verify::PublicKey,
}

/// What lies beside a policy's files to vouch for them, as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Signatures {
    #[serde(default)]
    pub(super) module: Option<String>,
    #[serde(default)]
    pub(super) sidecar: Option<String>,
}

/// How a policy's files are signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Whether the site takes the policy in without.
    pub demanded: bool,
    /// By which keys, if there is no fault.
    pub by: BTreeSet<String>,
    /// What is wrong with the signatures, or that there are none, and what to do.
    pub fault: Option<String>,
}

impl Signed {
    /// Returns the names of the keys.
    pub fn names(&self) -> Option<String> {
        let names: Vec<&str> = self.by.iter().map(String::as_str).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}

impl PublicKey {
    /// Returns the key's number, as minisign shows it.
    pub fn id(&self) -> String {
        key_id(&self.text).unwrap_or_default()
    }
}

impl TryFrom<String> for PublicKey {
    type Error = String;

    /// Takes the key's line, or all of `minisign.pub`.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        match minisign_verify::PublicKey::from_base64(line) {
            Ok(key) => Ok(Self { text: line.to_owned(), key }),
            Err(_) => {
                Err(format!("{line:?} is no minisign public key: write the line of minisign.pub that begins with RW"))
            }
        }
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.text
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

/// Holds the signatures beside a policy's files against the keys.
pub(super) fn examine(
    keys: &BTreeMap<String, PublicKey>,
    demanded: bool,
    name: &str,
    stem: &str,
    contents: &Contents,
) -> Signed {
    let Contents { module, sidecar, signatures } = contents;
    let check = || {
        if keys.is_empty() {
            return Err(
                "no key is known to hold a signature against: name one in policies.keys, or with --key".to_owned()
            );
        }
        let by = signer(keys, signatures.module.as_deref(), &format!("{stem}.wasm"), name, module)?;
        let file = format!("{stem}.toml");
        match sidecar {
            Some(text) => {
                let sidecar_by = signer(keys, signatures.sidecar.as_deref(), &file, name, text.as_bytes())?;
                Ok([by, sidecar_by].into())
            }
            None if demanded => Err(format!(
                "{file} is not there, and nobody can sign that there are no settings: `touch {file}`, then \
                 `minisign -Sm {file}`"
            )),
            None => Ok([by].into()),
        }
    };
    match check() {
        Ok(by) => Signed { demanded, by, fault: None },
        Err(fault) => Signed { demanded, by: BTreeSet::new(), fault: Some(fault) },
    }
}

/// Returns which key has signed a file, or why none has.
fn signer(
    keys: &BTreeMap<String, PublicKey>,
    signature: Option<&str>,
    file: &str,
    name: &str,
    bytes: &[u8],
) -> Result<String, String> {
    let known = || {
        let keys: Vec<String> = keys.iter().map(|(name, key)| format!("{name} (key ID {})", key.id())).collect();
        keys.join(" or ")
    };
    let sign = || format!("sign it with `minisign -Sm {file}` and the secret key of {}", known());
    let text = signature.ok_or_else(|| format!("{file}.minisig is not there: {}", sign()))?;
    let read = minisign_verify::Signature::decode(text);
    let signature = read.map_err(|_| format!("{file}.minisig is no minisign signature: {}", sign()))?;
    let id = text.lines().nth(1).and_then(key_id).unwrap_or_default();
    let (by, key) = keys
        .iter()
        .find(|(_, key)| key.id() == id)
        .ok_or_else(|| format!("{file}.minisig is by key ID {id}, and trusted is {}: {}", known(), sign()))?;
    // Not the old kind of signature, of the file itself in place of its hash: whoever has one of the one kind could pass
    // it off as one of the other, for another text.
    key.key.verify(bytes, &signature, false).map_err(|error| match error {
        minisign_verify::Error::UnexpectedAlgorithm => {
            format!("{file}.minisig is of a kind that minisign wrote before 0.10: {}", sign())
        }
        _ => format!("{file} is not what {by} (key ID {id}) has signed: {}", sign()),
    })?;
    let named = signature.trusted_comment().split('\t').find_map(|field| field.strip_prefix("file:"));
    let (_, ending) = file.rsplit_once('.').unwrap_or_default();
    let stem = named.and_then(|named| named.strip_suffix(ending)?.strip_suffix('.'));
    if stem.map(name_of) == Some(name) {
        Ok(by.clone())
    } else {
        let made_for = named.map_or("no file by name".to_owned(), str::to_owned);
        Err(format!("{file}.minisig was made for {made_for}: {}, under the name {file}", sign()))
    }
}

/// Reads the number of a key out of a key's or a signature's line.
fn key_id(line: &str) -> Option<String> {
    let bytes = STANDARD.decode(line.trim()).ok()?;
    let id: [u8; 8] = bytes.get(2..10)?.try_into().ok()?;
    Some(format!("{:016X}", u64::from_le_bytes(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::signer::Signer;

    fn key(signer: &Signer) -> PublicKey {
        PublicKey::try_from(signer.public_key()).unwrap()
    }

    #[test]
    fn a_signature_vouches_for_one_file_under_one_name_by_a_known_key() {
        let (ours, theirs) = (Signer::new(), Signer::new());
        let keys = BTreeMap::from([("release".to_owned(), key(&ours))]);
        let with = |module: &[u8], sidecar: Option<&str>, signatures: [Option<String>; 2], demanded: bool| {
            let [module_signature, sidecar_signature] = signatures;
            let contents = Contents {
                module: module.to_vec(),
                sidecar: sidecar.map(str::to_owned),
                signatures: Signatures { module: module_signature, sidecar: sidecar_signature },
            };
            examine(&keys, demanded, "a", "10-a", &contents)
        };
        let good = || Some(ours.sign("10-a.wasm", b"m"));
        let good_sidecar = || Some(ours.sign("a.toml", "x = 1"));
        let fine = with(b"m", Some("x = 1"), [good(), good_sidecar()], true);
        assert_eq!((fine.names().as_deref(), fine.fault), (Some("release"), None));
        // Another place in the order is another file name, and the same policy.
        assert_eq!(with(b"m", None, [Some(ours.sign("a.wasm", b"m")), None], false).fault, None);
        let fault = |signed: Signed, part: &str| {
            let fault = signed.fault.expect(part);
            assert!(fault.contains(part) && signed.by.is_empty(), "{fault}");
        };
        fault(with(b"m", None, [good(), None], true), "`touch 10-a.toml`");
        fault(with(b"m", None, [None, None], true), "sign it with `minisign -Sm 10-a.wasm`");
        fault(with(b"m", None, [None, None], true), &format!("release (key ID {})", key(&ours).id()));
        fault(with(b"other", None, [good(), None], true), "10-a.wasm is not what release");
        fault(with(b"m", Some("x = 1"), [good(), None], true), "10-a.toml.minisig is not there");
        fault(with(b"m", Some("x = 2"), [good(), good_sidecar()], true), "10-a.toml is not what release");
        fault(with(b"m", None, [Some(theirs.sign("10-a.wasm", b"m")), None], true), &key(&theirs).id());
        fault(with(b"m", None, [Some(ours.sign("10-b.wasm", b"m")), None], true), "was made for 10-b.wasm");
        fault(with(b"m", None, [Some(ours.sign("10-a.toml", b"m")), None], true), "was made for 10-a.toml");
        fault(with(b"m", None, [Some("untrusted".to_owned()), None], true), "no minisign signature");
        fault(with(b"m", None, [Some(ours.sign_unhashed("10-a.wasm", b"m")), None], true), "before 0.10");
        let nobody = examine(
            &BTreeMap::new(),
            false,
            "a",
            "10-a",
            &Contents {
                module: b"m".to_vec(),
                sidecar: None,
                signatures: Signatures { module: good(), sidecar: None },
            },
        );
        fault(nobody, "no key is known");
        // A comment that was changed is not what was signed.
        let renamed = ours.sign("10-b.wasm", b"m").replace("10-b", "10-a");
        fault(with(b"m", None, [Some(renamed), None], true), "is not what release");
    }

    #[test]
    fn a_key_is_read_as_minisign_writes_it() {
        let line = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        let key = PublicKey::try_from(line.to_owned()).unwrap();
        assert_eq!(key.id(), "E7620F1842B4E81F");
        let file = format!("untrusted comment: minisign public key E7620F1842B4E81F\n{line}\n");
        assert_eq!(PublicKey::try_from(file).unwrap(), key);
        assert!(PublicKey::try_from("RWQ".to_owned()).unwrap_err().contains("minisign.pub"));
    }
}
