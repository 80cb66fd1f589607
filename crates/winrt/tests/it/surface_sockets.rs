//! Every member of the original's sockets (spec §1 to §8) by its name here, with its default: one line each,
//! counted.
//!
//! A member that is missing does not compile, as each line names it with its type; one that is left out of a
//! table is missed in the count. What is not here on purpose stands in the documentation of the crate, with
//! the reason, and is counted too.

use std::cmp::Ordering;
use std::future::Ready;
use std::sync::Arc;
use std::time::Duration;

use wsduo::Bytes;
use wsduo_winrt::{
    AsyncOperation, BandwidthStatistics, Buffer, Certificate, ChainValidationResult, DataReader, DateTime,
    Deferral, Error, EventToken, HResult, HostName, HostNameType, IInputStream, IOutputStream, IWebSocket,
    IWebSocketControl, IWebSocketInformation, IWebSocketInformation2, Identity, MessageWebSocket,
    MessageWebSocketControl, MessageWebSocketInformation,
    MessageWebSocketMessageReceivedEventArgs as ReceivedArgs, MessageWebSocketReceiveMode,
    PasswordCredential, ServerMessageWebSocket, ServerMessageWebSocketControl,
    ServerMessageWebSocketInformation, ServerMessageWebSocketOptions, ServerStreamWebSocket,
    ServerStreamWebSocketInformation, ServerStreamWebSocketOptions, SocketMessageType,
    SocketSslErrorSeverity, StreamWebSocket, StreamWebSocketControl, StreamWebSocketInformation, Vector,
    WebErrorStatus, WebSocketClosedEventArgs as ClosedArgs, WebSocketError,
    WebSocketServerCustomValidationRequestedEventArgs as ValidationArgs,
};

use crate::support::{URI, pipes, serve};

/// Members by the names of the original, and how many of them there are. `as` fixes the type of each, and one
/// name is one member.
macro_rules! members {
    ($count:literal: $($name:literal => $member:expr),* $(,)?) => {{
        $(let _ = $member;)*
        let names = std::collections::BTreeSet::from([$($name),*]);
        assert_eq!((names.len(), [$($name),*].len()), ($count, $count));
        $count
    }};
}

type Fails<T> = Result<T, Error>;
type Get<S, T> = fn(&S) -> T;
type Set<S, T> = fn(&S, T) -> Fails<()>;
type Connect<S> = fn(&S, &str) -> AsyncOperation<()>;
type SetHeader<S> = fn(&S, &str, &str) -> Fails<()>;
type Close<S> = fn(&S, u16, &str) -> Fails<()>;
type SendFrame = fn(&MessageWebSocket, Buffer) -> AsyncOperation<u32>;
type Handler<S, A> = fn(S, A) -> Ready<()>;

/// An event: adding a handler, and removing it.
fn event<S, A>(_: fn(&S, Handler<S, A>) -> Fails<EventToken>, _: fn(&S, EventToken) -> Fails<()>) {}

fn message_web_socket() -> usize {
    type Socket = MessageWebSocket;
    members! { 13:
        "MessageWebSocket()" => Socket::new as fn() -> Socket,
        "Control" => Socket::control as Get<Socket, MessageWebSocketControl>,
        "Information" => Socket::information as Get<Socket, MessageWebSocketInformation>,
        "OutputStream" => Socket::output_stream as Get<Socket, Arc<dyn IOutputStream>>,
        "ConnectAsync" => Socket::connect as Connect<Socket>,
        "SetRequestHeader" => Socket::set_request_header as SetHeader<Socket>,
        "SendNonfinalFrameAsync" => Socket::send_nonfinal_frame as SendFrame,
        "SendFinalFrameAsync" => Socket::send_final_frame as SendFrame,
        "Close()" => Socket::close as fn(&Socket),
        "Close(code, reason)" => Socket::close_with_status as Close<Socket>,
        "MessageReceived" =>
            event::<Socket, ReceivedArgs>(Socket::message_received, Socket::remove_message_received),
        "Closed" => event::<Socket, ClosedArgs>(Socket::closed, Socket::remove_closed),
        "ServerCustomValidationRequested" =>
            event::<Socket, ValidationArgs>(
                Socket::server_custom_validation_requested,
                Socket::remove_server_custom_validation_requested,
            ),
    }
}

