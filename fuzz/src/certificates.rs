//! The certificates of a server. The first byte of the input says which name was called, when, and whether the last
//! certificate is trusted; each certificate stands behind its length in two bytes, the server's own first.

use wsduo::fuzzing;
use wsduo_winrt::Certificate;

const NAMES: [&str; 4] = ["server.example.com", "a.b.example.org", "192.0.2.7", "2001:db8::7"];

/// In seconds since 1970: long ago, when the stored certificates are valid, and long from now.
const TIMES: [u64; 4] = [0, 1_800_000_000, 1_800_000_000, 32_503_680_000];

/// More certificates than this find nothing that fewer do not.
const MOST: usize = 6;

/// Checks that nothing is found where the verifier of rustls accepts, and something where it does not; that what is said is
/// short and can be printed; and that a certificate can be told of, or not, without harm.
pub fn run(data: &[u8]) {
    let Some((&settings, mut rest)) = data.split_first() else { return };
    let mut certificates = Vec::new();
    while let [high, low, behind @ ..] = rest
        && certificates.len() < MOST
    {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
        let (certificate, behind) = behind.split_at(len);
        certificates.push(certificate);
        rest = behind;
    }
    for certificate in &certificates {
        check_told(certificate);
    }

    let roots = match certificates.last() {
        Some(last) if settings & 0x10 != 0 => vec![*last],
        _ => Vec::new(),
    };
    // What is trusted may be shown, or not.
    if !roots.is_empty() && settings & 0x20 != 0 && certificates.len() > 1 {
        certificates.pop();
    }
    let Some((leaf, intermediates)) = certificates.split_first() else { return };
    let name = NAMES[usize::from(settings) & 3];
    let now = TIMES[usize::from(settings >> 2) & 3];
    let faults = fuzzing::certificate_faults(&roots, leaf, intermediates, name, now);
    let (faults, is_accepted) = faults.expect("a good name");
    // An authority that is trusted may be a server itself, which rustls never takes it for.
    let is_trusted_itself = roots.contains(leaf) && faults.is_empty();
    assert!(faults.is_empty() == is_accepted || is_trusted_itself, "{faults:?}");
    for (error, text) in faults {
        assert!(!text.is_empty() && text.len() < 2_000, "{error}: {} bytes", text.len());
        assert!(!text.chars().any(char::is_control), "{error}: {text:?}");
    }
}

fn check_told(der: &[u8]) {
    match Certificate::from_blob(der.to_vec()) {
        Ok(certificate) => {
            assert_eq!(certificate.get_certificate_blob(), der);
            assert_eq!(certificate.get_hash_value().len(), 20);
            assert!(certificate.subject().len() + certificate.issuer().len() <= 16 * der.len());
            let _ = (certificate.valid_from() <= certificate.valid_to(), certificate.serial_number());
        }
        Err(error) => assert!(!error.to_string().chars().any(char::is_control), "{error}"),
    }
}
