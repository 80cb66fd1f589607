//! What two sides of one connection are going to do: chosen by the client, told to the server in the path.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use wsduo::Role;

use crate::dice::Dice;

/// How the two sides use their sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Both sides in halves.
    Split,
    /// The client undivided: in parts, with readers and writers; the server in halves.
    WholeClient,
    /// The other way round.
    WholeServer,
    /// The server sends back what comes.
    Echo,
    /// Streams of bytes.
    Stream,
}

/// Whether somebody ends the connection without a word, at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Nobody,
    /// The client drops its socket.
    Client,
    /// The client resets the connection.
    Reset,
    /// The server drops its socket.
    Server,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) style: Style,
    pub(crate) cut: Cut,
    /// How many messages each side sends.
    pub(crate) messages: u64,
    /// Milliseconds between two messages of a side, on average.
    pub(crate) pace: u64,
}

const STYLES: [(Style, &str); 5] = [
    (Style::Split, "split"),
    (Style::WholeClient, "whole-client"),
    (Style::WholeServer, "whole-server"),
    (Style::Echo, "echo"),
    (Style::Stream, "stream"),
];

const CUTS: [(Cut, &str); 4] =
    [(Cut::Nobody, "nobody"), (Cut::Client, "client"), (Cut::Reset, "reset"), (Cut::Server, "server")];

impl Plan {
    pub(crate) fn random(dice: &mut Dice, pace: u64) -> Self {
        let cut = match dice.below(20) {
            0 => Cut::Client,
            1 | 2 => Cut::Reset,
            3 => Cut::Server,
            _ => Cut::Nobody,
        };
        let (style, _) = STYLES[dice.below(STYLES.len() as u64) as usize];
        Self { seed: dice.next(), style, cut, messages: dice.below(60), pace }
    }

    /// The dice of one side.
    pub(crate) fn dice(&self, role: Role) -> Dice {
        Dice::new(self.seed ^ u64::from(role == Role::Server))
    }

    /// When this side cuts the connection, if it does.
    pub(crate) fn cut_after(&self, role: Role) -> Option<Duration> {
        let mine = match self.cut {
            Cut::Nobody => false,
            Cut::Client | Cut::Reset => role == Role::Client,
            Cut::Server => role == Role::Server,
        };
        let longest = (self.messages + 1) * self.pace;
        mine.then(|| Duration::from_millis(Dice::new(!self.seed).below(longest)))
    }

    /// Whether an end without a closing handshake may be seen.
    pub(crate) fn may_be_cut(&self) -> bool {
        self.cut != Cut::Nobody
    }
}

/// As the path of a URI.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = STYLES.iter().find(|(style, _)| *style == self.style).map_or("", |(_, name)| name);
        let cut = CUTS.iter().find(|(cut, _)| *cut == self.cut).map_or("", |(_, name)| name);
        write!(f, "/{:x}/{style}/{cut}/{}/{}", self.seed, self.messages, self.pace)
    }
}

impl FromStr for Plan {
    type Err = ();

    fn from_str(path: &str) -> Result<Self, ()> {
        let mut words = path.split('/').skip(1);
        let mut next = || words.next().ok_or(());
        let seed = u64::from_str_radix(next()?, 16).map_err(|_| ())?;
        let style = next()?;
        let (style, _) = *STYLES.iter().find(|(_, name)| *name == style).ok_or(())?;
        let cut = next()?;
        let (cut, _) = *CUTS.iter().find(|(_, name)| *name == cut).ok_or(())?;
        let messages = next()?.parse().map_err(|_| ())?;
        let pace = next()?.parse().map_err(|_| ())?;
        Ok(Self { seed, style, cut, messages, pace })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_learns_the_plan_from_the_path() {
        let mut dice = Dice::new(7);
        for _ in 0..100 {
            let plan = Plan::random(&mut dice, 1000);
            assert_eq!(plan.to_string().parse(), Ok(plan));
        }
        assert!("/".parse::<Plan>().is_err() && "/1/split/nobody/x/1".parse::<Plan>().is_err());
    }
}
