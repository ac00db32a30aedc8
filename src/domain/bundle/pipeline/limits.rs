//! How long stages may take, if the pipeline does not say.

use std::time::Duration;

use super::Action;

impl Action {
    /// How long one try of a stage of this kind may take where nothing is said. `None`: there is no limit, as for objects that may heal at
    /// any time, and where a person is asked, who has as long as `expiresAfter` says.
    pub fn usual_timeout(&self) -> Option<Duration> {
        const MINUTE: u64 = 60;
        let seconds = match self {
            Self::Apply(_) | Self::Approve(_) => return None,
            Self::Webhook(_) => MINUTE,
            Self::Check(_) => 5 * MINUTE,
            Self::Job(_) => 15 * MINUTE,
            Self::Steps(_) | Self::Resource(_) | Self::Wait(_) => 30 * MINUTE,
        };
        Some(Duration::from_secs(seconds))
    }
}
