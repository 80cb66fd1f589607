//! Failures as Windows names them: `WebErrorStatus` and `HRESULT`, two views that keep less than [`Error`](crate::Error) does.

use std::fmt;

use crate::certificate::CertificateError;

/// What kind of failure it was, by the names and numbers of `Windows.Web.WebErrorStatus`.
///
/// Those from 300 on are HTTP statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
#[allow(missing_docs, reason = "the names say it")]
pub enum WebErrorStatus {
    Unknown = 0,
    CertificateCommonNameIsIncorrect = 1,
    CertificateExpired = 2,
    CertificateContainsErrors = 3,
    CertificateRevoked = 4,
    CertificateIsInvalid = 5,
    ServerUnreachable = 6,
    Timeout = 7,
    ErrorHttpInvalidServerResponse = 8,
    ConnectionAborted = 9,
    ConnectionReset = 10,
    Disconnected = 11,
    HttpToHttpsOnRedirection = 12,
    HttpsToHttpOnRedirection = 13,
    CannotConnect = 14,
    HostNameNotResolved = 15,
    OperationCanceled = 16,
    RedirectFailed = 17,
    UnexpectedStatusCode = 18,
    UnexpectedRedirection = 19,
    UnexpectedClientError = 20,
    UnexpectedServerError = 21,
    InsufficientRangeSupport = 22,
    MissingContentLengthSupport = 23,
    MultipleChoices = 300,
    MovedPermanently = 301,
    Found = 302,
    SeeOther = 303,
    NotModified = 304,
    UseProxy = 305,
    TemporaryRedirect = 307,
    BadRequest = 400,
    Unauthorized = 401,
    PaymentRequired = 402,
    Forbidden = 403,
    NotFound = 404,
    MethodNotAllowed = 405,
    NotAcceptable = 406,
    ProxyAuthenticationRequired = 407,
    RequestTimeout = 408,
    Conflict = 409,
    Gone = 410,
    LengthRequired = 411,
    PreconditionFailed = 412,
    RequestEntityTooLarge = 413,
    RequestUriTooLong = 414,
    UnsupportedMediaType = 415,
    RequestedRangeNotSatisfiable = 416,
    ExpectationFailed = 417,
    InternalServerError = 500,
    NotImplemented = 501,
    BadGateway = 502,
    ServiceUnavailable = 503,
    GatewayTimeout = 504,
    HttpVersionNotSupported = 505,
}

use WebErrorStatus as Status;

impl WebErrorStatus {
    /// All of them, by number.
    pub const ALL: [Self; 55] = [
        Self::Unknown,
        Self::CertificateCommonNameIsIncorrect,
        Self::CertificateExpired,
        Self::CertificateContainsErrors,
        Self::CertificateRevoked,
        Self::CertificateIsInvalid,
        Self::ServerUnreachable,
        Self::Timeout,
        Self::ErrorHttpInvalidServerResponse,
        Self::ConnectionAborted,
        Self::ConnectionReset,
        Self::Disconnected,
        Self::HttpToHttpsOnRedirection,
        Self::HttpsToHttpOnRedirection,
        Self::CannotConnect,
        Self::HostNameNotResolved,
        Self::OperationCanceled,
        Self::RedirectFailed,
        Self::UnexpectedStatusCode,
        Self::UnexpectedRedirection,
        Self::UnexpectedClientError,
        Self::UnexpectedServerError,
        Self::InsufficientRangeSupport,
        Self::MissingContentLengthSupport,
        Self::MultipleChoices,
        Self::MovedPermanently,
        Self::Found,
        Self::SeeOther,
        Self::NotModified,
        Self::UseProxy,
        Self::TemporaryRedirect,
        Self::BadRequest,
        Self::Unauthorized,
        Self::PaymentRequired,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::ProxyAuthenticationRequired,
        Self::RequestTimeout,
        Self::Conflict,
        Self::Gone,
        Self::LengthRequired,
        Self::PreconditionFailed,
        Self::RequestEntityTooLarge,
        Self::RequestUriTooLong,
        Self::UnsupportedMediaType,
        Self::RequestedRangeNotSatisfiable,
        Self::ExpectationFailed,
        Self::InternalServerError,
        Self::NotImplemented,
        Self::BadGateway,
        Self::ServiceUnavailable,
        Self::GatewayTimeout,
        Self::HttpVersionNotSupported,
    ];

