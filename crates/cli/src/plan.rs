//! What was typed, made into what is to be done: checked, with files read and defaults chosen.
//!
//! Nothing here prints a header or a part of a URL: they may hold secrets.

use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::time::Duration;

use wsduo::{
    ClientTls, Compression, Credential, Identity, MessageWebSocketControl, Proxy, RequestControl,
    SlowConsumer, SubscriptionControl,
};

use crate::args::{
    self, ClientArgs, Command, ConnectArgs, DoctorArgs, PingArgs, ServeArgs, ServeKind, Typed,
};
use crate::exit::Failure;
use crate::files;

/// How long a server's closing handshakes may take: a part of what it waits for them in all.
const SERVER_CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the clients of a broadcast wait for one that takes nothing.
const BROADCAST_WAIT_TIMEOUT: Duration = Duration::from_secs(5);

/// What to do.
#[derive(Debug)]
pub(crate) enum Plan {
    Connect(Box<Connect>),
    Ping(Box<Ping>),
    Doctor(Box<Doctor>),
    Serve(Box<Serve>),
    Transfer(Box<files::Transfer>),
    Demo,
    Completions(clap_complete::Shell),
    Man(Option<String>),
}

/// Connect, and pump.
#[derive(Debug)]
pub(crate) struct Connect {
    pub(crate) url: String,
    pub(crate) control: MessageWebSocketControl,
    pub(crate) session: Session,
    pub(crate) style: Style,
    /// The certificate is not checked.
    pub(crate) insecure: bool,
    /// Connect again after a loss.
    pub(crate) reconnect: bool,
}

/// Connect, and send pings.
#[derive(Debug)]
pub(crate) struct Ping {
    pub(crate) url: String,
    pub(crate) control: MessageWebSocketControl,
    /// End after so many pings.
    pub(crate) count: Option<u64>,
    pub(crate) interval: Duration,
    pub(crate) json: bool,
}

/// Connect, and tell all about it.
#[derive(Debug)]
pub(crate) struct Doctor {
    pub(crate) control: MessageWebSocketControl,
    /// As they were typed, to tell what could have been typed.
    pub(crate) client: ClientArgs,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) json: bool,
}

/// What to do with an open connection.
#[derive(Debug)]
pub(crate) struct Session {
    /// Sent before any input.
    pub(crate) messages: Vec<String>,
    pub(crate) input: Input,
    /// Whether `messages` and what is read are sent as binary messages.
    pub(crate) binary: bool,
    /// End after so many messages.
    pub(crate) count: Option<u64>,
    /// How long to go on after the end of input.
    pub(crate) wait: Duration,
    pub(crate) max_message: usize,
}

/// Where messages to send come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// There are none beside those of the command line.
    Nothing,
    /// Standard input: each line is a text message.
    Lines,
    /// Standard input, as it comes, in binary messages.
    Bytes,
    /// Lines edited at the terminal.
    Editor,
}

/// What messages look like on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// As they are, a line each.
    Lines,
    /// As they are, with nothing in between.
    Raw,
    /// One JSON event a line.
    Json,
    /// For people: control characters escaped, colours where wanted.
    Terminal,
}

/// Serve until told to stop.
#[derive(Debug)]
pub(crate) struct Serve {
    pub(crate) kind: ServeKind,
    /// What files, if any.
    pub(crate) files: Option<files::Plan>,
    /// How messages wait for the clients of a broadcast.
    pub(crate) broadcast: SubscriptionControl,
    pub(crate) listen: String,
    /// Listen there instead.
    #[cfg(unix)]
    pub(crate) unix: Option<std::path::PathBuf>,
    pub(crate) identity: Option<Identity>,
    pub(crate) requests: RequestControl,
    pub(crate) control: MessageWebSocketControl,
    pub(crate) max_connections: NonZeroUsize,
    pub(crate) max_connections_per_address: Option<NonZeroUsize>,
    /// From where the PROXY protocol is expected.
    pub(crate) proxy_protocol: Vec<String>,
    pub(crate) threads: Option<NonZeroUsize>,
    /// Where figures are served, if they are.
    pub(crate) metrics: Option<String>,
    /// How much is told on standard error: 0 nothing.
    pub(crate) verbose: u8,
}

