//! The question before something is removed, or let go.

use std::io::{BufRead, IsTerminal, Write};

/// Why it was not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// Nobody is there to be asked.
    #[error("nothing was changed: this needs a confirmation; there is no terminal to ask on, so give --yes")]
    Unattended,
    /// The answer was not yes.
    #[error("nothing was changed: not confirmed")]
    Declined,
    /// The answer could not be read.
    #[error("nothing was changed: could not read the answer")]
    ReadAnswer(#[source] std::io::Error),
}

/// Asks on the terminal, unless the answer is already given.
pub fn confirm(question: &str, confirmed: bool) -> Result<(), ConfirmError> {
    let attended = std::io::stdin().is_terminal();
    decide(confirmed, attended, || {
        let mut terminal = std::io::stderr();
        write!(terminal, "{question} [y/N] ")?;
        terminal.flush()?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        Ok(answer)
    })
}

fn decide(confirmed: bool, attended: bool, ask: impl FnOnce() -> std::io::Result<String>) -> Result<(), ConfirmError> {
    if confirmed {
        return Ok(());
    }
    if !attended {
        return Err(ConfirmError::Unattended);
    }
    let answer = ask().map_err(ConfirmError::ReadAnswer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(ConfirmError::Declined),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Result<(), ConfirmError> {
        decide(false, true, || Ok(text.to_owned()))
    }

    #[test]
    fn only_yes_is_a_yes() {
        for text in ["y\n", "Y\n", "yes\r\n", " YES "] {
            assert!(answer(text).is_ok(), "{text:?}");
        }
        for text in ["", "\n", "n\n", "no\n", "yess\n", "ja\n"] {
            assert!(matches!(answer(text), Err(ConfirmError::Declined)), "{text:?}");
        }
    }

    #[test]
    fn without_a_terminal_nothing_is_asked_and_nothing_is_confirmed() {
        let refused = decide(false, false, || panic!("asked without a terminal"));
        assert!(matches!(refused, Err(ConfirmError::Unattended)));
    }

    #[test]
    fn a_given_yes_is_not_asked_for_again() {
        assert!(decide(true, true, || panic!("asked although confirmed")).is_ok());
        assert!(decide(true, false, || panic!("asked although confirmed")).is_ok());
    }
}
