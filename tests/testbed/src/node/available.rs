//! Whether this machine and this user can have a node, tried out rather than guessed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::cgroups::Hierarchies;
use crate::binaries;

/// Makes namespaces and the kinds of mounts that a node needs, in a folder that is gone with the namespaces.
const TRIAL: &str = r#"
mount -t tmpfs trial /run && cd /run && mkdir lower upper work merged &&
mount -t overlay trial -o lowerdir=lower,upperdir=upper,workdir=work merged &&
: >setting && mount --bind setting /proc/sys/vm/panic_on_oom
"#;

/// Places that a node hides from itself, because containerd and the kubelet have files of their own there.
const HIDDEN: [&str; 3] = ["/run", "/var/lib", "/var/log"];

/// Why no node can run here, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(String);

/// The answer does not change while a process lives.
pub(super) fn check() -> Result<(), Unavailable> {
    static ANSWER: OnceLock<Result<(), Unavailable>> = OnceLock::new();
    ANSWER
        .get_or_init(|| obstacle().map_or(Ok(()), |reason| Err(Unavailable(reason))))
        .clone()
}

fn obstacle() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("it needs Linux".to_owned());
    }
    if !Path::new("/proc/self").metadata().is_ok_and(|own| own.uid() == 0) {
        return Some("it needs root".to_owned());
    }
    hidden_folder()
        .or_else(failed_trial)
        .or_else(|| Hierarchies::find().try_out().err())
        .or_else(binaries::node_obstacle)
        .or_else(missing_programs)
}

/// Builds the programs, if they never were. That the mirror of apt cannot be reached is how the machine is; what else goes wrong
/// is an error of ours, which whoever starts a node shall see.
fn missing_programs() -> Option<String> {
    match binaries::node() {
        Err(error @ binaries::Error::Debian { .. }) => Some(error.to_string()),
        _ => None,
    }
}

fn hidden_folder() -> Option<String> {
    let folders = [Some(std::env::temp_dir()), binaries::cache_folder()];
    let mut real = folders.into_iter().flatten().map(|folder| folder.canonicalize().unwrap_or(folder));
    let hidden = real.find(|folder| HIDDEN.iter().any(|place| folder.starts_with(place)))?;
    Some(format!(
        "{} is below a folder that a node hides from itself ({})",
        hidden.display(),
        HIDDEN.join(", ")
    ))
}

fn failed_trial() -> Option<String> {
    let arguments = [
        "--mount",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child=KILL",
        "--propagation",
        "private",
    ];
    let trial = Command::new("unshare")
        .args(arguments)
        .args(["sh", "-c", TRIAL])
        .stdin(Stdio::null())
        .output();
    match trial {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().last().unwrap_or("it does not say why").to_owned();
            Some(format!("namespaces, overlayfs and bind mounts cannot be had together: {said}"))
        }
        Err(error) => Some(format!("unshare does not run: {error}")),
    }
}