fn stream_web_socket() -> usize {
    type Socket = StreamWebSocket;
    members! { 11:
        "StreamWebSocket()" => Socket::new as fn() -> Socket,
        "Control" => Socket::control as Get<Socket, StreamWebSocketControl>,
        "Information" => Socket::information as Get<Socket, StreamWebSocketInformation>,
        "InputStream" => Socket::input_stream as Get<Socket, Arc<dyn IInputStream>>,
        "OutputStream" => Socket::output_stream as Get<Socket, Arc<dyn IOutputStream>>,
        "ConnectAsync" => Socket::connect as Connect<Socket>,
        "SetRequestHeader" => Socket::set_request_header as SetHeader<Socket>,
        "Close()" => Socket::close as fn(&Socket),
        "Close(code, reason)" => Socket::close_with_status as Close<Socket>,
        "Closed" => event::<Socket, ClosedArgs>(Socket::closed, Socket::remove_closed),
        "ServerCustomValidationRequested" =>
            event::<Socket, ValidationArgs>(
                Socket::server_custom_validation_requested,
                Socket::remove_server_custom_validation_requested,
            ),
    }
}

/// The eight that both controls have.
macro_rules! common_settings {
    ($control:ident) => {
        members! { 8:
            "OutboundBufferSizeInBytes" => (
                $control::outbound_buffer_size_in_bytes as Get<$control, u32>,
                $control::set_outbound_buffer_size_in_bytes as fn(&$control, u32),
            ),
            "ServerCredential" => (
                $control::server_credential as Get<$control, Option<PasswordCredential>>,
                $control::set_server_credential as Set<$control, Option<PasswordCredential>>,
            ),
            "ProxyCredential" => (
                $control::proxy_credential as Get<$control, Option<PasswordCredential>>,
                $control::set_proxy_credential as Set<$control, Option<PasswordCredential>>,
            ),
            "SupportedProtocols" => $control::supported_protocols as Get<$control, Vector<String>>,
            "IgnorableServerCertificateErrors" =>
                $control::ignorable_server_certificate_errors as Get<$control, Vector<ChainValidationResult>>,
            "DesiredUnsolicitedPongInterval" => (
                $control::desired_unsolicited_pong_interval as Get<$control, Option<Duration>>,
                $control::set_desired_unsolicited_pong_interval as Set<$control, Option<Duration>>,
            ),
            "ActualUnsolicitedPongInterval" =>
                $control::actual_unsolicited_pong_interval as Get<$control, Option<Duration>>,
            "ClientCertificate" => (
                $control::client_certificate as Get<$control, Option<Certificate>>,
                $control::set_client_certificate as Set<$control, Option<Certificate>>,
            ),
        }
    };
}

fn message_web_socket_control() -> usize {
    type Control = MessageWebSocketControl;
    common_settings!(Control)
        + members! { 3:
            "MaxMessageSize" =>
                (Control::max_message_size as Get<Control, u32>, Control::set_max_message_size as Set<Control, u32>),
            "MessageType" => (
                Control::message_type as Get<Control, SocketMessageType>,
                Control::set_message_type as fn(&Control, SocketMessageType),
            ),
            "ReceiveMode" => (
                Control::receive_mode as Get<Control, MessageWebSocketReceiveMode>,
                Control::set_receive_mode as Set<Control, MessageWebSocketReceiveMode>,
            ),
        }
}

fn stream_web_socket_control() -> usize {
    type Control = StreamWebSocketControl;
    common_settings!(Control)
        + members! { 1:
            "NoDelay" => (Control::no_delay as Get<Control, bool>, Control::set_no_delay as Set<Control, bool>),
        }
}

