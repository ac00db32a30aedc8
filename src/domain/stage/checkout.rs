//! How the files of a commit get into the workspace of a `steps` stage.
//!
//! No Git credential and no way to a Git host ever enters an environment: the server brings the files. The pod's first container,
//! [`CONTAINER`], only waits ([`wait_command`]). Once it runs, the server executes [`unpack_command`] in it, as the deployer through
//! `pods/exec`, and writes a tar stream to the command's standard input.
//!
//! **The stream** is a plain tar (no compression) with one entry for each file of the commit, by its path inside the repository, and
//! last of all the file [`MARKER`] whose content is the revision, without a line end. A file of that name in the repository is left out.
//! The command is told how many bytes the stream has and reads no more: who executes it through the API server cannot close its standard
//! input, and `tar` reads on after the last entry, some until the input ends.
//!
//! **Complete** is what has seen the marker. The command exits with 0 exactly then; only then does the waiting container end with 0 and
//! the first step begin. A stream that broke off leaves a command without a marker, which exits with another code or is never heard of
//! again: execute the command again and send everything from the beginning. It empties the workspace first, and ends an earlier one that
//! still unpacks. Executed once more after it was complete, it exits with 0 at once and reads nothing.

use std::time::Duration;

use super::check::{done, failed};
use crate::domain::errand::{Answer, Worth};
use crate::domain::run::Progress;

/// The name of the container that waits for the files.
pub const CONTAINER: &str = "checkout";

/// Where the files are unpacked, and where every step works.
pub const WORKSPACE: &str = "/workspace";

/// Where the waiting container keeps what it knows, outside of the workspace: a volume, so that it outlives the container.
pub const STATE: &str = "/checkout";

/// The last entry of the stream.
pub const MARKER: &str = ".graftling-checkout";

/// The image that has `sh`, `tar`, `head`, `mkfifo`, `find` and `sleep`, if the server is told no other.
pub const TOOLS_IMAGE: &str = "docker.io/library/busybox:1.37.0";

/// Waits until the files are there. A signal ends it at once: as the first process of its container it would else ignore one.
const WAIT: &str = "trap 'exit 143' TERM\nuntil [ -e /checkout/complete ]; do sleep 1 & wait $!; done\n";

/// A background process has no standard input of its own, so it gets the stream as another descriptor. A named pipe and no `|`, as a
/// shell waits for all processes of a `|`, and knows only the last one to end it.
const UNPACK: &str = r#"set -eu
if [ -e /checkout/complete ]; then exit 0; fi
if [ -s /checkout/pids ]; then kill $(cat /checkout/pids) 2>/dev/null || true; fi
rm -rf /workspace/..?* /workspace/.[!.]* /workspace/* /checkout/stream
mkfifo /checkout/stream
exec 3<&0
head -c "$2" <&3 >/checkout/stream &
pids=$!
tar -x -f /checkout/stream -C /workspace &
pid=$!
echo "$pids $pid" > /checkout/pids
wait "$pid"
[ "$(cat /workspace/.graftling-checkout)" = "$1" ]
rm /workspace/.graftling-checkout
find /workspace -mindepth 1 ! -type l -exec chmod a+rwX {} +
rm /checkout/pids /checkout/stream
echo "$1" > /checkout/complete
"#;

/// What the waiting container runs.
pub fn wait_command() -> Vec<String> {
    ["sh", "-c", WAIT].map(str::to_owned).to_vec()
}

/// What is executed in it to take in the files of `revision` from a stream of `bytes` bytes.
pub fn unpack_command(revision: &str, bytes: usize) -> Vec<String> {
    ["sh", "-c", UNPACK, "unpack", revision, &bytes.to_string()]
        .map(str::to_owned)
        .to_vec()
}

/// How often the files are sent before the try counts as failed.
const MAX_SENDS: i32 = 5;

/// What follows from an answer: the streak that is to be kept, and how bringing the files ends if it does. A streak below zero counts
/// sends in a row that went wrong; one above says that the files are there.
pub fn judge(streak: i32, answer: &Answer) -> (i32, Option<Progress>) {
    match answer.worth {
        Worth::Good => (1, Some(done(answer))),
        Worth::NotYet => (streak.min(0), None),
        Worth::Bad => {
            let streak = streak.min(0).saturating_sub(1);
            (streak, (streak <= -MAX_SENDS).then(|| failed(answer)))
        }
        Worth::Failed | Worth::Never => (streak, Some(failed(answer))),
    }
}

/// How much time is to be between an answer and the next question.
pub fn pause(streak: i32) -> Duration {
    match streak {
        // They stay there.
        1.. => Duration::from_hours(24),
        0 => Duration::from_secs(1),
        _ => Duration::from_secs(5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_sent_a_few_times_and_then_no_more() {
        let mut streak = 0;
        for send in 1..=MAX_SENDS {
            let (next, end) = judge(streak, &Answer::bad("broken pipe"));
            assert_eq!(end.is_some(), send == MAX_SENDS);
            streak = next;
        }
        assert!(matches!(judge(-2, &Answer::good("there")), (1, Some(Progress::Done { .. }))));
    }

    #[test]
    fn the_scripts_name_the_places_that_others_are_told() {
        for place in [WORKSPACE, STATE] {
            assert!(UNPACK.contains(&format!("{place}/")), "{place}");
        }
        assert!(WAIT.contains(&format!("{STATE}/complete")));
        assert!(UNPACK.contains(&format!("{WORKSPACE}/{MARKER}")));
    }
}
