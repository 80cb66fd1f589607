//! What can be wrong with a server's certificate, by the names of Windows, and what may be overlooked.

use std::fmt;

/// What is wrong with a server's certificate, by the names and numbers of `ChainValidationResult` in Windows.
///
/// Only those that are [ignorable](Self::is_ignorable) can be given to `ClientTls::ignore`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum CertificateError {
    /// It is self-signed, or its chain ends at an authority that is not trusted. Ignorable.
    Untrusted = 1,
    /// It, or one of its chain, was revoked or is known to be bad.
    Revoked = 2,
    /// It, or one of its chain, has expired or is not valid yet. Ignorable.
    Expired = 3,
    /// Its issuer was not sent along and is not trusted: an authority is unknown, or the server does not send its whole
    /// chain. Ignorable.
    IncompleteChain = 4,
    /// A signature of the chain is wrong, or of a kind that cannot be checked.
    InvalidSignature = 5,
    /// It was not made for servers (Extended Key Usage). Ignorable.
    WrongUsage = 6,
    /// It was not made for the name of the server. Ignorable.
    InvalidName = 7,
    /// An authority of the chain was not allowed to make it (Name Constraints).
    InvalidCertificateAuthorityPolicy = 8,
    /// A certificate of the chain is used as an authority without being one, or the other way round.
    BasicConstraintsError = 9,
    /// It has an extension that must be understood and is not.
    UnknownCriticalExtension = 10,
    /// Nothing says whether it was revoked. Ignorable.
    RevocationInformationMissing = 11,
    /// Whoever knows whether it was revoked could not be asked. Ignorable.
    RevocationFailure = 12,
    /// Anything else: a malformed certificate, a chain too long.
    OtherErrors = 13,
}

impl CertificateError {
    /// All of them, by number.
    pub const ALL: [Self; 13] = [
        Self::Untrusted,
        Self::Revoked,
        Self::Expired,
        Self::IncompleteChain,
        Self::InvalidSignature,
        Self::WrongUsage,
        Self::InvalidName,
        Self::InvalidCertificateAuthorityPolicy,
        Self::BasicConstraintsError,
        Self::UnknownCriticalExtension,
        Self::RevocationInformationMissing,
        Self::RevocationFailure,
        Self::OtherErrors,
    ];

    /// The number that Windows gives it.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether it can be ignored: it may be the carelessness of a server that is the right one all the same.
    pub const fn is_ignorable(self) -> bool {
        matches!(
            self,
            Self::Untrusted
                | Self::Expired
                | Self::IncompleteChain
                | Self::WrongUsage
                | Self::InvalidName
                | Self::RevocationInformationMissing
                | Self::RevocationFailure
        )
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How bad it is, by the names and numbers of `SocketSslErrorSeverity` in Windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CertificateErrorSeverity {
    /// Nothing is wrong.
    #[default]
    None = 0,
    /// All that is wrong can be ignored.
    Ignorable = 1,
    /// Something is wrong that cannot be ignored.
    Fatal = 2,
}

impl CertificateErrorSeverity {
    /// That of the worst of these.
    pub fn of(errors: &[CertificateError]) -> Self {
        match errors {
            [] => Self::None,
            _ if errors.iter().all(|error| error.is_ignorable()) => Self::Ignorable,
            _ => Self::Fatal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_windows() {
        let numbers = CertificateError::ALL.map(CertificateError::number);
        assert_eq!(numbers.to_vec(), (1..=13).collect::<Vec<u8>>());
    }

    #[test]
    fn the_severity_is_that_of_the_worst() {
        use CertificateError::{Expired, InvalidSignature, Untrusted};
        assert_eq!(CertificateErrorSeverity::of(&[]), CertificateErrorSeverity::None);
        assert_eq!(CertificateErrorSeverity::of(&[Expired, Untrusted]), CertificateErrorSeverity::Ignorable);
        let mixed = [Expired, InvalidSignature];
        assert_eq!(CertificateErrorSeverity::of(&mixed), CertificateErrorSeverity::Fatal);
    }
}