/// The three of every information.
macro_rules! common_information {
    ($information:ident) => {
        members! { 3:
            "LocalAddress" => $information::local_address as Get<$information, Option<HostName>>,
            "BandwidthStatistics" => $information::bandwidth_statistics as Get<$information, BandwidthStatistics>,
            "Protocol" => $information::protocol as Get<$information, Option<String>>,
        }
    };
}

/// The four of a client's.
macro_rules! client_information {
    ($information:ident) => {
        members! { 4:
            "ServerCertificate" => $information::server_certificate as Get<$information, Option<Certificate>>,
            "ServerCertificateErrorSeverity" =>
                $information::server_certificate_error_severity as Get<$information, SocketSslErrorSeverity>,
            "ServerCertificateErrors" =>
                $information::server_certificate_errors as Get<$information, Vec<ChainValidationResult>>,
            "ServerIntermediateCertificates" =>
                $information::server_intermediate_certificates as Get<$information, Vec<Certificate>>,
        }
    };
}

fn received_args() -> usize {
    members! { 4:
        "MessageType" => ReceivedArgs::message_type as Get<ReceivedArgs, SocketMessageType>,
        "GetDataReader" => ReceivedArgs::get_data_reader as Get<ReceivedArgs, Fails<DataReader>>,
        "GetDataStream" => ReceivedArgs::get_data_stream as Get<ReceivedArgs, Fails<Arc<dyn IInputStream>>>,
        "IsMessageComplete" => ReceivedArgs::is_message_complete as Get<ReceivedArgs, bool>,
    }
}

fn server_message_web_socket() -> usize {
    type Socket = ServerMessageWebSocket;
    members! { 7:
        "Control" => Socket::control as Get<Socket, ServerMessageWebSocketControl>,
        "Information" => Socket::information as Get<Socket, ServerMessageWebSocketInformation>,
        "OutputStream" => Socket::output_stream as Get<Socket, Arc<dyn IOutputStream>>,
        "Close()" => Socket::close as fn(&Socket),
        "Close(code, reason)" => Socket::close_with_status as Close<Socket>,
        "MessageReceived" =>
            event::<Socket, ReceivedArgs>(Socket::message_received, Socket::remove_message_received),
        "Closed" => event::<Socket, ClosedArgs>(Socket::closed, Socket::remove_closed),
    }
}

fn server_message_web_socket_control() -> usize {
    type Control = ServerMessageWebSocketControl;
    members! { 1:
        "MessageType" => (
            Control::message_type as Get<Control, SocketMessageType>,
            Control::set_message_type as fn(&Control, SocketMessageType),
        ),
    }
}

fn server_stream_web_socket() -> usize {
    type Socket = ServerStreamWebSocket;
    members! { 6:
        "Information" => Socket::information as Get<Socket, ServerStreamWebSocketInformation>,
        "InputStream" => Socket::input_stream as Get<Socket, Arc<dyn IInputStream>>,
        "OutputStream" => Socket::output_stream as Get<Socket, Arc<dyn IOutputStream>>,
        "Close()" => Socket::close as fn(&Socket),
        "Close(code, reason)" => Socket::close_with_status as Close<Socket>,
        "Closed" => event::<Socket, ClosedArgs>(Socket::closed, Socket::remove_closed),
    }
}

fn shared() -> [usize; 3] {
    let closed = members! { 2:
        "Code" => ClosedArgs::code as Get<ClosedArgs, u16>,
        "Reason" => ClosedArgs::reason as fn(&ClosedArgs) -> &str,
    };
    let validation = members! { 6:
        "ServerCertificate" => ValidationArgs::server_certificate as fn(&ValidationArgs) -> &Certificate,
        "ServerIntermediateCertificates" =>
            ValidationArgs::server_intermediate_certificates as fn(&ValidationArgs) -> &[Certificate],
        "ServerCertificateErrors" =>
            ValidationArgs::server_certificate_errors as fn(&ValidationArgs) -> &[ChainValidationResult],
        "ServerCertificateErrorSeverity" =>
            ValidationArgs::server_certificate_error_severity as Get<ValidationArgs, SocketSslErrorSeverity>,
        "Reject" => ValidationArgs::reject as fn(&ValidationArgs),
        "GetDeferral" => ValidationArgs::get_deferral as Get<ValidationArgs, Deferral>,
    };
    let error = members! { 1:
        "GetStatus" => WebSocketError::get_status as fn(HResult) -> WebErrorStatus,
    };
    [closed, validation, error]
}

