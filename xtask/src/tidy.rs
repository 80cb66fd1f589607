//! Rules of this repository that no compiler checks. `cargo test` checks them too.

mod graph;
mod links;
mod named_tests;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Outcome, root};

/// A file, and what is wrong with it.
#[derive(Debug)]
struct SourceFile {
    /// From the root, with `/` between the parts.
    path: String,
    text: String,
}

/// Checks every rule; the error lists all that is broken.
pub(crate) fn run() -> Outcome {
    let mut broken = graph::broken()?;
    let files = source_files()?;
    broken.extend(files.iter().flat_map(source::broken));
    broken.extend(named_tests::broken(&files)?);
    broken.extend(links::broken()?);
    if broken.is_empty() { Ok(()) } else { Err(format!("not tidy:\n  {}", broken.join("\n  "))) }
}

/// Every Rust file of ours.
fn source_files() -> Outcome<Vec<SourceFile>> {
    let root = root();
    let mut folders: Vec<PathBuf> =
        ["benches", "crates", "fuzz", "xtask"].iter().map(|name| root.join(name)).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(read(&root, &path)?);
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// What is in `folder`; nothing if it does not exist.
fn entries(folder: &Path) -> Outcome<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

fn read(root: &Path, path: &Path) -> Outcome<SourceFile> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let path = path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
    Ok(SourceFile { path, text })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_repository_is_tidy() {
        if let Err(error) = super::run() {
            panic!("{error}");
        }
    }
}
