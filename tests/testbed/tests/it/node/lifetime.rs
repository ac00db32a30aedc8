//! What is left of a node, and of the machine's settings.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use testbed::{Node, wait};

use super::LIMIT;

/// What a kubelet would set for the whole machine.
const SETTINGS: [&str; 3] = ["vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops"];

#[tokio::test]
async fn nothing_of_a_node_is_left_when_its_owner_is_killed_hard_and_the_machine_is_as_it_was() {
    if let Err(reason) = Node::available() {
        use std::io::Write;
        writeln!(std::io::stderr(), "SKIPPED: the end of a node: {reason}").unwrap();
        return;
    }
    let before = settings();
    let mut owner = Command::new(env!("CARGO_BIN_EXE_control-plane"))
        .arg("--node")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines().map_while(Result::ok);
    let lines: Vec<String> = lines.take_while(|line| !line.starts_with("kubeconfig")).collect();
    let value = |prefix: &str| lines.iter().find_map(|line| line.strip_prefix(prefix)).unwrap().to_owned();
    let folder = value("folder ");
    let pid = lines
        .iter()
        .find_map(|line| line.strip_prefix("pid ")?.strip_suffix(" node"))
        .unwrap();
    let branch = branch(pid);
    assert!(!cgroups(&branch).is_empty() && Path::new(&folder).join("kubelet.log").is_file());
    assert_eq!(settings(), before, "while it runs");

    owner.kill().unwrap();
    owner.wait().unwrap();
    let look = || async {
        let mut left = cgroups(&branch);
        left.extend(processes(&folder));
        left.extend(Path::new(&folder).exists().then(|| folder.clone()));
        left.extend(
            fs::read_to_string("/proc/mounts")
                .unwrap()
                .lines()
                .filter(|line| line.starts_with("node/"))
                .map(str::to_owned),
        );
        if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
    };
    wait::until("clean machine", LIMIT, look).await;
    assert_eq!(settings(), before);
}

fn settings() -> Vec<String> {
    let read = |name: &&str| fs::read_to_string(Path::new("/proc/sys").join(name)).unwrap();
    SETTINGS.iter().map(read).collect()
}

/// The name of the node's branches of cgroups: the last argument of its keeper is the folder of one.
fn branch(pid: &str) -> String {
    let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    let last = arguments.trim_end_matches('\0').rsplit('\0').next().unwrap();
    Path::new(last).file_name().unwrap().to_string_lossy().into_owned()
}

fn cgroups(branch: &str) -> Vec<String> {
    let roots = fs::read_dir("/sys/fs/cgroup").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let roots = roots.chain([Path::new("/sys/fs/cgroup").to_owned()]);
    let folders = roots.map(|root| root.join(branch)).filter(|folder| folder.exists());
    folders.map(|folder| folder.display().to_string()).collect()
}

fn processes(folder: &str) -> Vec<String> {
    let listed = Command::new("ps").args(["-eo", "stat=,args="]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let ours = listed.lines().filter(|line| !line.starts_with('Z') && line.contains(folder));
    ours.map(str::to_owned).collect()
}