/// Which of the standard streams are terminals.
#[derive(Clone, Copy, Debug)]
struct Terminals {
    input: bool,
    output: bool,
}

/// Says what `typed` means.
///
/// # Errors
/// [`Failure::Usage`] if it does not make sense or a file that it names cannot be used.
pub(crate) fn plan(typed: Typed) -> Result<Plan, Failure> {
    let terminals =
        Terminals { input: std::io::stdin().is_terminal(), output: std::io::stdout().is_terminal() };
    match (typed.command, typed.connect.0) {
        (Some(Command::Connect(args)), _) | (None, Some(args)) => {
            Ok(Plan::Connect(Box::new(connect(args, terminals)?)))
        }
        (Some(Command::Ping(args)), _) => Ok(Plan::Ping(Box::new(ping(args)?))),
        (Some(Command::Doctor(args)), _) => Ok(Plan::Doctor(Box::new(doctor(args)?))),
        (Some(Command::Serve(args)), _) => Ok(Plan::Serve(Box::new(serve(args)?))),
        (Some(Command::Send(args)), _) => Ok(Plan::Transfer(Box::new(files::plan_send(args)?))),
        (Some(Command::Receive(args)), _) => Ok(Plan::Transfer(Box::new(files::plan_receive(args)?))),
        (Some(Command::Demo), _) => Ok(Plan::Demo),
        (Some(Command::Completions { shell }), _) => Ok(Plan::Completions(shell)),
        (Some(Command::Man { subcommand }), _) => Ok(Plan::Man(subcommand)),
        (None, None) => Err(Failure::Usage("no URL is given; see wsduo --help".into())),
    }
}

fn connect(args: ConnectArgs, terminals: Terminals) -> Result<Connect, Failure> {
    let control = client_control(&args.client)?.subprotocols(args.subprotocol);
    let style = match terminals.output {
        _ if args.json => Style::Json,
        true => Style::Terminal,
        false if args.binary => Style::Raw,
        false => Style::Lines,
    };
    let input = match terminals.input {
        true if !args.binary && style == Style::Terminal => Input::Editor,
        // The messages of the command line are the input then. Reading on would take what belongs to the next command of
        // a script, or wait for an end that never comes.
        _ if !args.message.is_empty() => Input::Nothing,
        _ if args.binary => Input::Bytes,
        _ => Input::Lines,
    };
    let session = Session {
        messages: args.message,
        input,
        binary: args.binary,
        count: args.count,
        wait: args.wait,
        max_message: args.max_message,
    };
    Ok(Connect {
        url: args.client.url,
        control,
        session,
        style,
        insecure: args.client.insecure,
        reconnect: args.reconnect,
    })
}

fn ping(args: PingArgs) -> Result<Ping, Failure> {
    let control = client_control(&args.client)?;
    Ok(Ping { url: args.client.url, control, count: args.count, interval: args.interval, json: args.json })
}

fn doctor(args: DoctorArgs) -> Result<Doctor, Failure> {
    // Compression is offered to see whether the server has it.
    let control = client_control(&args.client)?
        .compression(Compression::new())
        .subprotocols(args.subprotocol.iter().cloned());
    Ok(Doctor { control, client: args.client, subprotocols: args.subprotocol, json: args.json })
}