    /// The number.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// What an `HRESULT` stands for: `WebSocketError.GetStatus` of Windows. [`Unknown`](Self::Unknown) if that is not known.
    pub fn from_hresult(hresult: HResult) -> Self {
        if let Some(code) = hresult.0.checked_sub(HTTP).and_then(|code| u16::try_from(code).ok())
            && let Some(status) = Self::of_http(code)
        {
            return status;
        }
        let row = TABLE.iter().find(|(_, _, of_row)| *of_row == hresult.0);
        row.map_or(Self::Unknown, |(_, status, _)| *status)
    }

    fn of_http(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|status| code >= 300 && status.number() == code)
    }
}

/// A Windows error code, for those who port programs from there.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HResult(
    /// The 32 bits, as Windows writes them in hexadecimal: `0x80072EFD`.
    pub u32,
);

impl fmt::Display for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08X}", self.0)
    }
}

impl fmt::Debug for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What happened, as finely as Windows tells failures apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    NameNotResolved,
    CannotConnect,
    Unreachable,
    NetworkDown,
    TimedOut,
    Aborted,
    Reset,
    /// Whoever drops a future is told nothing, so no [`Error`](crate::Error) has this; the number is known all the same.
    #[allow(dead_code)]
    Cancelled,
    /// A redirect from ws to wss is followed wherever redirects are, so no error has this.
    #[allow(dead_code)]
    ToSecure,
    ToInsecure,
    RedirectFailed,
    NameMismatch,
    OutOfDate,
    Revoked,
    UnknownIssuer,
    OtherCertificateError,
    ClientCertificateNeeded,
    Tls,
    Rejected,
    /// The server answered with this HTTP status.
    Http(u16),
    InvalidResponse,
    Protocol,
    Misuse,
    Closed,
    InvalidInput,
    CannotListen,
    OtherRedirection,
    OtherClientError,
    OtherServerError,
    OtherStatus,
}

/// An `HRESULT` of an HTTP status is this plus the status.
const HTTP: u32 = 0x8019_0000;

/// What Windows calls each failure. A number that stands here twice means what its first row says.
const TABLE: [(Failure, Status, u32); 29] = [
    (Failure::NameNotResolved, Status::HostNameNotResolved, 0x8007_2EE7),
    (Failure::CannotConnect, Status::CannotConnect, 0x8007_2EFD),
    (Failure::Unreachable, Status::ServerUnreachable, 0x8007_2F84),
    (Failure::NetworkDown, Status::Disconnected, 0x8007_2F83),
    (Failure::TimedOut, Status::Timeout, 0x8007_2EE2),
    (Failure::Aborted, Status::ConnectionAborted, 0x8007_2EFE),
    (Failure::Reset, Status::ConnectionReset, 0x8007_2EFF),
    (Failure::Cancelled, Status::OperationCanceled, 0x8000_4004),
    (Failure::ToSecure, Status::HttpToHttpsOnRedirection, 0x8007_2F07),
    (Failure::ToInsecure, Status::HttpsToHttpOnRedirection, 0x8007_2F08),
    (Failure::RedirectFailed, Status::RedirectFailed, 0x8007_2F7C),
    (Failure::NameMismatch, Status::CertificateCommonNameIsIncorrect, 0x8007_2F06),
    (Failure::OutOfDate, Status::CertificateExpired, 0x8007_2F05),
    (Failure::Revoked, Status::CertificateRevoked, 0x8007_2F8A),
    (Failure::UnknownIssuer, Status::CertificateIsInvalid, 0x8007_2F0D),
    (Failure::OtherCertificateError, Status::CertificateContainsErrors, 0x8007_2F17),
    (Failure::ClientCertificateNeeded, Status::Unknown, 0x8007_2F0C),
    (Failure::Tls, Status::Unknown, 0x8007_2F7D),
    (Failure::Rejected, Status::CertificateIsInvalid, 0x800C_000E),
    (Failure::InvalidResponse, Status::ErrorHttpInvalidServerResponse, 0x8007_2F78),
    (Failure::Protocol, Status::ErrorHttpInvalidServerResponse, 0x8007_2F78),
    (Failure::Misuse, Status::Unknown, 0x8000_000E),
    (Failure::Closed, Status::Unknown, 0x8000_0013),
    (Failure::InvalidInput, Status::Unknown, 0x8007_0057),
    // WSAEADDRINUSE: Windows has no address to listen on among its failures of WebSockets.
    (Failure::CannotListen, Status::Unknown, 0x8007_2740),
    (Failure::OtherRedirection, Status::UnexpectedRedirection, 0x8019_0003),
    (Failure::OtherClientError, Status::UnexpectedClientError, 0x8019_0004),
    (Failure::OtherServerError, Status::UnexpectedServerError, 0x8019_0005),
    (Failure::OtherStatus, Status::UnexpectedStatusCode, 0x8019_0001),
];