/// What the documentation says is not there, and how many of the 93 members that is.
const ABSENT: [(&str, usize); 6] = [
    ("`ControlChannelTrigger`, `WebSocketKeepAlive`", 2),
    ("`TransferOwnership`, the socket broker, socket activity tasks", 0),
    ("App capabilities (`internetClient` and others), background tasks", 0),
    ("Marshalling to the thread of a user interface", 0),
    ("`HostName.IPInformation`", 0),
    ("`Closed` as a member of `IWebSocket`", 0),
];

#[test]
fn the_classes_of_sockets_have_93_members() {
    let client = message_web_socket()
        + message_web_socket_control()
        + common_information!(MessageWebSocketInformation)
        + client_information!(MessageWebSocketInformation)
        + received_args();
    assert_eq!(client, 35);
    let stream = stream_web_socket()
        + stream_web_socket_control()
        + common_information!(StreamWebSocketInformation)
        + client_information!(StreamWebSocketInformation);
    assert_eq!(stream, 27);
    let server = server_message_web_socket()
        + server_message_web_socket_control()
        + common_information!(ServerMessageWebSocketInformation)
        + server_stream_web_socket()
        + common_information!(ServerStreamWebSocketInformation);
    assert_eq!(server, 20);
    let absent: usize = ABSENT.iter().map(|(_, members)| members).sum();
    let shared = shared().iter().sum::<usize>() + absent;
    assert_eq!(shared, 11);
    assert_eq!(client + stream + server + shared, 93);
}

#[test]
fn what_is_not_there_is_what_the_documentation_says() {
    let rows = include_str!("../../src/lib.rs").lines().filter_map(|line| line.strip_prefix("//! | "));
    let absent = rows.filter_map(|row| {
        let (name, rest) = row.split_once(" | ")?;
        let (here, why) = rest.split_once(" | ")?;
        let is_absent = here == "not there";
        assert!(!is_absent || why.len() > 10, "no reason: {row}");
        is_absent.then_some(name)
    });
    assert_eq!(absent.collect::<Vec<_>>(), ABSENT.map(|(name, _)| name));
}

#[test]
fn interfaces_have_what_their_classes_have() {
    type Socket = dyn IWebSocket;
    type Control = dyn IWebSocketControl;
    type Information = dyn IWebSocketInformation;
    type Information2 = dyn IWebSocketInformation2;
    members! { 5: // Closed is in ABSENT.
        "OutputStream" => <Socket>::output_stream as Get<Socket, Arc<dyn IOutputStream>>,
        "ConnectAsync" => <Socket>::connect as Connect<Socket>,
        "SetRequestHeader" => <Socket>::set_request_header as SetHeader<Socket>,
        "Close()" => <Socket>::close as fn(&Socket),
        "Close(code, reason)" => <Socket>::close_with_status as Close<Socket>,
    };
    members! { 5: // IWebSocketControl2 too.
        "OutboundBufferSizeInBytes" => (
            <Control>::outbound_buffer_size_in_bytes as Get<Control, u32>,
            <Control>::set_outbound_buffer_size_in_bytes as fn(&Control, u32),
        ),
        "ServerCredential" => (
            <Control>::server_credential as Get<Control, Option<PasswordCredential>>,
            <Control>::set_server_credential as Set<Control, Option<PasswordCredential>>,
        ),
        "ProxyCredential" => (
            <Control>::proxy_credential as Get<Control, Option<PasswordCredential>>,
            <Control>::set_proxy_credential as Set<Control, Option<PasswordCredential>>,
        ),
        "SupportedProtocols" => <Control>::supported_protocols as Get<Control, Vector<String>>,
        "IgnorableServerCertificateErrors" =>
            <Control>::ignorable_server_certificate_errors as Get<Control, Vector<ChainValidationResult>>,
    };
    common_information!(Information);
    client_information!(Information2);
    let (message, stream) = (MessageWebSocket::new(), StreamWebSocket::new());
    let _: [&Socket; 2] = [&message, &stream];
    let _: [&Control; 2] = [&message.control(), &stream.control()];
    let _: [&Information2; 2] = [&message.information(), &stream.information()];
}

