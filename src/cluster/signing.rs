//! The key that receipts are signed with: a Secret in the server's own namespace, and its public half in a ConfigMap beside it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::Mutex;

use super::Error;
use super::connection::within;
use crate::api::keys;
use crate::domain::name::{Namespace, ObjectName};
use crate::domain::outcome::FailureClass;
use crate::domain::signature::{PublicKey, private_der, private_pem};

/// Where the key is kept: the Secret and the ConfigMap have the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The namespace: the server's own.
    pub namespace: Namespace,
    /// The name of the Secret and of the ConfigMap.
    pub name: ObjectName,
}

/// Signs what it is given. Cheap to clone.
#[derive(Clone)]
pub struct Signer {
    client: Client,
    place: Option<Place>,
    known: Arc<Mutex<Option<Known>>>,
}

/// The last try to get the key, and when it was.
type Known = (Instant, Result<SigningKey, String>);

/// A key that can sign. It shows nothing of itself but its id.
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<EcdsaKeyPair>,
    public: PublicKey,
}

/// The key of the private key in the Secret.
const PRIVATE: &str = "private.pem";

/// So long a key is used before the Secret is read again: who removes the Secret gets a new key after this time at the latest.
const FRESH: Duration = Duration::from_secs(60);

/// So long after a failure the next receipt goes unsigned without a further try.
const AGAIN: Duration = Duration::from_secs(5);

/// No teardown waits longer than this for its signature.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is tried to get the key while the API server fails by chance, and how long in between.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(300);

/// Why there is no key.
struct Lack {
    /// A sentence for a receipt.
    because: String,
    /// Whether another try may well succeed.
    passes: bool,
}

impl From<Error> for Lack {
    fn from(error: Error) -> Self {
        Self {
            because: error.chain(),
            passes: error.class() == FailureClass::Transient,
        }
    }
}

impl From<String> for Lack {
    fn from(because: String) -> Self {
        Self { because, passes: false }
    }
}

// === impl Signer ===

impl Signer {
    /// Signs with the key that is kept at `place`; without a place, nothing is signed.
    pub fn new(client: Client, place: Option<Place>) -> Self {
        Self {
            client,
            place,
            known: Arc::default(),
        }
    }

    /// The key, made and published if there is none yet.
    ///
    /// # Errors
    /// Why there is none, in a sentence for a receipt. Nothing waits for a key: what cannot be signed stays unsigned.
    pub async fn key(&self) -> Result<SigningKey, String> {
        let Some(place) = &self.place else {
            return Err("the server does not know its own namespace (flag --key-namespace)".to_owned());
        };
        let mut known = self.known.lock().await;
        let is_fresh = |at: &Instant, key: &Result<_, _>| at.elapsed() < if key.is_ok() { FRESH } else { AGAIN };
        if let Some((_, key)) = known.as_ref().filter(|(at, key)| is_fresh(at, key)) {
            return key.clone();
        }
        let key = match tokio::time::timeout(PATIENCE, self.obtain(place)).await {
            Ok(key) => key,
            Err(_) => Err(format!("Secret {place} did not come within {} s", PATIENCE.as_secs())),
        };
        *known = Some((Instant::now(), key.clone()));
        key
    }

    /// A receipt is written once, so one answer that is lost shall not leave it without its signature for ever.
    async fn obtain(&self, place: &Place) -> Result<SigningKey, String> {
        for _ in 1..TRIES {
            match self.try_obtain(place).await {
                Err(lack) if lack.passes => tokio::time::sleep(PAUSE).await,
                other => return other.map_err(|lack| lack.because),
            }
        }
        self.try_obtain(place).await.map_err(|lack| lack.because)
    }

    async fn try_obtain(&self, place: &Place) -> Result<SigningKey, Lack> {
        let key = match self.read(place).await? {
            Some(key) => key,
            None => self.create(place).await?,
        };
        self.publish(place, &key.public).await?;
        Ok(key)
    }

