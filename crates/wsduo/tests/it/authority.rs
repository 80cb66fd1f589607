//! An authority of the tests' own, and servers that show what it made.

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use wsduo::{ClientTls, Identity, Listener, MessageWebSocketControl, ServerTls};

/// Makes certificates.
pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let (params, key) = (authority(name), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// One that this one vouches for.
    pub(crate) fn below(&self, name: &str) -> Self {
        self.below_with(authority(name))
    }

    pub(crate) fn below_with(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate of these properties, alone.
    pub(crate) fn issue(&self, params: &CertificateParams) -> Identity {
        self.issue_with(params, &[])
    }

    /// A certificate of these properties, followed by those of others.
    pub(crate) fn issue_with(&self, params: &CertificateParams, others: &[&Self]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        others.iter().for_each(|other| chain.push_str(&other.pem()));
        Identity::from_pem(chain, key.serialize_pem()).unwrap()
    }

    /// The certificate for a key of the caller's.
    pub(crate) fn issue_key(&self, params: &CertificateParams, key: &KeyPair) -> Certificate {
        params.signed_by(key, &self.issuer).unwrap()
    }

    /// A client that trusts this authority and no other.
    pub(crate) fn trusted(&self) -> ClientTls {
        ClientTls::new().add_roots(self.pem()).unwrap().only_added_roots()
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// A certificate for this name, good for long.
pub(crate) fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, format!("test of {name}"));
    params
}

pub(crate) fn self_signed(params: &CertificateParams) -> Identity {
    let key = KeyPair::generate().unwrap();
    Identity::from_pem(params.self_signed(&key).unwrap().pem(), key.serialize_pem()).unwrap()
}

/// An echo server: its port.
pub(crate) async fn serve(tls: impl Into<ServerTls>) -> u16 {
    let listener = Listener::bind("127.0.0.1:0").tls(tls).await.unwrap();
    let port = listener.local_address().unwrap().port();
    tokio::spawn(async move {
        loop {
            let incoming = listener.accept().await;
            tokio::spawn(async move {
                let request = incoming.request().await?;
                let mut socket = request.accept_message(&MessageWebSocketControl::new()).await?;
                socket.run(|message, replies| replies.send(message)).await
            });
        }
    });
    port
}
