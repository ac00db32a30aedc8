//! Who should take part when asked to, and what stopped them: operators of others, which had to be built from their Go modules.

use std::str::FromStr;

/// A contender of `--with`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guest {
    /// Flux's source-controller and kustomize-controller.
    Flux,
    /// Argo CD's application controller.
    Argocd,
}

impl Guest {
    /// All of them.
    pub const ALL: [Guest; 2] = [Guest::Flux, Guest::Argocd];

    /// The name as it is written in options.
    pub fn as_str(self) -> &'static str {
        match self {
            Guest::Flux => "flux",
            Guest::Argocd => "argocd",
        }
    }

    /// What stopped it.
    pub fn obstacle(self) -> &'static str {
        match self {
            Guest::Flux => {
                "its source-controller could not be built from its Go module: v1.9.6 needs github.com/fluxcd/pkg/artifact v0.18.3, which the \
                 module proxy refused (`403 Forbidden`, `This module version is not available`), as it did v0.8.1 and v0.27.1, which v1.8.5 \
                 and v1.10.1 need, source-controller v1.6.2 itself, and the list of helm-controller's versions. kustomize-controller v1.9.6 \
                 does build, with its module `api` copied to where its go.mod expects it, but has nothing to apply without the other"
            }
            Guest::Argocd => {
                "it could not be built from its Go module with the pinned Go 1.26: the go.mod of v3.5.7 replaces gitops-engine by a folder \
                 that the published module leaves out (`replacement directory ./gitops-engine does not exist`), and the version of \
                 gitops-engine that it requires was refused by the module proxy (`403 Forbidden`, `This module version is not available`). \
                 v3.6.1 needs Go 1.27, as does its engine, which the proxy has; that was not tried, nor were older releases, nor what it \
                 needs beside its application controller: a repo-server and Redis"
            }
        }
    }
}

impl FromStr for Guest {
    type Err = String;
    fn from_str(text: &str) -> Result<Guest, String> {
        let found = Guest::ALL.into_iter().find(|guest| guest.as_str() == text);
        found.ok_or_else(|| format!("nobody called {text} can be asked: {}", Guest::ALL.map(Guest::as_str).join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_are_found_by_their_names_in_options_and_others_are_not() {
        for guest in Guest::ALL {
            assert_eq!(guest.as_str().parse(), Ok(guest));
        }
        assert!("graftling".parse::<Guest>().is_err_and(|reason| reason.contains("flux, argocd")));
    }
}
