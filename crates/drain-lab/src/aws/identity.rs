//! Identity tokens: what AWS signs for a role that asks STS who it is (*IAM User Guide*, "Outbound identity federation").
//!
//! The signature is RSA (RS256), as Nomad's auth methods expect it by default. The key is made for one lab, of numbers that
//! are likely primes; it is good enough for what a test believes, and for nothing else.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use num_bigint::BigUint;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Bits of each of the two primes.
const BITS: u64 = 1024;

/// Candidates that a small prime divides are not tried.
const SMALL_PRIMES: [u32; 24] =
    [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97];

/// What comes before a SHA-256 digest that is signed (RFC 8017, section 9.2, note 1).
const DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

/// `rsaEncryption` without parameters (RFC 3279, section 2.3.1).
const RSA_ENCRYPTION: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// Who vouches for an account's roles. Cloning it gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct IdentityProvider {
    issuer: String,
    key: Arc<SigningKey>,
}

impl IdentityProvider {
    pub(super) fn new() -> Self {
        let issuer = format!("https://{:032x}.tokens.sts.global.api.aws", fastrand::u128(..));
        Self { issuer, key: Arc::new(SigningKey::generate()) }
    }

    /// What it calls itself: `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The public key in PEM, as `JWTValidationPubKeys` of an auth method takes it.
    pub fn public_key_pem(&self) -> String {
        self.key.public_pem()
    }

    /// A JWT that says who a role is: AWS's claims.
    pub fn token(&self, role_arn: &str, audience: &[&str], now: Timestamp, lasts: SignedDuration) -> String {
        let issued = now.as_second();
        self.key.sign(&json!({
            "iss": self.issuer, "sub": role_arn, "aud": audience, "iat": issued,
            "exp": issued.saturating_add(lasts.as_secs()), "jti": format!("{:032x}", fastrand::u128(..)),
            "https://sts.amazonaws.com/": {"source_region": "us-east-1"},
        }))
    }

    /// Whose a JWT for this audience is, if it is genuine and has not ended.
    pub(crate) fn subject(&self, jwt: &str, audience: &str, now: Timestamp) -> Option<String> {
        let claims = self.key.verified(jwt)?;
        let is_for_us = claims["aud"].as_array()?.iter().any(|one| one == audience);
        let is_current = claims["iss"] == self.issuer && claims["exp"].as_i64()? > now.as_second();
        claims["sub"].as_str().filter(|_| is_for_us && is_current).map(str::to_owned)
    }
}

/// The key with which an account's identity tokens are signed.
struct SigningKey {
    modulus: BigUint,
    public: BigUint,
    private: BigUint,
}

impl SigningKey {
    fn generate() -> Self {
        let public = BigUint::from(65_537_u32);
        let one = BigUint::from(1_u32);
        loop {
            let (p, q) = (likely_prime(), likely_prime());
            let order = (&p - &one) * (&q - &one);
            if let Some(private) = public.modinv(&order).filter(|_| p != q) {
                return Self { modulus: p * q, public, private };
            }
        }
    }

    fn public_pem(&self) -> String {
        let key = sequence(&[integer(&self.modulus), integer(&self.public)].concat());
        let bits = tagged(0x03, &[vec![0], key].concat());
        let info = sequence(&[RSA_ENCRYPTION.to_vec(), bits].concat());
        let text = STANDARD.encode(info);
        let lines: Vec<&str> =
            (0..text.len()).step_by(64).filter_map(|at| text.get(at..(at + 64).min(text.len()))).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// A signed JWT with these claims.
    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": "lab"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self.padded(signed.as_bytes()).modpow(&self.private, &self.modulus).to_bytes_be();
        let leading = vec![0; self.length().saturating_sub(signature.len())];
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode([leading, signature].concat()))
    }

    /// The claims of a JWT that we signed.
    fn verified(&self, jwt: &str) -> Option<Value> {
        let (signed, signature) = jwt.rsplit_once('.')?;
        let signature = BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(signature).ok()?);
        let is_ours = signature.modpow(&self.public, &self.modulus) == self.padded(signed.as_bytes());
        let claims = signed.split_once('.')?.1;
        is_ours.then(|| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok())?
    }

    /// What is signed of a text: its digest, padded to the length of the modulus (RFC 8017, section 9.2).
    fn padded(&self, text: &[u8]) -> BigUint {
        let digest = Sha256::digest(text);
        let padding = vec![0xff; self.length().saturating_sub(DIGEST_INFO.len() + digest.len() + 3)];
        let padded = [&[0, 1], padding.as_slice(), &[0], &DIGEST_INFO, digest.as_slice()].concat();
        BigUint::from_bytes_be(&padded)
    }

    fn length(&self) -> usize {
        usize::try_from(self.modulus.bits().div_ceil(8)).unwrap_or_default()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

fn likely_prime() -> BigUint {
    let one = BigUint::from(1_u32);
    loop {
        let mut candidate = BigUint::from_bytes_be(&random_bytes());
        // Of full length, so that a product of two is too; and odd.
        candidate.set_bit(BITS - 1, true);
        candidate.set_bit(BITS - 2, true);
        candidate.set_bit(0, true);
        let divided = SMALL_PRIMES.iter().any(|prime| (&candidate % prime) == BigUint::ZERO);
        // Of a random number this size that passes Fermat's test practically all are prime.
        let fermat = |base: u32| BigUint::from(base).modpow(&(&candidate - &one), &candidate) == one;
        if !divided && fermat(2) && fermat(3) {
            return candidate;
        }
    }
}

fn random_bytes() -> Vec<u8> {
    (0..BITS / 8).map(|_| fastrand::u8(..)).collect()
}

/// DER of a positive number.
fn integer(number: &BigUint) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    let sign = if bytes.first().is_some_and(|first| *first >= 0x80) { vec![0] } else { Vec::new() };
    tagged(0x02, &[sign, bytes].concat())
}

fn sequence(content: &[u8]) -> Vec<u8> {
    tagged(0x30, content)
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut der = vec![tag];
    match (length.as_slice(), u8::try_from(length.len())) {
        ([short], _) if *short < 0x80 => der.push(*short),
        (_, Ok(count)) => {
            der.push(0x80 | count);
            der.extend(length);
        }
        (_, Err(_)) => {}
    }
    der.extend(content);
    der
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jwt_is_believed_by_those_whom_it_is_for_until_it_ends() {
        let provider = IdentityProvider::new();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let jwt = provider.token("arn:role", &["nomad", "other"], now, SignedDuration::from_mins(5));
        assert_eq!(provider.subject(&jwt, "nomad", now).as_deref(), Some("arn:role"));
        assert_eq!(provider.subject(&jwt, "nobody", now), None);
        assert_eq!(provider.subject(&jwt, "nomad", now + SignedDuration::from_mins(5)), None);
        assert_eq!(IdentityProvider::new().subject(&jwt, "nomad", now), None, "another key");
        let forged = jwt.replacen('.', "x.", 1);
        assert_eq!(provider.subject(&forged, "nomad", now), None);
        assert!(
            provider
                .public_key_pem()
                .starts_with("-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A")
        );
    }
}
