//! A real Kubernetes control plane and real Git repositories.

pub mod github;
