//! What turns hints and listings into environments, and environments into what they should be.

pub mod inbox;