#[test]
fn bandwidth_statistics_have_6_fields() {
    let BandwidthStatistics {
        outbound_bits_per_second,
        inbound_bits_per_second,
        outbound_bits_per_second_instability,
        inbound_bits_per_second_instability,
        outbound_bandwidth_peaked,
        inbound_bandwidth_peaked,
        ..
    } = BandwidthStatistics::default();
    let numbers = [
        outbound_bits_per_second,
        inbound_bits_per_second,
        outbound_bits_per_second_instability,
        inbound_bits_per_second_instability,
    ];
    assert_eq!(numbers, [0_u64; 4]);
    assert_eq!([outbound_bandwidth_peaked, inbound_bandwidth_peaked], [false; 2]);
    assert_eq!(format!("{:?}", BandwidthStatistics::default()).matches(": ").count(), 6);
}

#[test]
fn the_types_beside_have_what_porting_needs() {
    members! { 8:
        "HostName(name)" => HostName::new as fn(&str) -> Fails<HostName>,
        "CanonicalName" => HostName::canonical_name as fn(&HostName) -> &str,
        "DisplayName" => HostName::display_name as fn(&HostName) -> &str,
        "RawName" => HostName::raw_name as fn(&HostName) -> &str,
        "Type" => HostName::host_name_type as Get<HostName, HostNameType>,
        "IsEqual" => HostName::is_equal as fn(&HostName, &HostName) -> bool,
        "ToString" => <HostName as ToString>::to_string as Get<HostName, String>,
        "Compare" => HostName::compare as fn(&str, &str) -> Ordering,
    };
    type Credential = PasswordCredential;
    members! { 5:
        "PasswordCredential(resource, user, password)" =>
            Credential::new as fn(&str, &str, &str) -> Fails<Credential>,
        "Resource" => Credential::resource as fn(&Credential) -> &str,
        "UserName" => Credential::user_name as fn(&Credential) -> &str,
        "Password" => Credential::password as fn(&Credential) -> &str,
        "RetrievePassword" => Credential::retrieve_password as fn(&Credential),
    };
    members! { 8:
        "Subject" => Certificate::subject as fn(&Certificate) -> &str,
        "Issuer" => Certificate::issuer as fn(&Certificate) -> &str,
        "ValidFrom" => Certificate::valid_from as Get<Certificate, DateTime>,
        "ValidTo" => Certificate::valid_to as Get<Certificate, DateTime>,
        "SerialNumber" => Certificate::serial_number as fn(&Certificate) -> &[u8],
        "GetHashValue()" => Certificate::get_hash_value as Get<Certificate, Vec<u8>>,
        "GetHashValue(algorithm)" => Certificate::get_hash_value_by as fn(&Certificate, &str) -> Fails<Vec<u8>>,
        "GetCertificateBlob" => Certificate::get_certificate_blob as Get<Certificate, Bytes>,
    };
    members! { 2:
        "Complete" => Deferral::complete as Get<Deferral, Fails<()>>,
        "Close" => drop as fn(Deferral),
    };
    type List = Vector<String>;
    members! { 9:
        "GetAt" => List::get_at as fn(&List, u32) -> Fails<String>,
        "Size" => List::size as Get<List, u32>,
        "IndexOf" => List::index_of as fn(&List, &str) -> Option<u32>,
        "SetAt" => List::set_at as fn(&List, u32, String) -> Fails<()>,
        "InsertAt" => List::insert_at as fn(&List, u32, String) -> Fails<()>,
        "RemoveAt" => List::remove_at as fn(&List, u32) -> Fails<()>,
        "Append" => List::append as Set<List, String>,
        "ReplaceAll" => List::replace_all as Set<List, Vec<String>>,
        "Clear" => List::clear as Get<List, Fails<()>>,
    };
}

