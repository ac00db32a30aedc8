//! Runs a control plane until its standard input ends or Ctrl-C, and says how to reach it.
//!
//! With `--node` there is a real node beside it, on which pods really run. `KUBECONFIG=$(…)` of the printed file lets kubectl look around.

use std::process::ExitCode;
use std::time::Instant;

use testbed::{ControlPlane, Node};
use tokio::io::AsyncReadExt;

#[tokio::main]
async fn main() -> ExitCode {
    let started = Instant::now();
    let control_plane = match ControlPlane::start().await {
        Ok(control_plane) => control_plane,
        Err(error) => {
            eprintln!("error: {}", testbed::error_chain(&error));
            return ExitCode::FAILURE;
        }
    };
    eprintln!("ready after {:.2} s", started.elapsed().as_secs_f64());
    let node = match node(&control_plane).await {
        Ok(node) => node,
        Err(error) => {
            eprintln!("error: {}", testbed::error_chain(&error));
            return ExitCode::FAILURE;
        }
    };
    for (name, pid) in control_plane.pids() {
        println!("pid {pid} {name}");
    }
    println!("folder {}", control_plane.folder().display());
    println!("folder {}", control_plane.data_folder().display());
    println!("kubeconfig {}", control_plane.kubeconfig().display());
    let mut ignored = Vec::new();
    let mut input = tokio::io::stdin();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = input.read_to_end(&mut ignored) => {}
    }
    drop(node);
    drop(control_plane);
    end()
}

/// A node, if it was asked for.
async fn node(control_plane: &ControlPlane) -> Result<Option<Node>, testbed::node::Error> {
    if !std::env::args().any(|argument| argument == "--node") {
        return Ok(None);
    }
    let started = Instant::now();
    let node = Node::start(control_plane).await?;
    eprintln!("node ready after {:.2} s", started.elapsed().as_secs_f64());
    println!("pid {} node", node.pid());
    println!("folder {}", node.folder().display());
    Ok(Some(node))
}

/// The runtime would otherwise wait for a read of standard input that nobody ends.
#[expect(clippy::disallowed_methods, reason = "everything that Drop has to stop is stopped by now")]
fn end() -> ! {
    std::process::exit(0)
}
