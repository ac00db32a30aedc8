//! The hidden command `render-worker`: a process that has given up everything but two pipes, and reads and renders bundles.
//!
//! It has one thread. What kills it (the end of its stack, its memory or its time) kills nothing else, and its parent starts
//! another.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::resource::{Resource, UsageWho, getrusage, rlim_t, setrlimit};

use super::protocol::{Answer, Hello, Request, SandboxLevel, Work, read_frame, read_request, write_message};
use super::{RenderLimits, confine, filter};
use crate::domain::bundle::Bundle;
use crate::domain::health;
use crate::domain::render::{Document, Rendered, read_branch_file, render};

/// The name of the command.
pub const COMMAND: &str = "render-worker";

/// Bundles that are kept compiled: so many.
const MAX_KEPT: usize = 16;
/// And so many bytes of their files.
const MAX_KEPT_BYTES: usize = 16 * 1024 * 1024;

/// The stack: a hundred times what the deepest bundle needs that is let through.
const STACK: rlim_t = 8 * 1024 * 1024;

/// The command line for a worker with these limits.
pub(super) fn arguments(limits: &RenderLimits) -> [OsString; 3] {
    let seconds = limits.cpu.as_secs().max(1);
    [COMMAND.into(), limits.memory.to_string().into(), seconds.to_string().into()]
}

/// Carries the command out with what follows its name, until its input ends. The exit code is zero then.
pub fn run(arguments: impl Iterator<Item = OsString>) -> u8 {
    match serve(arguments) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    }
}

fn serve(arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    let numbers: Vec<u64> = arguments.filter_map(|text| text.to_str()?.parse().ok()).collect();
    let [memory, seconds] = numbers[..] else {
        return Err(io::Error::other("this command is for graftling itself"));
    };
    let level = confine(memory)?;
    let hello = Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        level,
    };
    write_message(&hello, io::stdout())?;
    let mut kept = Kept::default();
    while let Some(frame) = read_frame(io::stdin().lock())? {
        grant(seconds)?;
        let answer = kept.answer(&frame)?;
        drop(frame);
        write_message(&answer, io::stdout())?;
    }
    Ok(())
}

/// Gives everything up. The kernel may know no filter; everything else must succeed.
fn confine(memory: u64) -> io::Result<SandboxLevel> {
    // What is loaded when it is first used is used now, while files can still be read.
    let _ = Bundle::parse(&[("templates/a.yaml".to_owned(), b"a: {{branch}}".to_vec())].into());
    let room = confine::address_space().saturating_add(memory);
    confine::close_descriptors();
    prctl::set_no_new_privs()?;
    confine::limit(Resource::RLIMIT_CORE, 0)?;
    confine::limit(Resource::RLIMIT_FSIZE, 0)?;
    confine::limit(Resource::RLIMIT_NOFILE, 3)?;
    confine::limit(Resource::RLIMIT_NPROC, 0)?;
    confine::limit(Resource::RLIMIT_STACK, STACK)?;
    confine::limit(Resource::RLIMIT_AS, room)?;
    Ok(match filter::allow_rendering() {
        Ok(()) => SandboxLevel::Filtered,
        Err(_) => SandboxLevel::Limited,
    })
}

/// Allows the coming request its share of processor time, above what this process has used in its life.
fn grant(seconds: u64) -> io::Result<()> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let used: Duration = [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| {
            let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
            Duration::from_micros(u64::try_from(micros).unwrap_or_default())
        })
        .sum();
    // The kernel counts whole seconds: rounding up gives up to one more.
    let (_, hard) = nix::sys::resource::getrlimit(Resource::RLIMIT_CPU)?;
    Ok(setrlimit(Resource::RLIMIT_CPU, (used.as_secs() + 1 + seconds).min(hard), hard)?)
}

/// Compiled bundles, the last used at the end.
#[derive(Default)]
struct Kept(VecDeque<(String, usize, Bundle)>);

impl Kept {
    fn answer(&mut self, frame: &[u8]) -> io::Result<Answer> {
        let (request, files) = read_request(frame)?;
        let Request { digest, files: sent, work } = request;
        let size = files.values().map(Vec::len).sum();
        let known = self.0.iter().position(|(kept, ..)| *kept == digest);
        let (size, bundle) = match known.and_then(|position| self.0.remove(position)) {
            Some((_, size, bundle)) => (size, bundle),
            None if sent.is_none() => return Ok(Answer::Unknown),
            None => match Bundle::parse(&files) {
                Ok(bundle) => (size, bundle),
                Err(problems) => return Ok(Answer::Problems(problems)),
            },
        };
        drop(files);
        let answer = match work {
            Work::Check => Answer::Summary(bundle.summary()),
            Work::Render(context) => match render(&bundle, &context) {
                Ok(rendered) => Answer::Rendered(rendered),
                Err(errors) => Answer::Errors(errors),
            },
            Work::Read(release, output) => match release.documents(&output) {
                Ok(documents) => Answer::Rendered(Rendered {
                    documents: judged(&bundle, documents),
                    release: None,
                    pipeline: None,
                }),
                Err(errors) => Answer::Errors(errors),
            },
            Work::BranchFile(bytes, allowed) => Answer::BranchFile(read_branch_file(&bytes, &allowed)),
        };
        self.0.push_back((digest, size, bundle));
        while self.0.len() > MAX_KEPT || self.0.iter().map(|(_, size, _)| size).sum::<usize>() > MAX_KEPT_BYTES {
            self.0.pop_front();
        }
        Ok(answer)
    }
}

/// Documents with the bundle's rules for their health.
fn judged(bundle: &Bundle, mut documents: Vec<Document>) -> Vec<Document> {
    documents
        .iter_mut()
        .for_each(|document| health::mark(bundle.health(), &mut document.value));
    documents
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a request that cannot be read is the test's failure")]

    use super::super::protocol::request;
    use super::*;
    use crate::domain::bundle::BundleFiles;

    fn files(name: &str) -> BundleFiles {
        let files = [
            ("bundle.yaml".to_owned(), format!("name: {name}\nversion: \"1\"\n").into_bytes()),
            ("templates/a.yaml".to_owned(), b"a: 1\n".to_vec()),
        ];
        BundleFiles::new(files.into()).unwrap()
    }

    fn answer(kept: &mut Kept, name: &str, with_files: bool) -> Answer {
        let frame = request(&files(name), with_files, &Work::Check).unwrap();
        kept.answer(&frame[4..]).unwrap()
    }

    #[test]
    fn a_bundle_that_was_read_once_needs_no_files_until_it_is_displaced() {
        let mut kept = Kept::default();
        assert!(matches!(answer(&mut kept, "first", false), Answer::Unknown));
        assert!(matches!(answer(&mut kept, "first", true), Answer::Summary(summary) if summary.name == "first"));
        assert!(matches!(answer(&mut kept, "first", false), Answer::Summary(summary) if summary.name == "first"));
        for number in 0..MAX_KEPT {
            answer(&mut kept, &format!("other-{number}"), true);
        }
        assert!(matches!(answer(&mut kept, "first", false), Answer::Unknown));
        assert!(matches!(answer(&mut kept, "other-0", false), Answer::Summary(_)));
    }
}
