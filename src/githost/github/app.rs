//! Credentials of a GitHub App: tokens that live for an hour, made for one installation.

use octocrab::Octocrab;
use octocrab::jsonwebtoken::EncodingKey;
use octocrab::models::{AppId, InstallationId};
use secrecy::{ExposeSecret, SecretString};

use crate::githost::Error;

/// A GitHub App, and where it is installed.
///
/// # Guarantees
/// Its private key only signs the requests for tokens, and never leaves the process. Tokens are kept in memory until shortly before
/// they end.
#[derive(Debug, Clone)]
pub struct App {
    /// The App's number, as its settings show it.
    pub id: u64,
    /// The number of the installation, as the URL of its settings ends.
    pub installation: u64,
    /// The private key (RSA, PEM) that GitHub made for the App.
    pub private_key: SecretString,
}

impl App {
    /// A client that acts as the installation.
    pub(super) fn client(&self, build: impl FnOnce(AppId, EncodingKey) -> Result<Octocrab, Error>) -> Result<Octocrab, Error> {
        let wrong = |problem: String| Error::Misconfigured { problem };
        // The cause would repeat parts of the key.
        let key = EncodingKey::from_rsa_pem(self.private_key.expose_secret().trim().as_bytes()).map_err(|_| {
            wrong(
                "the privateKey in the GitHost's credentials is no RSA key in PEM, as GitHub makes it for an App: check the Secret"
                    .to_owned(),
            )
        })?;
        let app = build(AppId(self.id), key)?;
        app.installation(InstallationId(self.installation))
            .map_err(|error| wrong(format!("could not act as installation {}: {error}", self.installation)))
    }
}

#[cfg(test)]
mod tests;
