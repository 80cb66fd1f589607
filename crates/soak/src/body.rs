//! What messages hold: their number, a checksum over all of it, and something that compresses well, badly or not at all.

use std::hash::{DefaultHasher, Hasher};

use wsduo::{Message, MessageType};

use crate::dice::Dice;

/// Number and checksum in hexadecimal, and between them a letter: whether it is the last message.
const HEAD: usize = 16 + 1 + 16;

/// The largest payload behind the head.
pub(crate) const MOST: u64 = 1 << 20;

const WORDS: [&str; 16] = [
    "alpha ",
    "price ",
    "{\"bid\":",
    "\"ask\":",
    "müde ",
    "größer ",
    "€uro ",
    "日本語",
    "😀",
    "lorem ",
    "ipsum ",
    "0.00",
    ",\n",
    "naïve ",
    "the ",
    "of ",
];

/// The message of this number: text or binary, of a size that is small as a rule and large at times.
pub(crate) fn message(sequence: u64, dice: &mut Dice) -> Message {
    let size = match dice.below(100) {
        0..45 => dice.below(100),
        45..75 => dice.below(4 << 10),
        75..94 => dice.below(32 << 10),
        94..99 => dice.below(200 << 10),
        _ => dice.below(MOST),
    };
    let size = usize::try_from(size).unwrap_or_default();
    match dice.below(3) {
        0 => whole(sequence, b'm', &noise(size, dice), MessageType::Binary),
        1 => whole(sequence, b'm', words(size, dice).as_bytes(), MessageType::Binary),
        _ => whole(sequence, b'm', words(size, dice).as_bytes(), MessageType::Text),
    }
}

/// The message behind the last: its number tells how many there were.
pub(crate) fn end(sequence: u64) -> Message {
    whole(sequence, b'e', b"", MessageType::Text)
}

fn whole(sequence: u64, kind: u8, payload: &[u8], message_type: MessageType) -> Message {
    let checksum = checksum(sequence, kind, payload);
    let mut bytes = format!("{sequence:016x}{}{checksum:016x}", char::from(kind)).into_bytes();
    bytes.extend_from_slice(payload);
    match (message_type, String::from_utf8(bytes)) {
        (MessageType::Text, Ok(text)) => Message::from(text),
        (_, Ok(text)) => Message::from(text.into_bytes()),
        (_, Err(error)) => Message::from(error.into_bytes()),
    }
}

fn checksum(sequence: u64, kind: u8, payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(sequence);
    hasher.write_u8(kind);
    hasher.write(payload);
    hasher.finish()
}

fn noise(size: usize, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&dice.next().to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn words(size: usize, dice: &mut Dice) -> String {
    let mut text = String::with_capacity(size + 16);
    while text.len() < size {
        let mut bits = dice.next();
        for _ in 0..16 {
            text.push_str(WORDS[(bits & 15) as usize]);
            bits >>= 4;
        }
    }
    let end = (0..=size).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
    text
}

/// The messages that should come from one side, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    next: u64,
    ended: bool,
}

impl Expected {
    /// Whether all have come.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Looks at the next one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.ended {
            return Err(format!("{} bytes came behind the last message", bytes.len()));
        }
        let (sequence, kind, sum) = head(bytes).ok_or_else(|| {
            format!("a message of {} bytes has no head; expected number {}", bytes.len(), self.next)
        })?;
        if sequence != self.next {
            return Err(format!("message {sequence} came where {} was expected", self.next));
        }
        if sum != checksum(sequence, kind, &bytes[HEAD..]) {
            return Err(format!("message {sequence} of {} bytes is damaged", bytes.len()));
        }
        self.next += 1;
        self.ended = kind == b'e';
        Ok(())
    }
}

fn head(bytes: &[u8]) -> Option<(u64, u8, u64)> {
    let hexadecimal = |range| u64::from_str_radix(std::str::from_utf8(bytes.get(range)?).ok()?, 16).ok();
    Some((hexadecimal(0..16)?, *bytes.get(16)?, hexadecimal(17..HEAD)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_repeated_moved_or_damaged_is_found() {
        let mut dice = Dice::new(1);
        let messages: Vec<Vec<u8>> =
            (0..4).map(|sequence| message(sequence, &mut dice).as_bytes().to_vec()).collect();
        let check = |order: &[usize]| {
            let mut expected = Expected::default();
            order.iter().try_for_each(|&index| expected.check(&messages[index]))
        };
        assert!(check(&[0, 1, 2, 3]).is_ok());
        for order in [&[0, 2][..], &[0, 0], &[1], &[0, 2, 1]] {
            assert!(check(order).is_err(), "{order:?}");
        }
        for index in 0..messages[0].len() {
            let mut damaged = messages[0].clone();
            damaged[index] ^= 1;
            assert!(Expected::default().check(&damaged).is_err(), "byte {index}");
        }
        assert!(Expected::default().check(&messages[0][..messages[0].len() - 1]).is_err());
    }

    #[test]
    fn nothing_comes_behind_the_last() {
        let mut expected = Expected::default();
        expected.check(end(0).as_bytes()).unwrap();
        assert!(expected.ended() && expected.check(message(1, &mut Dice::new(2)).as_bytes()).is_err());
    }
}
