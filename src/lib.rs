//! A preview environment for every Git branch.