/// The settings of every client.
///
/// # Errors
/// [`Failure::Usage`] if they do not make sense or a file that they name cannot be used.
pub(crate) fn client_control(args: &ClientArgs) -> Result<MessageWebSocketControl, Failure> {
    let mut control = MessageWebSocketControl::new()
        .tls(client_tls(args)?)
        // What we are slow to print, the peer is slow to send, and then to take. That is not a fault; a peer that is gone
        // is found out by a ping.
        .send_timeout(None)
        .redirects(args.redirects)
        .compression(args.compress.then(Compression::new));
    for (index, header) in args.header.iter().enumerate() {
        let Some((name, value)) = header.split_once(':') else {
            return Err(Failure::Usage(format!(
                "header {} has no colon; write it as -H 'name: value'",
                index + 1
            )));
        };
        control = control.header(name.trim(), value.trim());
    }
    if let Some(user) = &args.user {
        control = control.credential(credential(user, std::env::var("WSDUO_PASSWORD").ok()));
    }
    if let Some(timeout) = args.timeout {
        control = control.connect_timeout(timeout).total_connect_timeout(timeout);
    }
    if let Some(timeout) = args.connect_timeout {
        control = control.connect_timeout(timeout);
    }
    control = reaching(control, &args.resolve, args.proxy.as_deref())?.local_address(args.local_address);
    #[cfg(unix)]
    if let Some(path) = &args.unix_socket {
        control = control.unix_socket(path);
    }
    Ok(control)
}

/// What `--user` says. A password may have colons, a name has none.
fn credential(user: &str, from_environment: Option<String>) -> Credential {
    match user.split_once(':') {
        Some((name, password)) => Credential::new(name, password),
        None => Credential::new(user, from_environment.unwrap_or_default()),
    }
}

/// Where addresses come from, and which proxy the way leads through.
fn reaching(
    mut control: MessageWebSocketControl,
    resolve: &[String],
    proxy: Option<&str>,
) -> Result<MessageWebSocketControl, Failure> {
    for entry in resolve {
        let parts = entry.split_once(':').and_then(|(host, rest)| {
            let (port, address) = rest.split_once(':')?;
            let address = address.trim_start_matches('[').trim_end_matches(']');
            Some((host, port.parse().ok()?, address.parse().ok()?))
        });
        let Some((host, port, address)) = parts else {
            return Err(Failure::Usage(format!("--resolve {entry:?} is not of the form HOST:PORT:ADDR")));
        };
        control = control.resolve(host, port, [address]);
    }
    match proxy {
        None => Ok(control),
        Some("none") => Ok(control.proxy(Proxy::none())),
        Some(uri) => {
            let proxy = Proxy::new(uri).map_err(|error| Failure::Usage(format!("--proxy: {error}")))?;
            Ok(control.proxy(proxy))
        }
    }
}

fn client_tls(args: &ClientArgs) -> Result<ClientTls, Failure> {
    let mut tls = ClientTls::new();
    if let Some(path) = &args.ca {
        let pem = std::fs::read(path)
            .map_err(|error| Failure::Usage(format!("--ca: cannot read {}: {error}", path.display())))?;
        tls = tls
            .add_roots(pem)
            .map_err(|error| Failure::Usage(format!("--ca: {}: {error}", path.display())))?;
    }
    if let (Some(chain), Some(key)) = (&args.cert, &args.key) {
        let identity = Identity::from_pem_files(chain, key)
            .map_err(|error| Failure::Usage(format!("--cert and --key: {error}")))?;
        tls = tls.identity(identity);
    }
    for pin in &args.pin {
        tls = tls.pin_sha256(*pin);
    }
    Ok(if args.insecure { tls.danger_accept_any_certificate() } else { tls })
}

