//! What to do about an environment that stands where it stands, by the reason in its status.

/// The next step for the reason of a status, in the imperative; nothing where the message itself says what to do or there is nothing.
///
/// Reasons that are classes of [`super::Class`] bring their own step with them.
pub fn next_step(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "InvalidBundle" => "correct the file and line in the bundle and push again; graftling bundle lint shows every problem",
        "InvalidBranchFile" => "correct .graftling.yaml in the branch and push again",
        "InvalidProject" => "have the platform team correct the field of the Project",
        "ProjectNotFound" => "have the platform team create the Project anew, or remove the environment with graftling env delete",
        "BundleUnavailable" => "wait: it is tried again by itself; if it stays, check the bundle's source in the Project",
        "HostTaken" => "choose another host in the template, or remove the environment that has it",
        "PortTaken" | "AddressTaken" | "VolumeTaken" => "choose another one in the template, or remove what has it",
        "ClassUnknown" => "name a class that the cluster has",
        "MissingRights" => "ask the platform team to give the deployer this right, or take the object out of the bundle",
        "Rejected" => "correct the template and push again",
        "Forbidden" => "ask the platform team to give the deployer this right, or take the object out of the bundle",
        "Conflict" => "take the fields out of the bundle, or stop who else applies them",
        "DriftLoop" => "stop who changes it back, or take these fields out of the bundle",
        "UnknownKind" => "ask the platform team to install this kind, or take the object out of the bundle",
        "NotOurs" => "rename the object in the bundle, or remove the one that is there",
        "NamespaceEnding" | "ServerUnavailable" | "RightsSettling" | "Applying" | "Pruning" | "Waiting" => "wait: it goes on by itself",
        "StageRunning" | "Superseded" | "AwaitingUrl" => "wait: it goes on by itself",
        "StageFailed" => "mend what it says and push again, or try it once more with graftling env retry",
        "RolledBack" => "mend what it says and push again; what ran before runs again",
        "AwaitingApproval" => "approve or reject it: graftling env approve, graftling env reject",
        "Suspended" => "set spec.suspend to false to go on",
        "NotUnderstood" => "have the platform team look at this Environment",
        "ClusterRefuses" => "have the platform team look at the rights of the server",
        "TeardownBlocked" => "settle what is named; it goes on by itself",
        "TerminationBlocked" => "remove what holds it, or see graftling env unstick",
        "AwaitingVolumes" | "Deleting" => "wait: it goes on by itself",
        "Resting" => "push to the branch, or run graftling env restore",
        _ => return None,
    })
}

/// Whether a reason says only that something is under way: then there may be more to tell.
pub fn is_wait(reason: &str) -> bool {
    matches!(reason, "Waiting" | "ObjectFailed" | "StageFailed" | "StageRunning")
}
