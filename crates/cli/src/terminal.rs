//! What is particular to terminals: escaping, colours, line editing, and leaving them as they were.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};
use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, ExternalPrinter};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const PROMPT: &str = "> ";
/// In front of what the peer sent, where the user types in between.
const RECEIVED: &str = "< ";
/// In front of the further lines of a message, so that none can pass for a line of ours.
const CONTINUED: &str = "  ";

const ESCAPED: Style = AnsiColor::Magenta.on_default();
const NOTE: Style = Style::new().dimmed();
const PEER: Style = AnsiColor::Cyan.on_default();
const FAILED: Style = AnsiColor::Red.on_default().bold();

/// Says on standard error what went wrong.
pub(crate) fn complain(failure: &impl fmt::Display) {
    // If standard error is gone there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "{FAILED}wsduo:{FAILED:#} {failure}");
}

/// Says on standard error, where people read it, what is good to know.
pub(crate) fn note(text: &impl fmt::Display) {
    let _ = writeln!(anstream::stderr(), "{NOTE}{text}{NOTE:#}");
}

/// Whether colours are wanted on standard error.
pub(crate) fn colours_on_stderr() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// Text chosen by the peer, for a terminal: nothing in it can move the cursor, change colours or direction.
///
/// Line ends and tabs stay what they are; further lines are indented.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\n' => write!(f, "\n{CONTINUED}")?,
                '\t' => f.write_char(c)?,
                _ if is_dangerous(c) => write!(f, "{ESCAPED}{}{ESCAPED:#}", c.escape_unicode())?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The same as [`Escaped`] on one line and without colours.
pub(crate) fn harmless_line(text: &str) -> String {
    let escape = |c: char| if is_dangerous(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// JSON that a terminal only shows: the same values, with the characters escaped that JSON itself lets through.
pub(crate) fn harmless_json(json: &str) -> String {
    let mut harmless = String::with_capacity(json.len());
    for c in json.chars() {
        if is_dangerous(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(harmless, "\\u{unit:04x}");
            }
        } else {
            harmless.push(c);
        }
    }
    harmless
}

/// Whether a terminal does anything else with this character than to show it. Joiners are not: scripts and emoji need them.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' // direction, lines
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}') // invisible
}

/// A message for a terminal, with its line end.
pub(crate) fn show(message: &wsduo::Message, between_input: bool) -> String {
    let mut shown = String::new();
    if between_input {
        let _ = write!(shown, "{PEER}{RECEIVED}{PEER:#}");
    }
    let _ = match message {
        wsduo::Message::Text(text) => writeln!(shown, "{}", Escaped(text)),
        wsduo::Message::Binary(bytes) => writeln!(shown, "{}", Bytes(bytes)),
    };
    if wants_colour() { shown } else { anstream::adapter::strip_str(&shown).to_string() }
}

/// The beginning of a binary message.
struct Bytes<'a>(&'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 32;
        write!(f, "{NOTE}binary, {} bytes{NOTE:#}", self.0.len())?;
        for byte in self.0.iter().take(SHOWN) {
            write!(f, " {byte:02x}")?;
        }
        if self.0.len() > SHOWN { f.write_str(" …") } else { Ok(()) }
    }
}

fn wants_colour() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// Prints above the line that is being edited.
#[derive(Debug)]
pub(crate) struct Printer {
    lines: mpsc::Sender<String>,
    printing: JoinHandle<()>,
}

impl Printer {
    /// Prints a line, with its line end.
    pub(crate) async fn print(&self, line: String) {
        // The terminal is gone if nobody takes it; the editor will find out too.
        let _ = self.lines.send(line).await;
    }

    /// Waits until all is printed.
    pub(crate) async fn finish(self) {
        drop(self.lines);
        let _ = self.printing.await;
    }
}

/// A line editor with history in a thread of its own: the lines it reads, one at a time, and a printer beside it.
///
/// The history is kept in memory alone: messages may hold secrets.
///
/// # Errors
/// Where the terminal cannot do it.
pub(crate) fn line_editor() -> Result<(mpsc::Receiver<String>, Printer), ReadlineError> {
    let mut editor = DefaultEditor::new()?;
    let mut printer = editor.create_external_printer()?;
    let (lines, read) = mpsc::channel(1);
    std::thread::spawn(move || {
        // The end of input and Ctrl-C both end the loop, and with it the channel.
        while let Ok(line) = editor.readline(PROMPT) {
            let _ = editor.add_history_entry(&line);
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let (sender, mut to_print) = mpsc::channel::<String>(16);
    let printing = tokio::task::spawn_blocking(move || {
        while let Some(line) = to_print.blocking_recv() {
            if printer.print(line).is_err() {
                return;
            }
        }
    });
    Ok((read, Printer { lines: sender, printing }))
}

/// The terminal as it was found, to be restored: the peer may end the session while a line is being edited.
#[derive(Debug)]
pub(crate) struct Found {
    #[cfg(unix)]
    mode: Option<rustix::termios::Termios>,
}

impl Found {
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(unix)]
            mode: rustix::termios::tcgetattr(io::stdin()).ok(),
        }
    }

    /// Leaves the terminal as it was found, without the prompt.
    pub(crate) fn restore(&self) {
        #[cfg(unix)]
        if let Some(mode) = &self.mode {
            let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Drain, mode);
        }
        // Bracketed paste off, too.
        let _ = io::stdout().write_all(b"\x1b[?2004l\r\x1b[K");
        let _ = io::stdout().flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = Escaped(text).to_string();
        assert_eq!(anstream::adapter::strip_str(&shown).to_string(), expected);
    }

    #[test]
    fn control_characters_are_escaped() {
        check("\x1b[2J\x07\r\u{9b}31m", r"\u{1b}[2J\u{7}\u{d}\u{9b}31m");
        check("\u{202e}txt.exe\u{2066}\u{feff}", r"\u{202e}txt.exe\u{2066}\u{feff}");
        check("\x7f\0", r"\u{7f}\u{0}");
    }

    #[test]
    fn json_keeps_its_values_and_loses_its_teeth() {
        let value = serde_json::json!({ "text": "\x1b[2J\u{9b}31m\u{202e}exe \u{e0041} 日本語" });
        let json = harmless_json(&value.to_string());
        assert!(!json.chars().any(is_dangerous), "{json}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
    }

    #[test]
    fn text_of_all_scripts_stays_as_it_is() {
        check("日本語 e\u{301} नमस्ते 👩\u{200d}🚀 \"\\'", "日本語 e\u{301} नमस्ते 👩\u{200d}🚀 \"\\'");
    }

    #[test]
    fn further_lines_cannot_pass_for_ours() {
        check("{\n\t1\n}\n> rm", "{\n  \t1\n  }\n  > rm");
    }

    #[test]
    fn binary_messages_are_told_by_their_beginning() {
        let shown = Bytes(&[0x1b; 33]).to_string();
        let shown = anstream::adapter::strip_str(&shown).to_string();
        assert!(shown.starts_with("binary, 33 bytes 1b 1b"), "{shown}");
        assert!(shown.ends_with("1b …"), "{shown}");
    }
}
