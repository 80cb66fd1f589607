//! What a certificate says of itself.

use std::net::IpAddr;
use std::time::SystemTime;

use serde_json::{Value, json};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Names shown of one certificate.
const MAX_NAMES: usize = 10;

/// What people want to know of a certificate.
#[derive(Debug)]
pub(crate) struct Certificate {
    subject: String,
    issuer: String,
    not_before: String,
    pub(crate) not_after: String,
    pub(crate) names: Vec<String>,
    /// Until it expires, in whole days; negative afterwards.
    pub(crate) days_left: i64,
    is_begun: bool,
    is_self_issued: bool,
}

impl Certificate {
    /// Reads a certificate in DER form; `None` if it is none.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        let now = i64::try_from(now).ok()?;
        let validity = certificate.validity();
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.map(|names| names.value.general_names.iter().filter_map(name).collect());
        let seconds_left = validity.not_after.timestamp().saturating_sub(now);
        Some(Self {
            subject: shown(&certificate.subject().to_string()),
            issuer: shown(&certificate.issuer().to_string()),
            not_before: validity.not_before.to_datetime().date().to_string(),
            not_after: validity.not_after.to_datetime().date().to_string(),
            names: names.unwrap_or_default(),
            days_left: seconds_left.div_euclid(24 * 60 * 60),
            is_begun: validity.not_before.timestamp() <= now,
            is_self_issued: certificate.subject() == certificate.issuer(),
        })
    }

    /// Its names, as many as fit on a line.
    pub(crate) fn names(&self) -> String {
        let shown = self.names.iter().take(MAX_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
        match self.names.len().saturating_sub(MAX_NAMES) {
            0 => shown,
            more => format!("{shown} and {more} more"),
        }
    }

    pub(crate) fn describe(&self) -> String {
        let issued = if self.is_self_issued { "itself" } else { &self.issuer };
        let Self { subject, not_before, not_after, .. } = self;
        let mut text = format!("{subject}, issued by {issued}, valid {not_before} to {not_after}");
        if !self.names.is_empty() {
            text += &format!(", names {}", self.names());
        }
        match self.fault() {
            Some(fault) => format!("{text}: {fault}"),
            None => text,
        }
    }

    pub(crate) fn event(&self) -> Value {
        json!({
            "event": "certificate",
            "subject": self.subject,
            "issuer": self.issuer,
            "not_before": self.not_before,
            "not_after": self.not_after,
            "names": self.names,
            "fault": self.fault(),
        })
    }

    /// What is wrong with it by itself.
    fn fault(&self) -> Option<&'static str> {
        match (self.is_begun, self.days_left) {
            (false, _) => Some("not valid yet"),
            (true, ..0) => Some("expired"),
            (true, _) => None,
        }
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(shown(name)),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// What its maker chose, cut to a length that people read.
fn shown(text: &str) -> String {
    const SHOWN: usize = 100;
    match text.char_indices().nth(SHOWN) {
        None if text.is_empty() => "no name".to_owned(),
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
