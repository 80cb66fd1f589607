//! A subscriber and a recorder that keep what they are told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::io::DuplexStream;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};
use wsduo::{Listener, MessageWebSocket, MessageWebSocketControl, Role};

/// Fields by name, as text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields(BTreeMap<&'static str, String>);

impl Fields {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The values of these fields, `-` where there is none.
    pub(crate) fn all<const N: usize>(&self, names: [&str; N]) -> [&str; N] {
        names.map(|name| self.get(name).unwrap_or("-"))
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

/// An event, with the span that it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) name: &'static str,
    pub(crate) fields: Fields,
    pub(crate) span: Option<(&'static str, Fields)>,
}

impl Told {
    /// A field of its span.
    pub(crate) fn of_span(&self, name: &str) -> Option<&str> {
        self.span.as_ref()?.1.get(name)
    }
}

/// A place in the code that tells something: whether a span, its name, level and fields.
pub(crate) type Place = (bool, &'static str, String, BTreeSet<&'static str>);

/// What was told to a subscriber and to a recorder.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) events: Vec<Told>,
    pub(crate) places: BTreeSet<Place>,
    pub(crate) metrics: BTreeMap<String, DebugValue>,
}

impl Heard {
    /// The events that have this name.
    pub(crate) fn named(&self, name: &str) -> Vec<&Told> {
        self.events.iter().filter(|event| event.name == name).collect()
    }

    /// The only event that has this name.
    #[track_caller]
    pub(crate) fn one(&self, name: &str) -> &Told {
        let [event] = self.named(name)[..] else { panic!("not one {name}: {self:#?}") };
        event
    }

    /// The events of connections of this role, in order.
    pub(crate) fn names(&self, role: &str) -> Vec<&str> {
        let of_role = self.events.iter().filter(|event| event.of_span("role") == Some(role));
        of_role.map(|event| event.name).collect()
    }

    pub(crate) fn counter(&self, name: &str) -> Option<u64> {
        match self.metrics.get(name)? {
            DebugValue::Counter(value) => Some(*value),
            other => panic!("{name} is {other:?}"),
        }
    }

    pub(crate) fn gauge(&self, name: &str) -> Option<f64> {
        match self.metrics.get(name)? {
            DebugValue::Gauge(value) => Some(value.0),
            other => panic!("{name} is {other:?}"),
        }
    }

    pub(crate) fn histogram(&self, name: &str) -> Vec<f64> {
        match self.metrics.get(name) {
            Some(DebugValue::Histogram(values)) => values.iter().map(|value| value.0).collect(),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// All that anybody could read anywhere.
    pub(crate) fn text(&self) -> String {
        format!("{self:?}")
    }
}

#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Heard>>);

impl Capture {
    fn place(&self, metadata: &'static Metadata<'static>) {
        let fields = metadata.fields().iter().map(|field| field.name()).filter(|name| *name != "message");
        let place = (metadata.is_span(), metadata.name(), metadata.level().to_string(), fields.collect());
        self.0.lock().unwrap().places.insert(place);
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Capture {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target() != "wsduo" {
            return;
        }
        self.place(attributes.metadata());
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(fields) = context.span(id).unwrap().extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != "wsduo" {
            return;
        }
        self.place(event.metadata());
        let mut fields = Fields::default();
        event.record(&mut fields);
        let span = context
            .event_span(event)
            .map(|span| (span.name(), span.extensions().get::<Fields>().cloned().unwrap_or_default()));
        let told = Told { name: event.metadata().name(), fields, span };
        self.0.lock().unwrap().events.push(told);
    }
}

/// What is told while the future runs, on a clock that stands still.
pub(crate) fn hear(future: impl Future<Output = ()>) -> Heard {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    hear_on(&runtime.unwrap(), future)
}

/// What is told while the future runs, on the network and its clock.
pub(crate) fn hear_network(future: impl Future<Output = ()>) -> Heard {
    hear_on(&tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(), future)
}

fn hear_on(runtime: &tokio::runtime::Runtime, future: impl Future<Output = ()>) -> Heard {
    let capture = Capture::default();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let subscriber = Registry::default().with(capture.clone());
    metrics::with_local_recorder(&recorder, || {
        tracing::subscriber::with_default(subscriber, || runtime.block_on(future));
    });
    let mut heard = std::mem::take(&mut *capture.0.lock().unwrap());
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let mut labels: Vec<_> =
            key.key().labels().map(|it| format!("{}={}", it.key(), it.value())).collect();
        labels.sort();
        heard.metrics.insert(format!("{} {}", key.key().name(), labels.join(" ")), value);
    }
    heard
}

/// A listener that accepts nothing, as its socket does not listen.
pub(crate) async fn deaf() -> Listener {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    Listener::from_std(std::net::TcpListener::from(socket)).await.unwrap()
}

/// A client and a server.
pub(crate) fn pair() -> (MessageWebSocket<DuplexStream>, MessageWebSocket<DuplexStream>) {
    pair_with(&MessageWebSocketControl::new())
}

pub(crate) fn pair_with(
    control: &MessageWebSocketControl,
) -> (MessageWebSocket<DuplexStream>, MessageWebSocket<DuplexStream>) {
    let (near, far) = tokio::io::duplex(64 << 10);
    (control.from_transport(near, Role::Client), control.from_transport(far, Role::Server))
}
