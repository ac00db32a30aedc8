//! The refs of one repository by the Git protocol (version 2, or what the server knows instead), over any transport.

use std::collections::BTreeMap;
use std::error::Error as StdError;

use gix_protocol::handshake::Ref;
use gix_protocol::handshake::refs::{from_v1_refs_received_as_part_of_handshake_and_capabilities as from_advertisement, from_v2_refs};
use gix_transport::Service;
use gix_transport::bstr::BString;
use gix_transport::client::blocking_io::{ExtendedBufRead, SetServiceResponse, Transport, TransportV2Ext};
use gix_transport::client::{Capabilities, MessageKind};

use crate::domain::git::{BranchName, Revision};

/// Which branches a repository is asked about.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    /// Every one.
    All,
    /// Those of these that there are. A server that does not understand so tells of all.
    These(Vec<BranchName>),
}

/// What a repository says about its branches.
#[derive(Debug)]
pub(super) struct Refs {
    /// The branch that HEAD points to, born or not; `None` when HEAD is detached, or when it is unborn and no branch was told.
    pub(super) default_branch: Option<BranchName>,
    /// Whether that branch exists, whether it was asked about or not.
    pub(super) is_default_branch_there: bool,
    /// The branches. Those whose names are not supported are left out: no environment can ever belong to them.
    pub(super) branches: BTreeMap<BranchName, Revision>,
}

/// Why an exchange gave no refs.
pub(super) type Cause = Box<dyn StdError + Send + Sync>;

/// Lists the refs behind `transport`. Blocks.
///
/// # Errors
/// Any cause that the transport reports, an end of the answer before its flush packet, and refs that cannot be.
pub(super) fn list(transport: &mut impl Transport, asked: &Asked) -> Result<Refs, Cause> {
    let capabilities = {
        let SetServiceResponse { capabilities, refs, .. } = transport.handshake(Service::UploadPack, &[])?;
        match refs {
            None => capabilities,
            Some(mut advertised) => {
                let (refs, _) = from_advertisement(&mut *advertised, capabilities.iter())?;
                return collect(&refs);
            }
        }
    };
    list_v2(transport, &capabilities, asked)
}

/// Lists the refs behind `transport` after its handshake. Blocks.
///
/// # Errors
/// As [`list`].
pub(super) fn list_v2(transport: &mut impl Transport, capabilities: &Capabilities, asked: &Asked) -> Result<Refs, Cause> {
    let features = features(capabilities);
    let mut answer = transport.invoke(
        "ls-refs",
        features.into_iter(),
        Some(arguments(capabilities, asked).into_iter()),
        false,
    )?;
    let refs = from_v2_refs(&mut answer)?;
    if answer.stopped_at() != Some(MessageKind::Flush) {
        return Err("the list of refs did not end with a flush packet".into());
    }
    collect(&refs)
}

/// What we say of ourselves with each command.
pub(super) fn features(capabilities: &Capabilities) -> Vec<(&'static str, Option<String>)> {
    let mut features = vec![("agent", Some(concat!("graftling/", env!("CARGO_PKG_VERSION")).to_owned()))];
    if let Some(format) = capabilities.capability("object-format").and_then(|capability| capability.value()) {
        features.push(("object-format", Some(format.to_string())));
    }
    features
}

/// A branch is asked for by its whole name, which is a prefix of other names as well: more than was asked for may come.
fn arguments(capabilities: &Capabilities, asked: &Asked) -> Vec<BString> {
    let mut arguments: Vec<BString> = vec!["symrefs".into(), "ref-prefix HEAD".into()];
    match asked {
        Asked::All => arguments.push("ref-prefix refs/heads/".into()),
        Asked::These(branches) => arguments.extend(branches.iter().map(|branch| format!("ref-prefix refs/heads/{branch}").into())),
    }
    let knows_unborn = capabilities
        .capability("ls-refs")
        .and_then(|capability| capability.supports("unborn"));
    if knows_unborn.unwrap_or_default() {
        arguments.push("unborn".into());
    }
    arguments
}

fn collect(refs: &[Ref]) -> Result<Refs, Cause> {
    let mut branches = BTreeMap::new();
    let mut head = None;
    for reference in refs {
        let (name, object, _) = reference.unpack();
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if name == "HEAD" {
            head = target(reference);
        } else if let (Some(Ok(branch)), Some(object)) = (BranchName::from_full_ref(name), object) {
            branches.insert(branch, object.to_string().parse::<Revision>()?);
        }
    }
    let is_empty = branches.is_empty() && matches!(head, Some(Target::Unborn(_)));
    let is_default_branch_there = matches!(head, Some(Target::Born(_)));
    let default_branch = match head {
        Some(Target::Born(branch) | Target::Unborn(branch)) if !is_empty => Some(branch),
        _ => None,
    };
    Ok(Refs {
        default_branch,
        is_default_branch_there,
        branches,
    })
}

enum Target {
    Born(BranchName),
    Unborn(BranchName),
}

/// The branch that a symbolic ref points to.
fn target(reference: &Ref) -> Option<Target> {
    let branch = |target: &[u8]| BranchName::from_full_ref(std::str::from_utf8(target).ok()?)?.ok();
    match reference {
        Ref::Symbolic { target, .. } => branch(target).map(Target::Born),
        Ref::Unborn { target, .. } => branch(target).map(Target::Unborn),
        Ref::Direct { .. } | Ref::Peeled { .. } => None,
    }
}
