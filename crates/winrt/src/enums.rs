//! The enumerations of the original, with its numbers (spec §7).

use wsduo::{CertificateError, CertificateErrorSeverity, MessageType};

use crate::error::Error;

/// An enumeration whose values are numbers: that can be told, and made of one.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        pub enum $name {
            $($(#[$value_doc])* $value = $number,)*
        }

        impl $name {
            /// All of them, by number.
            pub const ALL: &'static [Self] = &[$(Self::$value),*];

            /// Its number in the original.
            pub const fn number(self) -> i32 {
                self as i32
            }
        }

        impl TryFrom<i32> for $name {
            type Error = Error;

            /// # Errors
            /// [`Error::INVALID_ARGUMENT`] for a number that none of the values has.
            fn try_from(number: i32) -> Result<Self, Error> {
                Self::ALL.iter().copied().find(|value| value.number() == number).ok_or_else(|| {
                    let text = format!("{number} is no {}; the largest is {}", stringify!($name), Self::ALL.len() - 1);
                    Error::new(Error::INVALID_ARGUMENT, text)
                })
            }
        }
    };
}

numbered! {
    /// The type of a message.
    SocketMessageType {
        /// Bytes of any kind. The default.
        Binary = 0,
        /// UTF-8 text.
        Utf8 = 1,
    }
}

numbered! {
    /// How messages reach the handlers of `message_received`.
    MessageWebSocketReceiveMode {
        /// Whole. The default.
        FullMessage = 0,
        /// In pieces, as they arrive.
        PartialMessage = 1,
    }
}

numbered! {
    /// How bad what is wrong with a server's certificate is.
    SocketSslErrorSeverity {
        /// Nothing is wrong.
        None = 0,
        /// All that is wrong can be ignored.
        Ignorable = 1,
        /// Something is wrong that cannot be ignored.
        Fatal = 2,
    }
}

numbered! {
    /// What is wrong with a certificate.
    ChainValidationResult {
        /// Nothing.
        Success = 0,
        /// It is self-signed, or its chain ends at an authority that is not trusted. Ignorable.
        Untrusted = 1,
        /// It was revoked.
        Revoked = 2,
        /// It has expired or is not valid yet. Ignorable.
        Expired = 3,
        /// A certificate of the chain is missing. Ignorable.
        IncompleteChain = 4,
        /// A signature cannot be verified.
        InvalidSignature = 5,
        /// It was made for another purpose. Ignorable.
        WrongUsage = 6,
        /// It was made for another name. Ignorable.
        InvalidName = 7,
        /// An authority was not allowed to make it.
        InvalidCertificateAuthorityPolicy = 8,
        /// A certificate is used as an authority without being one.
        BasicConstraintsError = 9,
        /// It has an extension that must be understood and is not.
        UnknownCriticalExtension = 10,
        /// Nothing says whether it was revoked. Ignorable.
        RevocationInformationMissing = 11,
        /// Whoever knows whether it was revoked could not be asked. Ignorable.
        RevocationFailure = 12,
        /// Anything else.
        OtherErrors = 13,
    }
}

numbered! {
    /// What kind of name a [`HostName`](crate::HostName) is.
    HostNameType {
        /// A name to be looked up.
        DomainName = 0,
        /// An IPv4 address.
        Ipv4 = 1,
        /// An IPv6 address.
        Ipv6 = 2,
        /// A Bluetooth address. None here.
        Bluetooth = 3,
    }
}

impl From<SocketMessageType> for MessageType {
    fn from(message_type: SocketMessageType) -> Self {
        match message_type {
            SocketMessageType::Binary => Self::Binary,
            SocketMessageType::Utf8 => Self::Text,
        }
    }
}

impl From<MessageType> for SocketMessageType {
    fn from(message_type: MessageType) -> Self {
        match message_type {
            MessageType::Binary => Self::Binary,
            MessageType::Text => Self::Utf8,
        }
    }
}

impl From<CertificateErrorSeverity> for SocketSslErrorSeverity {
    fn from(severity: CertificateErrorSeverity) -> Self {
        match severity {
            CertificateErrorSeverity::None => Self::None,
            CertificateErrorSeverity::Ignorable => Self::Ignorable,
            CertificateErrorSeverity::Fatal => Self::Fatal,
        }
    }
}

impl From<CertificateError> for ChainValidationResult {
    fn from(error: CertificateError) -> Self {
        Self::try_from(i32::from(error.number())).unwrap_or(Self::OtherErrors)
    }
}

impl ChainValidationResult {
    /// The error of `wsduo` that it is; `None` for [`Success`](Self::Success).
    pub fn certificate_error(self) -> Option<CertificateError> {
        CertificateError::ALL.into_iter().find(|error| i32::from(error.number()) == self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_certificate_error_has_the_name_and_number_of_the_original() {
        for error in CertificateError::ALL {
            let result = ChainValidationResult::from(error);
            assert_eq!(format!("{result:?}"), format!("{error:?}"));
            assert_eq!(result.certificate_error(), Some(error));
        }
        assert_eq!(ChainValidationResult::Success.certificate_error(), None);
    }

    #[test]
    fn a_number_that_no_value_has_is_an_invalid_argument() {
        assert_eq!(SocketMessageType::try_from(1).unwrap(), SocketMessageType::Utf8);
        assert_eq!(SocketMessageType::try_from(2).unwrap_err().code(), Error::INVALID_ARGUMENT);
        assert_eq!(SocketMessageType::try_from(-1).unwrap_err().code(), Error::INVALID_ARGUMENT);
    }
}