fn serve(args: ServeArgs) -> Result<Serve, Failure> {
    let Some((host, port)) = args.listen.rsplit_once(':') else {
        return Err(Failure::Usage(format!("--listen {:?} has no port; write HOST:PORT", args.listen)));
    };
    if port.parse::<u16>().is_err() {
        return Err(Failure::Usage(format!("--listen {:?} has no port from 0 to 65535", args.listen)));
    }
    if host.is_empty() {
        return Err(Failure::Usage(format!(
            "--listen {:?} has no host; 0.0.0.0 and [::] are all addresses of this machine",
            args.listen
        )));
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let identity = match (&args.tls_cert, &args.tls_key) {
        (Some(chain), Some(key)) => Some(Identity::from_pem_files(chain, key)),
        _ if args.self_signed => {
            let mut names = vec!["localhost", "127.0.0.1", "::1"];
            if !names.contains(&host) && !["0.0.0.0", "::"].contains(&host) {
                names.push(host);
            }
            Some(Identity::self_signed(names))
        }
        _ => None,
    };
    let identity = identity.transpose().map_err(|error| Failure::Usage(error.to_string()))?;
    let mut requests = RequestControl::new();
    for origin in &args.allow_origin {
        check_origin(origin)?;
        requests = if origin == "*" { requests.allow_any_origin() } else { requests.allow_origin(origin) };
    }
    if args.allow_origin.is_empty() && args.kind == ServeKind::Echo {
        requests = requests.allow_any_origin();
    }
    for host in &args.allow_host {
        check_host(host)?;
        requests = if host == "*" { requests.allow_any_host() } else { requests.allow_host(host) };
    }
    let requests = requests
        .trust_proxies(&args.trust_proxy)
        .map_err(|error| Failure::Usage(format!("--trust-proxy: {error}")))?;
    // Networks of the same form, which are read only when the listener is bound.
    RequestControl::new()
        .trust_proxies(&args.proxy_protocol)
        .map_err(|error| Failure::Usage(format!("--proxy-protocol: {error}")))?;
    let mut control = MessageWebSocketControl::new()
        .max_message_size(args.max_message)
        .close_timeout(SERVER_CLOSE_TIMEOUT)
        .compression(args.compress.then(Compression::new));
    let mut files = None;
    if args.kind == ServeKind::Files {
        files = Some(files::plan_serve(&args)?);
        control = files::control(control).subprotocols([files::SUBPROTOCOL]);
    } else if args.dir.is_some() {
        return Err(Failure::Usage("--dir is for serve files".into()));
    }
    Ok(Serve {
        kind: args.kind,
        files,
        broadcast: broadcast(&args),
        listen: args.listen,
        #[cfg(unix)]
        unix: args.unix,
        identity,
        requests,
        control,
        max_connections: args.max_connections,
        max_connections_per_address: args.max_connections_per_address,
        proxy_protocol: args.proxy_protocol,
        threads: args.threads,
        metrics: args.metrics,
        verbose: args.verbose,
    })
}

/// Refuses what no browser sends for an origin, so that nobody waits for it in vain.
fn check_origin(origin: &str) -> Result<(), Failure> {
    let is_one = origin.split_once("://").is_some_and(|(scheme, rest)| {
        !scheme.is_empty()
            && !rest.is_empty()
            && origin.is_ascii()
            && !rest.contains(['/', '?', '#', '@', '*', ' '])
    });
    if is_one || ["*", "null"].contains(&origin) {
        return Ok(());
    }
    let form = "write https://HOST or https://HOST:PORT with nothing behind it, null, or * alone for any";
    Err(Failure::Usage(format!("--allow-origin {origin:?} is no origin; {form}")))
}

/// Refuses what cannot be in a `Host` header.
fn check_host(host: &str) -> Result<(), Failure> {
    let is_one = !host.is_empty() && host.is_ascii() && !host.contains(['/', '?', '#', '@', '*', ' ']);
    if is_one || host == "*" {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "--allow-host {host:?} is no host; write HOST, HOST:PORT, or * alone for any"
    )))
}

