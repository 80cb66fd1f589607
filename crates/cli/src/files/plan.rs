//! What the arguments of `send`, `receive` and `serve files` mean.

use std::path::{Path, PathBuf};

use super::client::{Outgoing, To, Transfer, What};
use super::name;
use super::partial::Existing;
use super::progress::Show;
use super::receive::Asked;
use super::server::{Access, Plan};
use crate::args::{ClientArgs, ReceiveArgs, SendArgs, ServeArgs, TransferArgs};
use crate::exit::Failure;
use crate::plan;

/// # Errors
/// [`Failure::Usage`] if it does not make sense.
pub(crate) fn send(args: SendArgs) -> Result<Transfer, Failure> {
    let (folder_or_name, many) = (url_name(&args.client)?, args.files.len() > 1);
    if many && !folder_or_name.is_empty() {
        return Err(Failure::Usage(
            "to send several files, end the URL with '/': it names a folder then".into(),
        ));
    }
    let mut files = Vec::new();
    for path in &args.files {
        let path = Some(path.clone()).filter(|path| path.as_os_str() != "-");
        if let Some(path) = &path {
            let metadata = path
                .metadata()
                .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))?;
            if metadata.is_dir() {
                let text = format!("{} is a folder; name the files in it", path.display());
                return Err(Failure::Usage(text));
            }
            if args.transfer.resume && !metadata.is_file() {
                return Err(not_resumable(&path.display().to_string()));
            }
        } else if args.transfer.resume {
            return Err(not_resumable("standard input"));
        }
        let name = match (&path, folder_or_name.as_str()) {
            (_, name) if !name.is_empty() => name.to_owned(),
            (Some(path), _) => own_name(path)?,
            (None, _) => {
                let text =
                    "standard input has no name; give it one at the end of the URL, as in ws://HOST/NAME";
                return Err(Failure::Usage(text.into()));
            }
        };
        name::check(&name).map_err(Failure::Usage)?;
        files.push(Outgoing { path, name });
    }
    transfer(args.client, &args.transfer, What::Send(files))
}

/// # Errors
/// [`Failure::Usage`] if it does not make sense.
pub(crate) fn receive(args: ReceiveArgs) -> Result<Transfer, Failure> {
    let name = url_name(&args.client)?;
    let is_stdout = args.output.as_os_str() == "-";
    if is_stdout && (args.transfer.resume || args.transfer.json) {
        let text = "-o - writes the file alone, from its beginning: neither --resume nor --json fits";
        return Err(Failure::Usage(text.into()));
    }
    let is_folder = args.output.is_dir() || args.output.to_string_lossy().ends_with(std::path::is_separator);
    let what = if name.is_empty() {
        if is_stdout {
            return Err(Failure::Usage("the URL names a folder, and -o - takes one file".into()));
        }
        create(&args.output)?;
        What::ReceiveAll(args.output)
    } else if is_stdout {
        What::Receive(name, To::Stdout)
    } else if is_folder {
        create(&args.output)?;
        What::Receive(name, To::Folder(args.output))
    } else {
        What::Receive(name, To::File(args.output))
    };
    transfer(args.client, &args.transfer, what)
}

/// What files to serve, if any.
///
/// # Errors
/// [`Failure::Usage`] if it does not make sense.
pub(crate) fn serve(args: &ServeArgs) -> Result<Plan, Failure> {
    let Some(folder) = args.dir.clone() else {
        return Err(Failure::Usage("serve files needs --dir DIR, the folder to serve".into()));
    };
    let access = match (args.write, args.write_only) {
        (true, _) => Access::ReadAndWrite,
        (_, true) => Access::WriteOnly,
        _ => Access::ReadOnly,
    };
    if access == Access::ReadOnly && args.overwrite {
        return Err(Failure::Usage("--overwrite needs --write or --write-only".into()));
    }
    Ok(Plan { folder, access, overwrite: args.overwrite, max_size: args.max_size })
}

fn transfer(client: ClientArgs, args: &TransferArgs, what: What) -> Result<Transfer, Failure> {
    let existing = if args.overwrite { Existing::Replace } else { Existing::Keep };
    let show = match (args.json, args.quiet) {
        (true, _) => Show::Json,
        (_, true) => Show::Nothing,
        _ => Show::People,
    };
    Ok(Transfer {
        control: plan::client_control(&client)?,
        url: client.url,
        what,
        asked: Asked { resume: args.resume, existing },
        show,
    })
}

/// What is behind the last `/` of the URL.
fn url_name(client: &ClientArgs) -> Result<String, Failure> {
    let (_, name) = name::of_path(name::path_of_url(&client.url)).map_err(Failure::Usage)?;
    if !name.is_empty() {
        name::check(&name).map_err(Failure::Usage)?;
    }
    Ok(name)
}

fn own_name(path: &Path) -> Result<String, Failure> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| {
        Failure::Usage(format!("{} has no name in UTF-8; give it one in the URL", path.display()))
    })
}

fn create(folder: &PathBuf) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::System(format!("cannot make the folder {}", folder.display()), error))
}

fn not_resumable(what: &str) -> Failure {
    Failure::Usage(format!("--resume needs files that can be read twice: {what} cannot"))
}
