//! `graftling completions`.

use clap::Args;
use clap_complete::Shell;

use super::output::print;

/// For which shell.
#[derive(Debug, Args)]
#[command(after_help = "\
To load them in the running shell:
  bash   source <(graftling completions bash)
  zsh    source <(graftling completions zsh)
  fish   graftling completions fish | source")]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints the script that makes the shell complete the program of `definition`.
pub fn run(arguments: &Arguments, mut definition: clap::Command) -> anyhow::Result<()> {
    let name = definition.get_name().to_owned();
    // Written into memory first: the generator panics when its output is closed.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut definition, name, &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(())
}
