//! At a terminal: what the peer sends cannot drive it, and it is left as it was found.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};
use wsduo::CloseCode;

use crate::connect::noise;
use crate::support::{Folder, LIMIT, Running, Server, command, peer};

/// The command on a terminal of its own.
struct Terminal {
    process: Running,
    keyboard: File,
    /// Kept open, so that its mode can be looked at afterwards.
    terminal: File,
    shown: String,
    screen: Receiver<String>,
    mode: Termios,
}

impl Terminal {
    fn start(mut command: Command, types: bool) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let terminal = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        tcsetwinsize(&terminal, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let mode = tcgetattr(&terminal).unwrap();
        command.stdout(terminal.try_clone().unwrap()).stderr(terminal.try_clone().unwrap());
        if types {
            command.stdin(terminal.try_clone().unwrap());
        } else {
            command.stdin(Stdio::null());
        }
        let process = Running(command.spawn().unwrap());
        let keyboard = File::from(keyboard);
        let mut reader = keyboard.try_clone().unwrap();
        let (tell, screen) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n) = reader.read(&mut bytes) {
                if tell.send(String::from_utf8_lossy(&bytes[..n]).into_owned()).is_err() {
                    return;
                }
            }
        });
        Self { process, keyboard, terminal, shown: String::new(), screen, mode }
    }

    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        while !self.shown.contains(text) {
            match self.screen.recv_timeout(LIMIT) {
                Ok(more) => self.shown.push_str(&more),
                Err(_) => panic!("{text:?} was expected on {:?}", self.shown),
            }
        }
    }

    fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until line editing has begun.
    fn wait_for_prompt(&mut self) {
        self.wait_for("> ");
    }
}

/// The command with these arguments.
fn with(arguments: &[&str]) -> Command {
    let mut command = command();
    command.args(arguments);
    command
}

#[test]
fn control_characters_of_the_peer_are_escaped() {
    let url = peer(async |mut socket| {
        socket.send("a\x1b[2J\x07b\u{9b}2J\u{202e}\nc é").await.unwrap();
        socket.send(&[0x1b, 0x5b]).await.unwrap();
        let _ = socket.close(CloseCode::NORMAL, "").await;
    });
    let mut command = with(&[&url]);
    command.env("NO_COLOR", "1");
    let mut terminal = Terminal::start(command, false);
    assert_eq!(terminal.process.wait(), Some(0));
    terminal.wait_for("1b 5b");
    assert!(terminal.shown.contains(r"a\u{1b}[2J\u{7}b\u{9b}2J\u{202e}"), "{:?}", terminal.shown);
    assert!(terminal.shown.contains("\n  c é"), "{:?}", terminal.shown);
    assert!(!terminal.shown.contains("\x1b[2J"), "{:?}", terminal.shown);
    assert!(!terminal.shown.contains("\x1b[3"), "NO_COLOR was asked for: {:?}", terminal.shown);
}

#[test]
fn lines_can_be_edited_and_called_back() {
    let server = Server::start(&["echo"]);
    let mut terminal = Terminal::start(with(&[&server.url]), true);
    terminal.wait_for("connected to");
    terminal.wait_for_prompt();
    // Typed, and corrected with the backspace key.
    terminal.type_in("hellp\x7fo\r");
    terminal.wait_for("< \x1b[0mhello");
    // Called back from the history, and added to.
    terminal.type_in("\x1b[A!\r");
    terminal.wait_for("< \x1b[0mhello!");
    terminal.type_in("\x04");
    assert_eq!(terminal.process.wait(), Some(0));
    terminal.wait_for("closed by this side with 1000");
}

#[test]
fn the_terminal_is_restored_when_the_peer_ends_the_session() {
    let url = peer(async |mut socket| {
        assert!(socket.receive().await.unwrap().is_some());
        let _ = socket.close(CloseCode::new(4001), "\x1b[2Jbye").await;
    });
    let mut terminal = Terminal::start(with(&[&url]), true);
    terminal.wait_for_prompt();
    terminal.type_in("end\r");
    assert_eq!(terminal.process.wait(), Some(8));
    terminal.wait_for("4001");
    assert!(!terminal.shown.contains("\x1b[2J"), "{:?}", terminal.shown);
    let mode = tcgetattr(&terminal.terminal).unwrap();
    assert!(mode.local_modes.contains(LocalModes::ECHO | LocalModes::ICANON));
    assert_eq!(mode.local_modes, terminal.mode.local_modes);
}

#[test]
fn a_transfer_shows_a_bar_and_names_cannot_drive_the_terminal() {
    let folder = Folder::new();
    let name = "a\u{202e}b.bin";
    let path = folder.write_bytes(name, noise(3_000_000));
    let served = Folder::new();
    let server = Server::start(&["files", "--write", "--dir", &served.path("")]);
    let mut terminal = Terminal::start(with(&["send", &server.url, &path]), false);
    terminal.wait_for("SHA-256");
    assert_eq!(terminal.process.wait(), Some(0));
    for part in ["2.86 MiB", "/s ETA ", r"a\u{202e}b.bin", "sent a"] {
        assert!(terminal.shown.contains(part), "{part:?} was expected on {:?}", terminal.shown);
    }
    assert!(!terminal.shown.contains('\u{202e}'), "{:?}", terminal.shown);

    let mut terminal = Terminal::start(with(&["send", "--quiet", "--overwrite", &server.url, &path]), false);
    assert_eq!(terminal.process.wait(), Some(9));
    terminal.wait_for("exists already");
    assert!(!terminal.shown.contains("ETA"), "{:?}", terminal.shown);
    assert!(!terminal.shown.contains('\u{202e}'), "{:?}", terminal.shown);
}