fn has_the_common_defaults(control: &dyn IWebSocketControl) {
    assert!(control.outbound_buffer_size_in_bytes() > 0);
    assert!(control.server_credential().is_none() && control.proxy_credential().is_none());
    assert_eq!(control.supported_protocols().to_vec(), [""; 0]);
    assert_eq!(control.ignorable_server_certificate_errors().to_vec(), []);
}

#[test]
fn the_defaults_of_settings_are_those_of_the_original() {
    let control = MessageWebSocket::new().control();
    has_the_common_defaults(&control);
    assert_eq!(control.max_message_size(), u32::MAX);
    assert_eq!(control.message_type(), SocketMessageType::Binary);
    assert_eq!(control.receive_mode(), MessageWebSocketReceiveMode::FullMessage);
    assert_eq!(control.desired_unsolicited_pong_interval(), None);
    assert_eq!(control.actual_unsolicited_pong_interval(), None);
    assert!(control.client_certificate().is_none());

    let control = StreamWebSocket::new().control();
    has_the_common_defaults(&control);
    assert!(control.no_delay());
    assert_eq!(control.desired_unsolicited_pong_interval(), None);
    assert_eq!(control.actual_unsolicited_pong_interval(), None);
    assert!(control.client_certificate().is_none());

    let options = ServerMessageWebSocketOptions::default();
    assert_eq!((options.protocol, options.outbound_buffer_size_in_bytes), (None, None));
    assert_eq!((options.message_type, options.max_message_size), (SocketMessageType::Binary, u32::MAX));
    assert_eq!(options.receive_mode, MessageWebSocketReceiveMode::FullMessage);
    let options = ServerStreamWebSocketOptions::default();
    assert_eq!((options.protocol, options.outbound_buffer_size_in_bytes), (None, None));
    assert!(options.no_delay);
}

fn knows_nothing(information: &dyn IWebSocketInformation) {
    assert_eq!((information.local_address(), information.protocol()), (None, None));
    assert_eq!(information.bandwidth_statistics(), BandwidthStatistics::default());
}

#[tokio::test(start_paused = true)]
async fn an_information_knows_nothing_before_connecting() {
    fn client(information: &dyn IWebSocketInformation2) {
        assert_eq!(information.server_certificate(), None);
        assert_eq!(information.server_certificate_error_severity(), SocketSslErrorSeverity::None);
        assert_eq!(information.server_certificate_errors(), []);
        assert_eq!(information.server_intermediate_certificates(), []);
    }
    let (message, stream) = (MessageWebSocket::new().information(), StreamWebSocket::new().information());
    knows_nothing(&message);
    knows_nothing(&stream);
    client(&message);
    client(&stream);

    let (platform, mut servers) = pipes();
    let connecting = MessageWebSocket::with_platform(&platform);
    let _connecting = serve(connecting.connect(URI));
    let server = ServerMessageWebSocket::for_request(servers.request().await, Default::default());
    knows_nothing(&server.information());
    assert_eq!(server.control().message_type(), SocketMessageType::Binary);
    server.close();
}

/// Values by their numbers and names, as the original has them, and how many there are.
fn values<T: Copy + std::fmt::Debug>(all: &[T], number: fn(T) -> i32, names: &[(i32, &str)]) -> usize {
    let found: Vec<_> = all.iter().map(|value| (number(*value), format!("{value:?}"))).collect();
    let expected: Vec<_> = names.iter().map(|(number, name)| (*number, (*name).to_owned())).collect();
    assert_eq!(found, expected);
    names.len()
}