    async fn read(&self, place: &Place) -> Result<Option<SigningKey>, Lack> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), place.namespace.as_str());
        let secret = within(
            || format!("read Secret {place}"),
            api.get_opt(place.name.as_str()),
            |source| Error::Read {
                what: format!("Secret {place}"),
                source,
            },
        );
        let Some(secret) = secret.await? else {
            return Ok(None);
        };
        let unusable = || format!("Secret {place} holds no key under {PRIVATE}: remove it, and the server makes a new one");
        let data = secret.data.unwrap_or_default();
        let text = data.get(PRIVATE).and_then(|bytes| std::str::from_utf8(&bytes.0).ok());
        let der = text.and_then(|text| private_der(text).ok()).ok_or_else(unusable)?;
        Ok(Some(SigningKey::from_pkcs8(&der).ok_or_else(unusable)?))
    }

    /// Create-only: of two replicas that do this at once, one is refused and reads the other's.
    async fn create(&self, place: &Place) -> Result<SigningKey, Lack> {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        let document = made.map_err(|_| "no key could be made".to_owned())?;
        let api: Api<Secret> = Api::namespaced(self.client.clone(), place.namespace.as_str());
        let body = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "immutable": true,
            "metadata": {
                "name": place.name.as_str(),
                "resourceVersion": "1",
                "labels": { "app.kubernetes.io/managed-by": "graftling" },
            },
            "data": { PRIVATE: BASE64.encode(private_pem(document.as_ref())) },
        });
        let params = PatchParams::apply(keys::FIELD_MANAGER).force();
        let patch = Patch::Apply(&body);
        let written = within(
            || format!("write Secret {place}"),
            api.patch(place.name.as_str(), &params, &patch),
            |source| Error::Write {
                what: format!("Secret {place}"),
                source,
            },
        );
        match written.await {
            Ok(_) => tracing::info!(secret = %place, "made a key for receipts"),
            Err(error) if super::publish::is_conflict(&error) => {}
            Err(error) => return Err(error.into()),
        }
        let read = self.read(place).await?;
        Ok(read.ok_or_else(|| format!("Secret {place} went as it was read"))?)
    }

    /// Adds the public key to those that are published. Each is applied by a field manager of its own, so that none takes another away:
    /// what an older key has signed can be checked as long as the ConfigMap is there.
    async fn publish(&self, place: &Place, key: &PublicKey) -> Result<(), Error> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), place.namespace.as_str());
        let id = key.id();
        let body = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": place.name.as_str(),
                "labels": { "app.kubernetes.io/managed-by": "graftling" },
            },
            "data": { format!("{id}.pem"): key.pem() },
        });
        let params = PatchParams::apply(&format!("{}-key-{id}", keys::FIELD_MANAGER)).force();
        within(
            || format!("write ConfigMap {place}"),
            api.patch(place.name.as_str(), &params, &Patch::Apply(&body)),
            |source| Error::Write {
                what: format!("ConfigMap {place}"),
                source,
            },
        )
        .await
        .map(drop)
    }
}

// === impl SigningKey ===

impl SigningKey {
    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der).ok()?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
        Some(Self {
            public: PublicKey::from_der(public.as_ref()),
            pair: Arc::new(pair),
        })
    }

    /// The id of its public half.
    pub fn id(&self) -> String {
        self.public.id()
    }

    /// The signature over these bytes, in base64; `None` if the machine has no randomness.
    pub fn sign(&self, bytes: &[u8]) -> Option<String> {
        let signature = self.pair.sign(&SystemRandom::new(), bytes).ok()?;
        Some(BASE64.encode(signature.as_ref()))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step is the test's failure")]

    use super::*;

    #[test]
    fn what_a_key_signs_its_public_half_verifies_and_no_other() {
        let make = || {
            let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).unwrap();
            let pem = private_pem(document.as_ref());
            SigningKey::from_pkcs8(&private_der(&pem).unwrap()).unwrap()
        };
        let (ours, other) = (make(), make());
        let signature = ours.sign(b"left: []").unwrap();
        assert!(ours.public.verifies(b"left: []", &signature));
        assert!(!other.public.verifies(b"left: []", &signature));
        assert_ne!(ours.id(), other.id());
    }
}
