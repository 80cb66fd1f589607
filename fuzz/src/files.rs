//! What the other side of a file transfer says: control messages, names of files, and the path of a URL. The input is tried
//! as each of them.

use std::ffi::OsStr;
use std::path::{Component, Path};

use crate::command::name;
use crate::command::protocol::{Control, MAX_SIZE};

/// Most bytes of the text of an error, whatever the peer sent.
const LONGEST_ERROR: usize = 16 << 10;

/// Checks that what is understood is written and read again as the same; that a name which is allowed stays below the folder
/// that it is joined to, on Windows too, and cannot be that of a file which is not complete; that an error can be printed.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Control::parse(text) {
        Ok(control) => check_control(&control),
        Err(problem) => check_printable(&problem),
    }
    check_name(text);
    check_path(text);
}

fn check_control(control: &Control) {
    let written = control.to_text();
    assert_eq!(Control::parse(&written).as_ref(), Ok(control), "{written}");
    assert!(written.starts_with(&format!("{{\"type\":\"{}\"", control.kind())), "{written}");
    match control {
        Control::Put { name, .. } | Control::Get { name, .. } | Control::Entry { name, .. } => {
            check_name(name);
        }
        Control::Data { offset, size } => {
            assert!(*offset < MAX_SIZE && size.is_none_or(|size| size < MAX_SIZE));
        }
        Control::End { size, .. } => assert!(*size < MAX_SIZE),
        Control::Error { message, .. } => assert!(message.len() <= written.len()),
        _ => {}
    }
}

fn check_name(name: &str) {
    if let Err(problem) = name::check(name) {
        return check_printable(&problem);
    }
    assert!(!name.chars().any(char::is_control));
    assert!(Path::new(name).components().all(|component| matches!(component, Component::Normal(_))));
    assert!(Path::new("folder").join(name).starts_with("folder"));
    // As Windows has it, where a colon behind one letter is a drive.
    assert!(
        !name.contains('\\')
            && name.split('/').all(
                |part| part.as_bytes().get(1) != Some(&b':') || !part.as_bytes()[0].is_ascii_alphabetic()
            )
    );
    // Nothing is hidden, and nothing that was cut off by a system becomes another name.
    for part in name.split('/') {
        assert!(!part.starts_with('.') && !part.ends_with(['.', ' ']) && !part.is_empty(), "{name:?}");
        assert!(!is_device(part), "{name:?}");
    }
    let (folder, last) = name::split(name);
    assert_eq!(folder.map_or(last.to_owned(), |folder| format!("{folder}/{last}")), name);
    let partial = name::partial(OsStr::new(last));
    assert!(partial.len() <= 255 && !last.contains('/'));
    assert!(name::check(&partial.to_string_lossy()).is_err(), "a peer can name it");
}

/// By the list of Microsoft's page on naming files: these names, with any extension.
fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_lowercase();
    let numbers = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³"];
    ["con", "prn", "aux", "nul", "conin$", "conout$"].contains(&stem.as_str())
        || numbers.iter().any(|number| stem == format!("com{number}") || stem == format!("lpt{number}"))
}

/// Of a request that was read, or of the command line.
fn check_path(text: &str) {
    let path = name::path_of_url(text);
    assert!(path.starts_with('/') && !path.contains(['?', '#']), "{path:?}");
    for path in [path, text] {
        match name::of_path(path) {
            Ok((folder, last)) => assert!(folder.len() + last.len() <= path.len()),
            Err(problem) => check_printable(&problem),
        }
    }
    // What is escaped is one part, and its slashes are found when the name is checked.
    if name::check(text).is_ok() {
        let escaped: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        assert_eq!(name::of_path(&format!("/{escaped}")), Ok((String::new(), text.to_owned())));
    }
}

fn check_printable(problem: &str) {
    assert!(problem.len() < LONGEST_ERROR && !problem.chars().any(char::is_control), "{problem:?}");
}
