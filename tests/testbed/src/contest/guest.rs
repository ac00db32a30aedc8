//! Who takes part only when asked to: operators of others, which have to be built from their Go modules.

use std::str::FromStr;

use super::task::Name;
use crate::{binaries, error_chain};

/// A contender of `--with`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guest {
    /// Flux's source-controller and kustomize-controller.
    Flux,
    /// Argo CD's application controller and repo-server.
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

    /// Builds what is missing of its programs and says which contender it is, or in words, on one line, what stopped it. Blocks, the first
    /// time on a machine for many minutes.
    pub fn prepare(self) -> Result<Name, String> {
        let built = match self {
            Guest::Flux => binaries::flux().map(|_| Name::Flux),
            Guest::Argocd => binaries::argocd().map(|_| Name::Argocd),
        };
        built.map_err(|error| format!("it could not be built on this machine: {}", on_one_line(&error_chain(&error))))
    }
}

/// A text as an item of a list can hold it.
fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether `--with` names a contender.
pub fn is_asked(contender: Name, with: &[Guest]) -> bool {
    with.iter().any(|guest| guest.as_str() == contender.as_str())
}

/// Why a contender has no part in what was asked for, if it is one that `--with` has to name.
pub fn unasked(contender: Name, with: &[Guest]) -> Option<String> {
    let is_guest = Name::GUESTS.contains(&contender);
    (is_guest && !is_asked(contender, with)).then(|| format!("it takes part only when it is asked to, by `--with {contender}`"))
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

    #[test]
    fn a_guest_takes_part_when_it_is_asked_to_and_everybody_else_always() {
        for guest in Name::GUESTS {
            assert!(!Name::ALL.contains(&guest));
            assert!(unasked(guest, &[]).is_some_and(|reason| reason.contains(&format!("--with {guest}"))));
            assert_eq!(unasked(guest, &Guest::ALL), None);
        }
        assert!(Name::ALL.iter().all(|name| unasked(*name, &[]).is_none()));
    }

    #[test]
    fn what_go_said_fits_into_an_item_of_a_list() {
        assert_eq!(
            on_one_line("it said:\n{\n\t\"Error\": \"403\"\n}\n"),
            "it said: { \"Error\": \"403\" }"
        );
    }
}
