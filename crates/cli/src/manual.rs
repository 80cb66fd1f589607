//! The command line told to shells and to `man`, by the same definitions that read it.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Typed;
use crate::exit::Failure;

const NAME: &str = "wsduo";

/// Prints the completions for a shell.
///
/// # Errors
/// If they cannot be printed.
pub(crate) fn complete(shell: Shell) -> Result<(), Failure> {
    // Made whole first: an error of writing would be a panic there.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Typed::command(), NAME, &mut script);
    Ok(std::io::stdout().write_all(&script)?)
}

/// Prints the manual page of the command, or of one of its subcommands.
///
/// # Errors
/// [`Failure::Usage`] if there is no such subcommand, or the page cannot be printed.
pub(crate) fn man(subcommand: Option<&str>) -> Result<(), Failure> {
    let mut command = Typed::command();
    // So that the pages of subcommands say `wsduo serve`, and not `serve`.
    command.build();
    let page = match subcommand {
        None => clap_mangen::Man::new(command),
        Some(name) => {
            let found = command.get_subcommands().find(|command| command.get_name() == name);
            let Some(found) = found else {
                return Err(Failure::Usage(format!("no subcommand is called {name:?}; see wsduo --help")));
            };
            // As `man` looks for it.
            clap_mangen::Man::new(found.clone()).title(format!("{NAME}-{name}"))
        }
    };
    let mut roff = Vec::new();
    page.render(&mut roff)?;
    Ok(std::io::stdout().write_all(&roff)?)
}
