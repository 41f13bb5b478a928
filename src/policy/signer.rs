//! Somebody who signs as minisign does, for tests.
//!
//! The tests of the whole program sign by this very file, so that it uses nothing else of the crate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

pub(crate) struct Signer {
    id: [u8; 8],
    pair: Ed25519KeyPair,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let random = SystemRandom::new();
        let (mut id, mut seed) = ([0; 8], [0; 32]);
        random.fill(&mut id).unwrap();
        random.fill(&mut seed).unwrap();
        Self { id, pair: Ed25519KeyPair::from_seed_unchecked(&seed).unwrap() }
    }

    /// The second line of `minisign.pub`.
    pub(crate) fn public_key(&self) -> String {
        STANDARD.encode([b"Ed".as_slice(), &self.id, self.pair.public_key().as_ref()].concat())
    }

    /// What `minisign -Sm file` writes into `file.minisig`.
    pub(crate) fn sign(&self, file: &str, bytes: impl AsRef<[u8]>) -> String {
        let hash = blake2b_simd::blake2b(bytes.as_ref());
        self.sign_as(*b"ED", file, hash.as_bytes())
    }

    /// The old kind of signature, of the file itself.
    pub(crate) fn sign_unhashed(&self, file: &str, bytes: impl AsRef<[u8]>) -> String {
        self.sign_as(*b"Ed", file, bytes.as_ref())
    }

    fn sign_as(&self, algorithm: [u8; 2], file: &str, message: &[u8]) -> String {
        let comment = format!("timestamp:1700000000\tfile:{file}\thashed");
        let signature = self.pair.sign(message);
        let line = STANDARD.encode([algorithm.as_slice(), &self.id, signature.as_ref()].concat());
        let global = self.pair.sign(&[signature.as_ref(), comment.as_bytes()].concat());
        let global = STANDARD.encode(global);
        format!("untrusted comment: signature\n{line}\ntrusted comment: {comment}\n{global}\n")
    }
}
