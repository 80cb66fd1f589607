//! Values that need more than their type to be read.

use std::num::NonZeroUsize;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// How many, where none makes no sense.
pub(super) fn positive(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "write a whole number from 1".to_owned())
}

/// More threads than any machine has processors are a slip of the finger.
const MAX_THREADS: usize = 1024;

/// How many threads.
pub(super) fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let threads = text.parse().ok().filter(|threads: &NonZeroUsize| threads.get() <= MAX_THREADS);
    threads.ok_or_else(|| format!("write a whole number from 1 to {MAX_THREADS}"))
}

/// An address to serve figures on; a port alone is one of this machine.
pub(super) fn metrics_address(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("127.0.0.1", text));
    match port.parse::<u16>() {
        Ok(port) if !host.is_empty() => Ok(format!("{host}:{port}")),
        _ => Err("write PORT or HOST:PORT, with a port from 0 to 65535".into()),
    }
}

/// A duration such as `500ms` or `1m 30s`; a bare number is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string()),
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string()),
    }
}

/// The SHA-256 of a public key, as curl writes it or in hexadecimal.
pub(super) fn pin(text: &str) -> Result<[u8; 32], String> {
    let bytes = match text.strip_prefix("sha256//") {
        Some(text) => BASE64.decode(text).ok(),
        None => (0..text.len())
            .step_by(2)
            .map(|at| text.get(at..at + 2).and_then(|byte| u8::from_str_radix(byte, 16).ok()))
            .collect(),
    };
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        "expected 64 hexadecimal digits, or sha256// and the same 32 bytes in base64".to_owned()
    })
}

/// A number of bytes such as `4096`, `16G` or `16GiB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_uppercase().trim_end_matches("IB") {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err("write a number of bytes, or one with K, M, G or T behind it".into()),
    };
    let number: u64 = number.parse().map_err(|error: std::num::ParseIntError| error.to_string())?;
    number.checked_mul(1 << shift).ok_or_else(|| "that is too much".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_is_one_or_more() {
        assert_eq!(positive("1"), Ok(NonZeroUsize::MIN));
        for wrong in ["", "0", "-1", "1.5", "many", "99999999999999999999"] {
            assert!(positive(wrong).is_err(), "{wrong}");
            assert!(threads(wrong).is_err(), "{wrong}");
        }
        assert!(threads("1024").is_ok() && threads("1025").is_err());
    }

    #[test]
    fn a_bare_port_for_metrics_is_of_this_machine() {
        assert_eq!(metrics_address("9100"), Ok("127.0.0.1:9100".into()));
        assert_eq!(metrics_address("[::]:9100"), Ok("[::]:9100".into()));
        for wrong in ["", ":", ":9100", "localhost", "localhost:", "70000", "-1", "9100 "] {
            assert!(metrics_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pins_are_hexadecimal_or_base64() {
        assert_eq!(pin(&"0f".repeat(32)), Ok([15; 32]));
        assert_eq!(pin("sha256//Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8="), Ok([15; 32]));
        for wrong in
            ["", "0f", "sha256//", "sha256//Dw8=", &"0g".repeat(32), &"é".repeat(32), &"0f".repeat(33)]
        {
            assert!(pin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("1k"), Ok(1 << 10));
        assert_eq!(size("3 MiB"), Ok(3 << 20));
        assert_eq!(size("16G"), Ok(16 << 30));
        for text in ["", "G", "-1", "1.5G", "1X", "99999999999T", "18446744073709551616"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_seconds_or_have_a_unit() {
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(duration("NaN").is_err());
    }
}