#[test]
fn the_enumerations_have_the_numbers_of_the_original() {
    assert_eq!(values(SocketMessageType::ALL, SocketMessageType::number, &[(0, "Binary"), (1, "Utf8")]), 2);
    let modes = [(0, "FullMessage"), (1, "PartialMessage")];
    assert_eq!(values(MessageWebSocketReceiveMode::ALL, MessageWebSocketReceiveMode::number, &modes), 2);
    let severities = [(0, "None"), (1, "Ignorable"), (2, "Fatal")];
    assert_eq!(values(SocketSslErrorSeverity::ALL, SocketSslErrorSeverity::number, &severities), 3);
    let kinds = [(0, "DomainName"), (1, "Ipv4"), (2, "Ipv6"), (3, "Bluetooth")];
    assert_eq!(values(HostNameType::ALL, HostNameType::number, &kinds), 4);
    let results = [
        (0, "Success"),
        (1, "Untrusted"),
        (2, "Revoked"),
        (3, "Expired"),
        (4, "IncompleteChain"),
        (5, "InvalidSignature"),
        (6, "WrongUsage"),
        (7, "InvalidName"),
        (8, "InvalidCertificateAuthorityPolicy"),
        (9, "BasicConstraintsError"),
        (10, "UnknownCriticalExtension"),
        (11, "RevocationInformationMissing"),
        (12, "RevocationFailure"),
        (13, "OtherErrors"),
    ];
    assert_eq!(values(ChainValidationResult::ALL, ChainValidationResult::number, &results), 14);
}

/// All 55, which are not in a row.
const STATUSES: &str = "0 Unknown, 1 CertificateCommonNameIsIncorrect, 2 CertificateExpired, \
    3 CertificateContainsErrors, 4 CertificateRevoked, 5 CertificateIsInvalid, 6 ServerUnreachable, 7 Timeout, \
    8 ErrorHttpInvalidServerResponse, 9 ConnectionAborted, 10 ConnectionReset, 11 Disconnected, \
    12 HttpToHttpsOnRedirection, 13 HttpsToHttpOnRedirection, 14 CannotConnect, 15 HostNameNotResolved, \
    16 OperationCanceled, 17 RedirectFailed, 18 UnexpectedStatusCode, 19 UnexpectedRedirection, \
    20 UnexpectedClientError, 21 UnexpectedServerError, 22 InsufficientRangeSupport, \
    23 MissingContentLengthSupport, 300 MultipleChoices, 301 MovedPermanently, 302 Found, 303 SeeOther, \
    304 NotModified, 305 UseProxy, 307 TemporaryRedirect, 400 BadRequest, 401 Unauthorized, 402 PaymentRequired, \
    403 Forbidden, 404 NotFound, 405 MethodNotAllowed, 406 NotAcceptable, 407 ProxyAuthenticationRequired, \
    408 RequestTimeout, 409 Conflict, 410 Gone, 411 LengthRequired, 412 PreconditionFailed, \
    413 RequestEntityTooLarge, 414 RequestUriTooLong, 415 UnsupportedMediaType, \
    416 RequestedRangeNotSatisfiable, 417 ExpectationFailed, 500 InternalServerError, 501 NotImplemented, \
    502 BadGateway, 503 ServiceUnavailable, 504 GatewayTimeout, 505 HttpVersionNotSupported";

#[test]
fn a_status_has_55_values() {
    let all = WebErrorStatus::ALL.iter().map(|status| format!("{} {status:?}", status.number()));
    let all: Vec<_> = all.collect();
    assert_eq!(all.len(), 55);
    assert_eq!(all.join(", "), STATUSES);
}

#[test]
fn sockets_may_be_used_from_any_thread() {
    fn agile<T: Send + Sync>(_: &T) {}
    let (message, stream) = (MessageWebSocket::new(), StreamWebSocket::new());
    agile(&(&message, message.control(), message.information(), message.output_stream()));
    agile(&(&stream, stream.control(), stream.information(), stream.input_stream()));
    fn types<T: Send + Sync>() {}
    types::<(ServerMessageWebSocket, ServerStreamWebSocket, ReceivedArgs, ClosedArgs, ValidationArgs)>();
    types::<(Deferral, Certificate, HostName, PasswordCredential, Identity)>();
}
