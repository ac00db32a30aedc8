//! What the code under test writes to the log, caught by the thread of each test.
//!
//! One subscriber for the whole process: with one for each thread, a log statement that another thread reaches first may stay
//! switched off. It catches what runs on the test's own thread, so the test must use a current-thread runtime.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

use tracing::Level;
use tracing_subscriber::fmt;

thread_local! {
    static CAUGHT: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Catches the log of this thread from now on, as JSON lines of every level.
pub(crate) fn catch() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let subscriber = fmt().json().with_max_level(Level::TRACE).with_writer(|| Catcher).finish();
        tracing::subscriber::set_global_default(subscriber).expect("only this module sets the subscriber of the tests");
    });
    CAUGHT.set(Some(Vec::new()));
}

/// What was caught since [`catch`].
pub(crate) fn caught() -> String {
    let bytes = CAUGHT.take().expect("catch() was called on this thread");
    String::from_utf8(bytes).expect("the log is text")
}

/// Writes to the thread that logs, if it catches.
struct Catcher;

impl Write for Catcher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        CAUGHT.with_borrow_mut(|caught| {
            if let Some(caught) = caught {
                caught.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
