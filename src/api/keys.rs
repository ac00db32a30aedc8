//! Labels, annotations, finalizers and field managers: every key that graftling writes on objects.

use crate::domain::{manifest, retention};

/// Everything that graftling applies bears this field manager; so does the ownership that a live object is compared by.
pub const FIELD_MANAGER: &str = "graftling";

/// The field manager of the status of our own custom resources.
pub const STATUS_FIELD_MANAGER: &str = "graftling-status";

/// The finalizer on an Environment: it goes when the teardown is proven complete.
pub const FINALIZER: &str = "graftling.dev/teardown";

/// Label: the environment that an object belongs to.
pub const ENVIRONMENT_LABEL: &str = manifest::ENVIRONMENT_LABEL;

/// Label: the Project that an object belongs to.
pub const PROJECT_LABEL: &str = manifest::PROJECT_LABEL;

/// Label: the namespace of that Project.
pub const PROJECT_NAMESPACE_LABEL: &str = manifest::PROJECT_NAMESPACE_LABEL;

/// Annotation: the raw branch name, which no label can hold.
pub const BRANCH_ANNOTATION: &str = "graftling.dev/branch";

/// Annotation on a namespace: the UID of the Environment that it was made for.
pub const ENVIRONMENT_UID_ANNOTATION: &str = "graftling.dev/environment-uid";

/// Annotation on a Project: releases exactly the retirements that the brake holds under this digest.
pub const RELEASE_BRAKE_ANNOTATION: &str = "graftling.dev/release-brake";

/// Annotation on a Project: a replica without the lead asks the leader to look at a branch.
pub const HINT_ANNOTATION: &str = "graftling.dev/hint";

/// Annotation on a Project: a replica without the lead asks the leader to read a comment.
pub const COMMENT_HINT_ANNOTATION: &str = "graftling.dev/comment-hint";

/// Annotation on a Project: the numbers of the comments that were acted on within the last hours, and when, so that each is once.
pub const COMMENTS_ANNOTATION: &str = "graftling.dev/comments";

/// Annotation on a Project: which commits of pull requests from forks were approved, by whom and when, as JSON.
pub const APPROVED_FORKS_ANNOTATION: &str = "graftling.dev/approved-forks";

/// Annotation on an Environment: which finalizers somebody removed by hand during its teardown, as JSON, for the receipt.
pub const FINALIZERS_REMOVED_ANNOTATION: &str = "graftling.dev/finalizers-removed";

/// Annotation: an object that bears it with the value `true` is never deleted.
pub const RETAIN_ANNOTATION: &str = retention::RETAIN_ANNOTATION;

/// Annotation on what a teardown left because of that: the UID of the Environment that it was made for.
pub const RETAINED_FROM_ANNOTATION: &str = retention::RETAINED_FROM_ANNOTATION;
/// Annotation on an Environment: why it is to be deleted, recorded just before the deletion.
pub const REMOVAL_ANNOTATION: &str = "graftling.dev/removal";

/// The field manager of that annotation alone: when it wrote is when the reason was given.
pub const REMOVAL_FIELD_MANAGER: &str = "graftling-removal";

/// Annotation on an Environment: somebody extended its life at this time, which counts as activity.
pub const EXTENDED_ANNOTATION: &str = "graftling.dev/extended-at";

/// Annotation on a receipt: when it may be removed.
pub const EXPIRES_ANNOTATION: &str = "graftling.dev/expires";

/// Label of a receipt ConfigMap.
pub const RECEIPT_LABEL: &str = "graftling.dev/receipt";

/// Annotation on an Environment that is going: the API groups, separated by commas, whose silence its receipt need not wait for.
pub const CONCLUDE_WITHOUT_ANNOTATION: &str = "graftling.dev/conclude-without";

/// Annotation on an Environment: the UID of the one namespace that somebody asks it to take over although evidence is missing.
pub const ADOPT_ANNOTATION: &str = "graftling.dev/adopt";

/// Annotation on an Environment: who asked, as the cluster calls them.
pub const ADOPT_BY_ANNOTATION: &str = "graftling.dev/adopt-by";

/// Annotation on an Environment that was made anew for a namespace whose Environment is lost: nothing is deployed until its branch is
/// seen. The next refresh of the Environment takes it away.
pub const ADOPTING_ANNOTATION: &str = "graftling.dev/adopting";

/// Label: a Secret in a Project's namespace that bears it with the value `true` may be named by stages of bundles, to sign webhooks or to
/// ask registries. Without it a bundle could have things signed with the credentials of the GitHost.
pub const FOR_STAGES_LABEL: &str = "graftling.dev/for-stages";

/// What begins the annotation that says what an audience was told of an environment; its name follows. It stands on the Environment, and
/// once that is gone on its receipt, which has it for each of [`AUDIENCES`] from the start.
pub const TOLD_ANNOTATION_PREFIX: &str = "graftling.dev/told-";

/// Who is told of environments.
pub const AUDIENCES: [&str; 1] = ["feedback"];

/// Who of a Project's notifications is told of environments, by the number that its status gives each. A receipt has the annotation of
/// those that were told something.
pub const EVENT_AUDIENCES: [&str; 4] = ["events-0", "events-1", "events-2", "events-3"];

/// Annotation of a receipt: the runs that its environment had, for those who are still to be told of them.
pub const PAST_ANNOTATION: &str = "graftling.dev/past";

/// What the annotation on a receipt says when nothing is left to tell.
pub const TOLD_ALL: &str = "done";

/// The field manager of these annotations.
pub const TOLD_FIELD_MANAGER: &str = "graftling-told";
