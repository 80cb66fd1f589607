//! The look at a server's certificate that a program takes itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use wsduo::{ClientTls, ServerCertificate};

use crate::certificate::Certificate;
use crate::core::Core;
use crate::enums::{ChainValidationResult, SocketSslErrorSeverity};
use crate::error::Error;

/// What a server showed, to be rejected or let pass. It was found good before, but for what is ignored.
///
/// The connection waits for the handler's future and for every [deferral](Self::get_deferral), for no longer
/// than TLS may take.
#[derive(Clone, Debug)]
pub struct WebSocketServerCustomValidationRequestedEventArgs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    leaf: Certificate,
    intermediates: Vec<Certificate>,
    errors: Vec<ChainValidationResult>,
    severity: SocketSslErrorSeverity,
    is_rejected: AtomicBool,
    /// How many deferrals are not complete.
    deferrals: watch::Sender<usize>,
}

/// Keeps the connection waiting until it is complete, or dropped.
#[derive(Debug)]
pub struct Deferral {
    shared: Arc<Shared>,
    is_complete: AtomicBool,
}

impl WebSocketServerCustomValidationRequestedEventArgs {
    fn new(shown: &ServerCertificate) -> Result<Self, Error> {
        let certificate = |der: &[u8]| Certificate::from_blob(der.to_vec());
        let shared = Shared {
            leaf: certificate(shown.leaf())?,
            intermediates: shown.intermediates().map(certificate).collect::<Result<_, _>>()?,
            errors: shown.errors().iter().copied().map(Into::into).collect(),
            severity: shown.severity().into(),
            is_rejected: AtomicBool::new(false),
            deferrals: watch::Sender::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The certificate of the server itself.
    pub fn server_certificate(&self) -> &Certificate {
        &self.shared.leaf
    }

    /// The others that it showed, in its order.
    pub fn server_intermediate_certificates(&self) -> &[Certificate] {
        &self.shared.intermediates
    }

    /// What is wrong with it and is ignored.
    pub fn server_certificate_errors(&self) -> &[ChainValidationResult] {
        &self.shared.errors
    }

    /// How bad that is.
    pub fn server_certificate_error_severity(&self) -> SocketSslErrorSeverity {
        self.shared.severity
    }

    /// Rejects it: connecting fails with `0x800C000E` (`INET_E_SECURITY_PROBLEM`).
    pub fn reject(&self) {
        self.shared.is_rejected.store(true, Ordering::Release);
    }

    /// Has the connection wait beyond the end of the handler's future.
    pub fn get_deferral(&self) -> Deferral {
        self.shared.deferrals.send_modify(|deferrals| *deferrals += 1);
        Deferral { shared: Arc::clone(&self.shared), is_complete: AtomicBool::new(false) }
    }
}

impl Deferral {
    /// The validation is done.
    ///
    /// # Errors
    /// [`Error::ILLEGAL_METHOD_CALL`] the second time.
    pub fn complete(&self) -> Result<(), Error> {
        if self.is_complete.swap(true, Ordering::AcqRel) {
            return Err(Error::new(Error::ILLEGAL_METHOD_CALL, "this deferral is complete already"));
        }
        self.shared.deferrals.send_modify(|deferrals| *deferrals -= 1);
        Ok(())
    }
}

impl Drop for Deferral {
    fn drop(&mut self) {
        let _ = self.complete();
    }
}

/// These settings of TLS, with the handlers of the socket asked, if it has any.
pub(crate) fn with_handlers(tls: ClientTls, core: &Arc<Core>) -> ClientTls {
    if core.validation.is_empty() {
        return tls;
    }
    // The handlers belong to the socket, which connects with this: no reference may go round.
    let core = Arc::downgrade(core);
    tls.validate(move |shown| {
        let core = core.upgrade();
        async move {
            let core = core.ok_or("the socket is gone")?;
            let args = WebSocketServerCustomValidationRequestedEventArgs::new(&shown)
                .map_err(|error| error.message().to_owned())?;
            let all_well = core.validation.raise(&core, &args).await;
            let _ = args.shared.deferrals.subscribe().wait_for(|deferrals| *deferrals == 0).await;
            if !all_well {
                return Err("a handler of the validation panicked".into());
            }
            if args.shared.is_rejected.load(Ordering::Acquire) {
                return Err("a handler of the validation rejected it".into());
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        }
    })
}
