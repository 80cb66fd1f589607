//! `docs/observability.md` names everything that is told, as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wsduo::http::StatusCode;
use wsduo::{
    ClientTls, CloseCode, Error, Identity, Listener, MessageWebSocketControl, Proxy, Request, RequestControl,
};

use crate::support::{Heard, Place, deaf, hear_network};

const DOCUMENT: &str = include_str!("../../../../docs/observability.md");

/// The cells of the table in a section whose first cell is code.
fn rows(section: &str) -> Vec<Vec<String>> {
    let (_, rest) = DOCUMENT.split_once(&format!("\n## {section}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// What stands between backticks.
fn code(cell: &str) -> BTreeSet<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A way through every place that tells something.
fn everything() -> Heard {
    hear_network(async {
        let identity = Identity::self_signed(["localhost"]).unwrap();
        let listener = Listener::bind("127.0.0.1:0").tls(identity).await.unwrap();
        let port = listener.local_address().unwrap().port();
        tokio::spawn(async move {
            loop {
                let incoming = listener.accept().await;
                tokio::spawn(async move {
                    let request = incoming.request().await?;
                    if request.path() == "/no" {
                        return request.refuse(StatusCode::FORBIDDEN).await;
                    }
                    let control = MessageWebSocketControl::new().max_message_size(10);
                    let mut socket = request.accept_message(&control).await?;
                    while socket.receive().await?.is_some() {}
                    Ok::<_, Error>(())
                });
            }
        });
        let control = MessageWebSocketControl::new()
            .tls(ClientTls::new().danger_accept_any_certificate())
            .proxy(Proxy::none());
        let mut socket = control.connect(&format!("wss://localhost:{port}/")).await.unwrap();
        socket.ping().await.unwrap();
        socket.send("more than ten bytes").await.unwrap();
        let _ = socket.receive().await;
        let refused = control.connect(&format!("wss://localhost:{port}/no")).await;
        assert!(refused.is_err());

        let proxy = Proxy::new(&format!("http://{}", proxy(port).await)).unwrap();
        let proxied = control.clone().proxy(proxy);
        let mut socket = proxied.connect(&format!("wss://localhost:{port}/")).await.unwrap();
        socket.close(CloseCode::NORMAL, "").await.unwrap();

        let deaf = deaf().await;
        assert!(tokio::time::timeout(Duration::from_millis(1), deaf.accept()).await.is_err());

        let (near, far) = tokio::io::duplex(1000);
        drop(near);
        assert!(Request::from_transport(far, &RequestControl::new()).await.is_err());
    })
}

/// An HTTP proxy that leads to this port, whatever it is asked for.
async fn proxy(port: u16) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    });
    address
}

#[test]
fn the_document_has_every_span_event_and_label_and_no_other() {
    let heard = everything();
    let (spans, events, metrics) = (rows("Spans"), rows("Events"), rows("Metrics"));

    let mut documented: BTreeSet<Place> = BTreeSet::new();
    for (is_span, rows) in [(true, &spans), (false, &events)] {
        for row in rows {
            let name = *code(&row[0]).first().unwrap();
            let name: &'static str = Box::leak(name.to_owned().into());
            let fields = code(&row[2]).into_iter().map(|it| &*Box::leak(it.to_owned().into_boxed_str()));
            documented.insert((is_span, name, row[1].clone(), fields.collect()));
        }
    }
    for place in &heard.places {
        assert!(documented.contains(place), "not in the document: {place:?}");
    }
    for place in &documented {
        assert!(heard.places.contains(place), "not told: {place:?}");
    }

    let labels: BTreeMap<&str, BTreeSet<&str>> =
        metrics.iter().map(|row| (*code(&row[0]).first().unwrap(), code(&row[3]))).collect();
    for metric in heard.metrics.keys() {
        let (name, told) = metric.split_once(' ').unwrap();
        let told: BTreeSet<&str> = told.split(' ').filter_map(|label| label.split('=').next()).collect();
        assert_eq!(labels.get(name), Some(&told), "{name}");
    }
}

/// Keeps descriptions: name, type, unit, meaning.
#[derive(Default)]
struct Descriptions(Mutex<BTreeSet<[String; 4]>>);

impl Descriptions {
    fn keep(&self, name: &KeyName, kind: &str, unit: Option<Unit>, text: &SharedString) {
        let unit = unit.unwrap().as_str().to_owned();
        self.0.lock().unwrap().insert([format!("`{}`", name.as_str()), kind.into(), unit, text.to_string()]);
    }
}

impl Recorder for Descriptions {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.keep(&name, "counter", unit, &text);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.keep(&name, "gauge", unit, &text);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.keep(&name, "histogram", unit, &text);
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn the_document_describes_metrics_as_the_recorder_is_told() {
    let descriptions = Descriptions::default();
    metrics::with_local_recorder(&descriptions, wsduo::describe_metrics);
    let documented: BTreeSet<[String; 4]> =
        rows("Metrics").into_iter().map(|row| [0, 1, 2, 4].map(|cell| row[cell].clone())).collect();
    assert_eq!(documented, *descriptions.0.lock().unwrap());
}