impl Failure {
    /// What Windows calls it.
    pub(crate) fn in_windows(self) -> (WebErrorStatus, HResult) {
        let failure = match self {
            Self::Http(code) => match (Status::of_http(code), code) {
                (Some(status), _) => return (status, HResult(HTTP + u32::from(code))),
                (None, 300..=399) => Self::OtherRedirection,
                (None, 400..=499) => Self::OtherClientError,
                (None, 500..=599) => Self::OtherServerError,
                (None, _) => Self::OtherStatus,
            },
            other => other,
        };
        let row = TABLE.iter().find(|(of_row, _, _)| *of_row == failure);
        row.map_or((Status::Unknown, HResult(E_FAIL)), |(_, status, hresult)| (*status, HResult(*hresult)))
    }
}

/// `E_FAIL`, for a failure that is not in the table; there is none.
const E_FAIL: u32 = 0x8000_4005;

impl From<CertificateError> for Failure {
    fn from(error: CertificateError) -> Self {
        match error {
            CertificateError::InvalidName => Self::NameMismatch,
            CertificateError::Expired => Self::OutOfDate,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::Untrusted | CertificateError::IncompleteChain => Self::UnknownIssuer,
            _ => Self::OtherCertificateError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_in_order_and_none_is_missing() {
        let numbers: Vec<_> = Status::ALL.iter().map(|status| status.number()).collect();
        assert!(numbers.is_sorted());
        let expected = (0..=23).chain(300..=305).chain([307]).chain(400..=417).chain(500..=505);
        assert_eq!(numbers, expected.collect::<Vec<u16>>());
    }

    #[test]
    fn an_http_status_keeps_its_number_or_falls_into_a_class() {
        let check = |code: u16, status: Status, hresult: u32| {
            assert_eq!(Failure::Http(code).in_windows(), (status, HResult(hresult)), "{code}");
        };
        check(301, Status::MovedPermanently, 0x8019_012D);
        check(403, Status::Forbidden, 0x8019_0193);
        check(404, Status::NotFound, 0x8019_0194);
        check(503, Status::ServiceUnavailable, 0x8019_01F7);
        check(200, Status::UnexpectedStatusCode, 0x8019_0001);
        check(306, Status::UnexpectedRedirection, 0x8019_0003);
        check(308, Status::UnexpectedRedirection, 0x8019_0003);
        check(429, Status::UnexpectedClientError, 0x8019_0004);
        check(511, Status::UnexpectedServerError, 0x8019_0005);
        check(799, Status::UnexpectedStatusCode, 0x8019_0001);
    }

    #[test]
    fn a_failure_and_its_hresult_stand_for_the_same_status() {
        for (failure, status, hresult) in TABLE {
            assert_eq!(failure.in_windows(), (status, HResult(hresult)));
            assert_eq!(Status::from_hresult(HResult(hresult)), status, "{failure:?}");
        }
        for status in Status::ALL.into_iter().filter(|status| status.number() >= 300) {
            let (same, hresult) = Failure::Http(status.number()).in_windows();
            assert_eq!((same, Status::from_hresult(hresult)), (status, status));
        }
        assert_eq!(Status::from_hresult(HResult(0)), Status::Unknown);
        assert_eq!(HResult(0x8007_2EFD).to_string(), "0x80072EFD");
    }
}
