//! Whatever ends the process that started a control plane, no process and no folder stays.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testbed::wait;

/// Supervisors give 3 s to end in order; the janitor waits 10 s at most.
const LIMIT: Duration = Duration::from_secs(20);

/// A process with a control plane, and what it said about it.
struct Owner {
    process: Child,
    pids: Vec<u32>,
    folders: Vec<PathBuf>,
}

impl Owner {
    /// Standard input stays open: its end would end the process.
    fn start() -> Owner {
        let mut process = Command::new(env!("CARGO_BIN_EXE_control-plane"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut pids, mut folders) = (Vec::new(), Vec::new());
        for line in BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok) {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["pid", pid, _] => pids.push(pid.parse().unwrap()),
                ["folder", folder] => folders.push(PathBuf::from(folder)),
                ["kubeconfig", _] => break,
                _ => panic!("unexpected line: {line}"),
            }
        }
        assert_eq!(
            (pids.len(), folders.len()),
            (5, 2),
            "five programs, a folder on disk and one in memory"
        );
        let owner = Owner { process, pids, folders };
        assert_eq!(owner.leftovers().len(), 5 + 2 + owner.supervisors().len());
        assert!(!owner.supervisors().is_empty());
        owner
    }

    /// Programs, folders, supervisors and janitor that are still there.
    fn leftovers(&self) -> Vec<String> {
        let programs = self.pids.iter().filter(|pid| is_alive(**pid)).map(|pid| format!("pid {pid}"));
        let folders = self
            .folders
            .iter()
            .filter(|folder| folder.exists())
            .map(|folder| folder.display().to_string());
        programs.chain(folders).chain(self.supervisors()).collect()
    }

    fn supervisors(&self) -> Vec<String> {
        let listed = Command::new("ps").args(["-eo", "stat=,args="]).output().unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let concerns_us = |line: &&str| self.folders.iter().any(|folder| line.contains(&*folder.to_string_lossy()));
        let shells = |line: &&str| line.split_whitespace().nth(1) == Some("sh");
        listed
            .lines()
            .filter(|line| !line.starts_with('Z'))
            .filter(shells)
            .filter(concerns_us)
            .map(str::to_owned)
            .collect()
    }

    async fn await_nothing_left(&self) {
        let look = || async {
            let leftovers = self.leftovers();
            if leftovers.is_empty() { Ok(()) } else { Err(leftovers.join("\n")) }
        };
        wait::until("clean machine", LIMIT, look).await;
    }
}

/// A zombie that nobody waits for is not alive: in a container it may stay as long as the container.
fn is_alive(pid: u32) -> bool {
    let listed = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8_lossy(&listed.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

#[tokio::test]
async fn nothing_is_left_when_the_owner_is_killed_hard() {
    let mut owner = Owner::start();
    owner.process.kill().unwrap();
    owner.process.wait().unwrap();
    owner.await_nothing_left().await;
}

#[tokio::test]
async fn nothing_is_left_when_the_owner_ends_in_order() {
    let mut owner = Owner::start();
    drop(owner.process.stdin.take());
    assert!(owner.process.wait().unwrap().success());
    assert_eq!(
        owner.leftovers(),
        Vec::<String>::new(),
        "all of it is gone before the owner itself ends"
    );
}

#[tokio::test]
async fn nothing_is_left_after_an_interrupt_from_the_keyboard() {
    let mut owner = Owner::start();
    let pid = owner.process.id().to_string();
    assert!(
        Command::new("sh")
            .args(["-c", "kill -s INT \"$1\"", "sh", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert!(owner.process.wait().unwrap().success());
    assert_eq!(owner.leftovers(), Vec::<String>::new());
}
