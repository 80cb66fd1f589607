//! Who takes part, and how each is started for each kind of work.

use crate::Error;
use crate::server::{Recipe, Server};
use crate::turns::Finding;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The peers in the order of the report, and what each can do beside plain echoes. The packages are those of `benches/peers`.
const PEERS: [Peer; 8] = [
    Peer { name: "tokio-tungstenite", compresses: false },
    Peer { name: "fastwebsockets", compresses: false },
    Peer { name: "tokio-websockets", compresses: false },
    Peer { name: "yawc", compresses: true },
    Peer { name: "sockudo-ws", compresses: true },
    Peer { name: "wtx", compresses: true },
    Peer { name: "web-socket", compresses: false },
    Peer { name: "uWebSockets", compresses: false },
];

struct Peer {
    name: &'static str,
    compresses: bool,
}

/// The names of all peers.
pub fn peers() -> impl Iterator<Item = &'static str> {
    PEERS.iter().map(|peer| peer.name)
}

/// The package that a peer comes from.
pub fn package(peer: &str) -> &str {
    if peer == "uWebSockets" { "libuwebsockets-sys" } else { peer }
}

/// What a contestant stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// `wsduo`, to which all ratios are.
    Ours,
    /// The same server once more, in a process of its own: what it differs by is noise.
    Again,
    /// The bare loop that is no library.
    Limit,
    /// Another library.
    Peer,
}

/// Who takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contestant {
    /// What the report calls it.
    pub name: String,
    /// What it stands for.
    pub role: Role,
}

impl Contestant {
    fn new(name: &str, role: Role) -> Self {
        Self { name: name.to_owned(), role }
    }
}

/// What a server is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Send back what comes.
    Echo,
    /// The same with small buffers, where a library offers the choice.
    Lean,
    /// The same compressed.
    Deflate {
        /// 1 to 9.
        level: u8,
        /// Whether a reply may refer to those before it.
        keeps_context: bool,
    },
    /// Count what comes, and answer a text message with the count.
    Sink,
    /// Send back what comes, over TLS.
    Tls,
    /// Shake hands in the library's own way, even where another is quicker or leaves messages a faster stream.
    Handshakes {
        /// Over TLS.
        tls: bool,
    },
    /// Be a client that is told what to do when it is started.
    Client,
}

/// Everybody who takes part, and where their programs are.
#[derive(Clone, Debug)]
pub struct Field {
    /// In the order of the report.
    pub contestants: Vec<Contestant>,
    folder: PathBuf,
    guests: Vec<Recipe>,
}

impl Field {
    /// Ours twice, the limit, the peers called `chosen` or all if it is empty, and guests. The programs are in `folder`.
    ///
    /// # Errors
    /// If no peer has one of the chosen names.
    pub fn new(folder: &Path, chosen: &[String], guests: &[Recipe]) -> Result<Self, Error> {
        if let Some(unknown) = chosen.iter().find(|name| peers().all(|peer| peer != name.as_str())) {
            let known: Vec<_> = peers().collect();
            return Err(format!("no peer is called `{unknown}`; there are {}", known.join(", ")).into());
        }
        let mut contestants = vec![
            Contestant::new("wsduo", Role::Ours),
            Contestant::new("wsduo again", Role::Again),
            Contestant::new("bare tokio", Role::Limit),
        ];
        let chosen = peers().filter(|peer| chosen.is_empty() || chosen.iter().any(|name| name == peer));
        contestants.extend(chosen.map(|name| Contestant::new(name, Role::Peer)));
        contestants.extend(guests.iter().map(|guest| Contestant::new(&guest.name, Role::Peer)));
        Ok(Self { contestants, folder: folder.to_owned(), guests: guests.to_vec() })
    }

    /// Ours, the limit, and the peers called `names`: for what would take too long with everybody.
    pub fn few(&self, names: &[&str]) -> Vec<Contestant> {
        let chosen = |contestant: &&Contestant| match contestant.role {
            Role::Ours | Role::Limit => true,
            Role::Again => false,
            Role::Peer => names.contains(&contestant.name.as_str()),
        };
        self.contestants.iter().filter(chosen).cloned().collect()
    }

    /// Starts a contestant's server.
    ///
    /// # Errors
    /// What to report of a contestant that cannot do this, or does not start.
    pub fn start(&self, contestant: &Contestant, mode: Mode) -> Result<Server, Finding> {
        let recipe = self.recipe(contestant, mode)?;
        Ok(Server::start(&recipe)?)
    }

