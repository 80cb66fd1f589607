//! Names of files: those that the peer chose are checked, never repaired.

use std::ffi::{OsStr, OsString};

use percent_encoding::percent_decode_str;

/// Most bytes of a name.
const MAX: usize = 1024;

/// Most bytes of a part, so that the temporary name has at most the 255 that file systems allow.
const MAX_PART: usize = 255 - PARTIAL_BEGIN.len() - PARTIAL_END.len();

const PARTIAL_BEGIN: &str = ".";
const PARTIAL_END: &str = ".wsduo-part";

/// The name under which a file is kept until it is complete.
pub(crate) fn partial(name: &OsStr) -> OsString {
    let mut partial = OsString::from(PARTIAL_BEGIN);
    partial.push(name);
    partial.push(PARTIAL_END);
    partial
}

/// The folder and the last part of a name that was checked.
pub(crate) fn split(name: &str) -> (Option<&str>, &str) {
    match name.rsplit_once('/') {
        Some((folder, last)) => (Some(folder), last),
        None => (None, name),
    }
}

/// Checks the name of a file: parts with `/` between them.
///
/// # Errors
/// Says which rule of `docs/files-protocol.md` it breaks; the name is escaped in it.
pub(crate) fn check(name: &str) -> Result<(), String> {
    if name.len() > MAX {
        return Err(format!("a name has {} bytes; at most {MAX} are allowed", name.len()));
    }
    for part in name.split('/') {
        if let Some(problem) = problem(part) {
            return Err(format!("the name \"{}\" is not allowed: {problem}", name.escape_debug()));
        }
    }
    Ok(())
}

/// What is wrong with a part of a name.
fn problem(part: &str) -> Option<String> {
    if part.is_empty() {
        return Some("it is empty, or begins or ends with a '/', or has two together".into());
    }
    if part.len() > MAX_PART {
        return Some(format!("a part of it has {} bytes; at most {MAX_PART} are allowed", part.len()));
    }
    let problem = if part.starts_with('.') {
        "a part of it begins with '.'"
    } else if part.ends_with(['.', ' ']) {
        "a part of it ends in '.' or a space"
    } else if part.contains('\\') {
        "it has a backslash"
    } else if part.contains(char::is_control) {
        "it has a control character"
    } else if matches!(part.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic()) {
        "it begins with a drive"
    } else if is_device(part) {
        "it is a device on Windows"
    } else if cfg!(windows) && part.contains(['<', '>', ':', '"', '|', '?', '*']) {
        "it has a character that Windows does not allow"
    } else {
        return None;
    };
    Some(problem.into())
}

/// Whether Windows takes this part for a device, in any folder and with any extension.
fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_uppercase();
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&stem.as_str()) {
        return true;
    }
    let number = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let mut digits = number.unwrap_or_default().chars();
    matches!((digits.next(), digits.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

/// The path of a URL, taken apart: the folder, and what is behind its last `/`; both percent-decoded.
///
/// # Errors
/// If it is not UTF-8.
pub(crate) fn of_path(path: &str) -> Result<(String, String), String> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let (folder, last) = path.rsplit_once('/').unwrap_or(("", path));
    let decode = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err("the path of the URL is not UTF-8".to_owned()),
    };
    Ok((decode(folder)?, decode(last)?))
}

/// The path of a URL, or of what will be refused as one.
pub(crate) fn path_of_url(url: &str) -> &str {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = &url[..end];
    let rest = url.find("://").map_or(url, |at| &url[at + 3..]);
    rest.find('/').map_or("/", |at| &rest[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_scripts_are_allowed() {
        for name in [
            "a",
            "a.jpg",
            "photos/2026/a b.jpg",
            "日本語.txt",
            "e\u{301}",
            "x..y",
            "~",
            "-rf",
            "$(x)",
            "12:30",
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        assert_eq!(check(&"x".repeat(243)), Ok(()));
        assert_eq!(partial(OsStr::new(&"x".repeat(243))).len(), 255);
        for name in ["COM", "COM10", "CONE", "console.txt", "auxiliary", "nul1", "LPTx"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in
            ["..", "../a", "a/../b", "a/..", "/etc/passwd", "//a", "a//b", "a/", "/", "", ".", "./a", "a/./b"]
        {
            assert!(check(name).is_err(), "{name}");
        }
        for name in ["..\\a", "a\\b", "C:\\a", "C:", "c:a", "a/C:/b", "\\\\server\\share"] {
            assert!(check(name).is_err(), "{name}");
        }
    }

    #[test]
    fn hidden_files_are_refused_and_temporary_ones_with_them() {
        for name in [".bashrc", "a/.ssh/rc", ".a.wsduo-part", "..."] {
            assert!(check(name).is_err(), "{name}");
        }
    }

    #[test]
    fn names_that_a_system_reads_differently_are_refused() {
        for name in
            ["CON", "con.txt", "a/NUL", "aux.tar.gz", "com1", "LPT9.x", "COM¹", "nul .txt", "CONOUT$", "prn"]
        {
            assert!(check(name).is_err(), "{name}");
        }
        for name in ["a.", "a ", "a/b. /c"] {
            assert!(check(name).is_err(), "{name}");
        }
        for name in ["a\0", "a\nb", "\u{1b}[2J", "a\u{7f}", "\u{9b}31m"] {
            let problem = check(name).unwrap_err();
            assert!(!problem.contains(char::is_control), "{problem:?}");
        }
        assert!(check(&"x".repeat(244)).is_err());
        assert!(check(&"x/".repeat(600)).is_err());
    }

    #[test]
    fn a_path_is_a_folder_and_a_name() {
        let check = |path, folder: &str, last: &str| {
            assert_eq!(of_path(path), Ok((folder.to_owned(), last.to_owned())), "{path}");
        };
        check("/", "", "");
        check("/a.jpg", "", "a.jpg");
        check("/photos/", "photos", "");
        check("/a/b/c%20d%2fe", "a/b", "c d/e");
        check("/../a", "..", "a");
        assert!(of_path("/%ff").is_err());
    }

    #[test]
    fn the_path_of_a_url_is_found() {
        for (url, path) in [
            ("ws://h", "/"),
            ("ws://h:1/", "/"),
            ("ws://h/a/b?c/d#e/f", "/a/b"),
            ("ws://h?x/y", "/"),
            ("ws://u@h/a", "/a"),
            ("nonsense", "/"),
        ] {
            assert_eq!(path_of_url(url), path, "{url}");
        }
    }
}