/// How messages wait for the clients of a broadcast.
fn broadcast(args: &ServeArgs) -> SubscriptionControl {
    let policy = match args.slow_consumer {
        args::SlowConsumer::Wait => SlowConsumer::Wait,
        args::SlowConsumer::DropOldest => SlowConsumer::DropOldest,
        args::SlowConsumer::Latest => SlowConsumer::LatestOnly,
        args::SlowConsumer::Disconnect => SlowConsumer::Disconnect,
    };
    SubscriptionControl::new()
        .slow_consumer(policy)
        .max_messages(args.queue.get())
        .wait_timeout(BROADCAST_WAIT_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// What `connect` does with these arguments where standard input and output are terminals, or not.
    fn check(line: &str, input: bool, output: bool, expected: (Input, Style)) {
        let arguments = std::iter::once("wsduo").chain(line.split_whitespace()).chain(["ws://a/"]);
        let args = Typed::try_parse_from(arguments).unwrap().connect.0.unwrap();
        let plan = connect(args, Terminals { input, output }).unwrap();
        assert_eq!((plan.session.input, plan.style), expected, "{line} {input} {output}");
    }

    #[test]
    fn pipes_carry_lines_or_bytes() {
        check("", false, false, (Input::Lines, Style::Lines));
        check("--binary", false, false, (Input::Bytes, Style::Raw));
        check("--json", false, false, (Input::Lines, Style::Json));
        check("--json --binary", false, false, (Input::Bytes, Style::Json));
    }

    #[test]
    fn terminals_get_a_line_editor_and_escapes() {
        check("", true, true, (Input::Editor, Style::Terminal));
        check("", false, true, (Input::Lines, Style::Terminal));
        check("", true, false, (Input::Lines, Style::Lines));
        check("--binary", true, true, (Input::Bytes, Style::Terminal));
        check("--json", true, true, (Input::Lines, Style::Json));
    }

    #[test]
    fn with_messages_given_input_is_read_only_by_the_editor() {
        check("-m x", false, false, (Input::Nothing, Style::Lines));
        check("-m x", true, false, (Input::Nothing, Style::Lines));
        check("-m x", true, true, (Input::Editor, Style::Terminal));
        check("-m x --json", true, true, (Input::Nothing, Style::Json));
    }

    #[test]
    fn a_mistaken_way_to_the_server_is_refused_and_a_password_is_not_shown() {
        for (option, value) in [
            ("--proxy", "ftp://me:sesame@a"),
            ("--proxy", "http://me:ses/ame@a"),
            ("--resolve", "a:80"),
            ("--resolve", "a:80:b"),
            ("--resolve", "a:x:127.0.0.1"),
        ] {
            let args = Typed::try_parse_from(["wsduo", option, value, "ws://a/"]).unwrap().connect.0.unwrap();
            let failure = connect(args, Terminals { input: false, output: false }).unwrap_err();
            assert_eq!(failure.code(), 2);
            assert!(failure.to_string().starts_with(option), "{failure}");
            assert!(!failure.to_string().contains("ame"), "{failure}");
        }
        for resolve in ["a:80:127.0.0.1", "a:80:::1", "a:80:[::1]"] {
            assert!(reaching(MessageWebSocketControl::new(), &[resolve.into()], Some("none")).is_ok());
        }
    }

    #[test]
    fn the_password_is_behind_the_first_colon_or_in_the_environment() {
        let from_environment = || Some("secret".to_owned());
        assert_eq!(credential("ada", from_environment()), Credential::new("ada", "secret"));
        assert_eq!(credential("ada", None), Credential::new("ada", ""));
        assert_eq!(credential("ada:", from_environment()), Credential::new("ada", ""));
        assert_eq!(credential("ada:b:c", from_environment()), Credential::new("ada", "b:c"));
    }

    #[test]
    fn a_mistaken_header_is_not_shown() {
        let arguments = ["wsduo", "-H", "Authorization Bearer sesame", "ws://a/"];
        let args = Typed::try_parse_from(arguments).unwrap().connect.0.unwrap();
        let failure = connect(args, Terminals { input: false, output: false }).unwrap_err();
        assert_eq!(failure.code(), 2);
        assert!(!failure.to_string().contains("sesame"), "{failure}");
    }
}
