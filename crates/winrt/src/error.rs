//! What fails, as the original tells it: an HRESULT, and the cause in words.

use std::sync::Arc;

use wsduo::{HResult, WebErrorStatus};

/// A failure: the `HRESULT` that the original would give, and one line that says what happened.
#[derive(Clone, Debug)]
pub struct Error {
    code: HResult,
    message: Arc<str>,
    source: Option<wsduo::Error>,
}

impl Error {
    /// Operations on a reader or writer overlap: `HRESULT_FROM_WIN32(ERROR_INVALID_OPERATION)`.
    pub const INVALID_OPERATION: HResult = HResult(0x8007_10DD);
    /// The object or its stream is closed: `RO_E_CLOSED`.
    pub const CLOSED: HResult = HResult(0x8000_0013);
    /// Not in this state: `E_ILLEGAL_METHOD_CALL`.
    pub const ILLEGAL_METHOD_CALL: HResult = HResult(0x8000_000E);
    /// Less is loaded than was to be read: `E_BOUNDS`.
    pub const BOUNDS: HResult = HResult(0x8000_000B);
    /// An argument that cannot be: `E_INVALIDARG`.
    pub const INVALID_ARGUMENT: HResult = HResult(0x8007_0057);
    /// An operation that was cancelled: `E_ABORT`.
    pub const ABORT: HResult = HResult(0x8000_4004);
    /// Not text in the encoding asked for: `HRESULT_FROM_WIN32(ERROR_NO_UNICODE_TRANSLATION)`.
    pub const NO_UNICODE_TRANSLATION: HResult = HResult(0x8007_0459);

    /// A failure of a stream of your own.
    pub fn new(code: HResult, message: impl Into<Arc<str>>) -> Self {
        Self { code, message: message.into(), source: None }
    }

    /// The number of the failure.
    pub fn code(&self) -> HResult {
        self.code
    }

    /// What happened, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What kind of failure it is: what `WebSocketError.GetStatus` says of its [`code`](Self::code).
    pub fn status(&self) -> WebErrorStatus {
        WebErrorStatus::from_hresult(self.code)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}

impl From<wsduo::Error> for Error {
    fn from(error: wsduo::Error) -> Self {
        Self { code: error.hresult(), message: error.to_string().into(), source: Some(error) }
    }
}
