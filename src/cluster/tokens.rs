//! Tokens of ServiceAccounts: a witness made while the account lives, and tried once it is gone.

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec, TokenReview, TokenReviewSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use secrecy::{ExposeSecret, SecretString};

use super::Error;
use super::connection::{Deployer, within};
use super::observe::Observer;
use crate::domain::plan::teardown::identities::{Account, Review, check_witness};

/// A token that was never used. What was used is still accepted for some seconds after its account is gone, by the API server's cache.
///
/// It is in no log and no Debug output, and overwritten when it is dropped.
#[derive(Debug, Clone)]
pub struct Witness {
    token: SecretString,
    expires: Timestamp,
}

/// The shortest lifetime that Kubernetes gives, in seconds.
const LIFETIME: i64 = 600;

const NO_TOKEN: &str = "the API server's answer holds no token";

impl Observer {
    /// Makes a witness of an account that is about to go: a first token shows that tokens of the account are accepted at all, a second
    /// one is kept unused. The deployer makes them, the server has them reviewed.
    ///
    /// # Errors
    /// Why there can be none, in words for the receipt: the teardown goes on without.
    pub async fn witness(&self, deployer: &Deployer, account: &Account) -> Result<Witness, String> {
        let told = |error: Error| error.chain();
        let as_deployer = self.connection.deployer(deployer).map_err(told)?;
        let trial = request(&as_deployer, account).await.map_err(told)?.ok_or(NO_TOKEN)?;
        check_witness(account, &self.review(&trial).await.map_err(told)?)?;
        Ok(request(&as_deployer, account).await.map_err(told)?.ok_or(NO_TOKEN)?)
    }

    /// Asks the API server whether it still accepts a witness.
    ///
    /// # Errors
    /// It did not answer, or may not be asked.
    pub async fn review(&self, witness: &Witness) -> Result<Review, Error> {
        let api: Api<TokenReview> = Api::all(self.connection.controller());
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(witness.token.expose_secret().to_owned()),
                audiences: None,
            },
            ..TokenReview::default()
        };
        let reviewed = within(
            || "review a token".to_owned(),
            api.create(&PostParams::default(), &review),
            |source| Error::Write {
                what: "a TokenReview".to_owned(),
                source,
            },
        )
        .await?;
        let status = reviewed.status.unwrap_or_default();
        let user = status.user.unwrap_or_default();
        Ok(match status.authenticated {
            Some(true) => Review::Accepted {
                uid: user.uid.unwrap_or_default(),
            },
            _ => Review::Refused,
        })
    }
}

impl Witness {
    /// Whether it would be refused for its age alone.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires
    }
}

async fn request(as_deployer: &Client, account: &Account) -> Result<Option<Witness>, Error> {
    let name = &account.key.name;
    let api: Api<ServiceAccount> = Api::namespaced(as_deployer.clone(), account.key.namespace.as_deref().unwrap_or_default());
    let wish = TokenRequest {
        // Of this account alone: another one of the same name is somebody else's.
        metadata: ObjectMeta {
            uid: Some(account.uid.clone()),
            ..ObjectMeta::default()
        },
        spec: TokenRequestSpec {
            expiration_seconds: Some(LIFETIME),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let what = || format!("a token of ServiceAccount {name}");
    let answer = within(
        || format!("request {}", what()),
        api.create_token_request(name, &PostParams::default(), &wish),
        |source| Error::Write { what: what(), source },
    )
    .await?;
    Ok(answer.status.map(|status| Witness {
        token: status.token.into(),
        expires: status.expiration_timestamp.0,
    }))
}
