//! Properties of the roster.