    /// How a contestant's server is started.
    ///
    /// # Errors
    /// What to report of a contestant that cannot do this, or was not built.
    pub fn recipe(&self, contestant: &Contestant, mode: Mode) -> Result<Recipe, Finding> {
        let absent = |why: &str| Err(Finding::Absent(why.to_owned()));
        let is_peer = PEERS.iter().find(|peer| peer.name == contestant.name);
        let mut options: Vec<String> = Vec::new();
        match mode {
            Mode::Echo => {}
            Mode::Tls | Mode::Handshakes { tls: true } if contestant.name == "uWebSockets" => {
                return absent("is built without TLS");
            }
            Mode::Client if contestant.name == "uWebSockets" => {
                return absent("is used as a server alone here");
            }
            Mode::Sink => options.push("--sink".to_owned()),
            Mode::Handshakes { tls } => {
                options.extend(tls.then(|| "--tls".to_owned()));
                options.extend(is_peer.is_some().then(|| "--own-handshake".to_owned()));
            }
            Mode::Tls => options.push("--tls".to_owned()),
            Mode::Client if contestant.role == Role::Limit => return absent("is no client"),
            Mode::Client if contestant.name == "wtx" => return absent("is used as a server alone here"),
            Mode::Client => {}
            Mode::Lean => {
                options.extend((is_peer.is_some()).then(|| "--lean".to_owned()));
            }
            Mode::Deflate { level, keeps_context } => {
                let compresses = match contestant.role {
                    Role::Ours | Role::Again => true,
                    Role::Limit => false,
                    Role::Peer => is_peer.is_some_and(|peer| peer.compresses),
                };
                if !compresses {
                    return absent("does not compress");
                }
                if keeps_context && contestant.name == "wtx" {
                    return absent("never agrees to context takeover");
                }
                options.extend(["--deflate", "--level"].map(str::to_owned));
                options.push(level.to_string());
                options.extend((!keeps_context).then(|| "--no-context-takeover".to_owned()));
            }
        }
        if let Some(guest) = self.guests.iter().find(|guest| guest.name == contestant.name) {
            return if matches!(mode, Mode::Echo | Mode::Lean | Mode::Handshakes { tls: false }) {
                Ok(guest.clone())
            } else {
                absent("is a guest, who only echoes")
            };
        }
        let program = match contestant.role {
            Role::Ours | Role::Again if mode == Mode::Client => self.folder.join("examples/client_load"),
            Role::Ours | Role::Again => self.folder.join("examples/echo_server"),
            Role::Limit => self.folder.join("bare_echo"),
            Role::Peer => self.folder.join(&contestant.name),
        };
        if !program.is_file() {
            return Err(Finding::Failed("was not built".to_owned()));
        }
        let mut command = vec![program.to_string_lossy().into_owned()];
        if mode != Mode::Client {
            command.push("127.0.0.1:0".to_owned());
        }
        command.append(&mut options);
        Ok(Recipe { name: contestant.name.replace(' ', "-"), command })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contestant(name: &str, role: Role) -> Contestant {
        Contestant::new(name, role)
    }

    #[test]
    fn a_peer_nobody_knows_is_refused() {
        let error = Field::new(Path::new("/"), &["yawcc".to_owned()], &[]).unwrap_err().to_string();
        assert!(error.contains("`yawcc`") && error.contains("tokio-tungstenite"), "{error}");
    }

    #[test]
    fn chosen_peers_take_part_with_ours_twice_and_the_limit() {
        let guest: Recipe = "uws=/bin/uws 0".parse().unwrap();
        let field = Field::new(Path::new("/"), &["wtx".to_owned(), "yawc".to_owned()], &[guest]).unwrap();
        let names: Vec<_> = field.contestants.iter().map(|contestant| contestant.name.as_str()).collect();
        assert_eq!(names, ["wsduo", "wsduo again", "bare tokio", "yawc", "wtx", "uws"]);
    }

    #[test]
    fn who_was_not_built_has_failed_and_who_cannot_is_absent() {
        let field = Field::new(Path::new("/nowhere"), &[], &[]).unwrap();
        let failed = field.recipe(&contestant("yawc", Role::Peer), Mode::Echo);
        assert!(matches!(failed, Err(Finding::Failed(_))), "{failed:?}");
        let deflate = Mode::Deflate { level: 1, keeps_context: true };
        for (name, role, mode) in [
            ("fastwebsockets", Role::Peer, deflate),
            ("bare tokio", Role::Limit, deflate),
            ("wtx", Role::Peer, deflate),
            ("uWebSockets", Role::Peer, Mode::Tls),
            ("uWebSockets", Role::Peer, Mode::Handshakes { tls: true }),
        ] {
            let absent = field.recipe(&contestant(name, role), mode);
            assert!(matches!(absent, Err(Finding::Absent(_))), "{absent:?}");
        }
    }
}
