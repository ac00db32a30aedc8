//! The commands that take a commit's files into a workspace, run by the real `sh` and `tar` of this machine.
#![allow(clippy::unwrap_used, reason = "a command that cannot run is the test's failure")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use graftling::domain::stage::checkout::{MARKER, STATE, WORKSPACE, unpack_command, wait_command};
use tempfile::TempDir;

const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";

/// A container's file system, as far as the commands see it.
struct Container(TempDir);

impl Container {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("workspace")).unwrap();
        fs::create_dir(root.path().join("checkout")).unwrap();
        Self(root)
    }

    fn path(&self, path: &str) -> String {
        self.0.path().join(path.trim_start_matches('/')).display().to_string()
    }

    fn command(&self, words: &[String]) -> Command {
        let here = |word: &String| word.replace(WORKSPACE, &self.path(WORKSPACE)).replace(STATE, &self.path(STATE));
        let mut command = Command::new(&words[0]);
        command.args(words[1..].iter().map(here)).stderr(Stdio::null());
        command
    }

    /// The command that takes in a stream of so many bytes.
    fn unpacking(&self, bytes: usize) -> Child {
        self.command(&unpack_command(REVISION, bytes))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Whether the command that gets this stream says that it has everything, although nobody closes its input.
    fn unpack(&self, stream: &[u8]) -> bool {
        let mut child = self.unpacking(stream.len());
        let mut pipe = child.stdin.take().unwrap();
        // One that has ended reads no more.
        let _ = pipe.write_all(stream);
        let ended = child.wait().unwrap();
        drop(pipe);
        ended.success()
    }

    /// Whether the command says that it has everything after the connection broke at `length`.
    fn unpack_broken(&self, stream: &[u8], length: usize) -> bool {
        let mut child = self.unpacking(stream.len());
        let _ = child.stdin.take().unwrap().write_all(&stream[..length]);
        child.wait().unwrap().success()
    }

    fn is_complete(&self) -> bool {
        Path::new(&self.path("/checkout/complete")).exists()
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.path(&format!("{WORKSPACE}/{file}"))).ok()
    }
}

/// A tar stream of these files, in this order.
fn stream(files: &[(&str, &str)]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let names = files.iter().map(|(file, _)| file);
    let output = Command::new("tar")
        .arg("-cf")
        .arg("-")
        .arg("-C")
        .arg(folder.path())
        .args(names)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[test]
fn a_whole_stream_is_unpacked_and_ends_the_wait() {
    let container = Container::new();
    let mut waiting = container.command(&wait_command()).spawn().unwrap();
    assert!(container.unpack(&stream(&[("a/b.txt", "hello"), (".env", "x"), (MARKER, REVISION)])));
    assert!(waiting.wait().unwrap().success());
    assert_eq!(
        (container.read("a/b.txt").as_deref(), container.read(".env").as_deref()),
        (Some("hello"), Some("x"))
    );
    assert_eq!(container.read(MARKER), None);
    assert!(container.unpack(b""), "asked again, it says that everything is there");
    assert_eq!(container.read("a/b.txt").as_deref(), Some("hello"));
}

#[test]
fn a_broken_stream_is_not_taken_for_a_whole_one_and_leaves_nothing_behind() {
    let container = Container::new();
    let whole = stream(&[("first", "old"), (".hidden", "old"), (MARKER, REVISION)]);
    for length in (0..whole.len()).step_by(512).take_while(|length| *length < 512 * 5) {
        assert!(!container.unpack_broken(&whole, length), "{length} bytes were enough");
        assert!(!container.is_complete());
    }
    assert!(!container.unpack(&stream(&[("first", "x"), (MARKER, "another revision")])));
    assert!(container.unpack(&stream(&[("second", "new"), (MARKER, REVISION)])));
    assert_eq!((container.read("first"), container.read(".hidden")), (None, None));
    assert_eq!(container.read("second").as_deref(), Some("new"));
}

#[test]
fn an_unpacking_that_hangs_is_ended_by_the_next_one() {
    let container = Container::new();
    let whole = stream(&[("file", "new"), (MARKER, REVISION)]);
    let mut hanging = container.unpacking(whole.len());
    let mut pipe = hanging.stdin.take().unwrap();
    pipe.write_all(&stream(&[("file", "old")])[..1024]).unwrap();
    while !Path::new(&container.path("/checkout/pids")).exists() {
        std::thread::yield_now();
    }
    assert!(container.unpack(&whole));
    assert!(!hanging.wait().unwrap().success());
    drop(pipe);
    assert_eq!(container.read("file").as_deref(), Some("new"));
}
