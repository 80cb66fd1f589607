//! What was typed. What it means, and whether it makes sense, is for [`crate::plan`] to say.

mod values;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum};

use self::values::{duration, metrics_address, pin, positive, size, threads};

const EXIT_CODES: &str = "\
Exit codes:
  0  all went well, or the peer closed with 1000 or 1001
  1  input or output of this side failed
  2  a mistake in the command line or in the input
  3  the host name could not be resolved
  4  no connection, or not in time, or the proxy made none
  5  TLS failed, or the certificate is not trusted
  6  the server answered with another HTTP status
  7  the peer broke the protocol or a limit
  8  the connection was lost, or closed with an error code
  9  a check failed, or the other end refused a file
  130, 143  ended by SIGINT, SIGTERM";

const SEND_EXAMPLES: &str = "\
Examples:
  wsduo send ws://HOST:8080/photos/ a.jpg b.jpg       into the folder photos
  wsduo send ws://HOST:8080/photos/cat.jpg a.jpg      under another name
  wsduo send ws://HOST:8080/ --resume video.mp4       goes on after an interruption
  tar cz . | wsduo send ws://HOST:8080/all.tgz -      standard input

A file is complete at the other end, with its SHA-256 checked, or it does not appear there at all: until then it is kept \
under a temporary name, .NAME.wsduo-part. What the other end refuses is exit code 9.";

const RECEIVE_EXAMPLES: &str = "\
Examples:
  wsduo receive ws://HOST:8080/photos/cat.jpg                one file, into this folder
  wsduo receive ws://HOST:8080/photos/ -o photos --resume    all files of a folder that are not here yet
  wsduo receive ws://HOST:8080/all.tgz -o - | tar tz         to standard output

A file is complete, with its SHA-256 checked, or it does not appear at all: until then it is kept under a temporary \
name, .NAME.wsduo-part. What the other end refuses, and what is here already, is exit code 9.";

const SERVE_EXAMPLES: &str = "\
Examples:
  wsduo serve echo --listen 127.0.0.1:8080
  wsduo serve files --dir photos --listen 0.0.0.0:8080              everybody can read
  wsduo serve files --dir inbox --write-only --listen 0.0.0.0:8080  everybody can add files";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  wsduo completions bash > ~/.local/share/bash-completion/completions/wsduo
  wsduo completions fish > ~/.config/fish/completions/wsduo.fish";

const MAN_EXAMPLES: &str = "\
Examples:
  wsduo man | man -l -
  wsduo man serve > ~/.local/share/man/man1/wsduo-serve.1";

/// WebSockets at the terminal and in scripts.
#[derive(Debug, Parser)]
#[command(
    name = "wsduo",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    override_usage = "wsduo [connect] [OPTIONS] URL\n       wsduo ping [OPTIONS] URL\n       wsduo doctor [OPTIONS] URL\n       wsduo send [OPTIONS] URL FILE...\n       wsduo receive [OPTIONS] URL [-o DIR|FILE]\n       wsduo serve [OPTIONS] [echo|broadcast|files]\n       wsduo demo\n       wsduo completions SHELL\n       wsduo man [SUBCOMMAND]",
    after_help = EXIT_CODES
)]
pub(crate) struct Typed {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) connect: Bare,
}

/// The arguments of `connect` without that word.
#[derive(Debug)]
pub(crate) struct Bare(pub(crate) Option<ConnectArgs>);

// By hand: derived, an `Option` of arguments that have arguments in common with others is never there.
impl Args for Bare {
    fn augment_args(command: clap::Command) -> clap::Command {
        ConnectArgs::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        ConnectArgs::augment_args_for_update(command)
    }
}

impl FromArgMatches for Bare {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let is_there = matches.contains_id("url");
        Ok(Self(is_there.then(|| ConnectArgs::from_arg_matches(matches)).transpose()?))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Connect to a server: lines of input are messages, messages are lines of output (`wsduo URL` is the same)
    #[command(after_help = EXIT_CODES)]
    Connect(ConnectArgs),
    /// Send pings and time the pongs, until Ctrl-C
    #[command(after_help = EXIT_CODES)]
    Ping(PingArgs),
    /// Try a connection stage by stage, and say in the last line what is wrong and what to try
    #[command(after_help = EXIT_CODES)]
    Doctor(DoctorArgs),
    /// Send files to `wsduo serve files --write`
    #[command(after_help = format!("{SEND_EXAMPLES}\n\n{EXIT_CODES}"))]
    Send(SendArgs),
    /// Receive files from `wsduo serve files`
    #[command(after_help = format!("{RECEIVE_EXAMPLES}\n\n{EXIT_CODES}"))]
    Receive(ReceiveArgs),
    /// Serve WebSockets, until SIGINT or SIGTERM
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeArgs),
    /// Serve and connect to oneself over TLS, and show what there is to know about the connection
    Demo,
    /// Print the completions for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or that of a subcommand
    #[command(after_help = MAN_EXAMPLES)]
    Man {
        /// The subcommand: connect, ping, serve
        #[arg(value_name = "SUBCOMMAND")]
        subcommand: Option<String>,
    },
}

/// What `connect` was given.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,

    /// Send TEXT first; may be repeated. Input is then read only at a terminal
    #[arg(short, long = "message", value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) message: Vec<String>,

    /// Send input as binary messages as it comes, and write messages as they are, without line ends
    #[arg(long)]
    pub(crate) binary: bool,

    /// End after N messages were received
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,

    /// How long to go on receiving after the end of input, counted from the last message: 500ms, 2s, 1m
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub(crate) wait: Duration,

    /// Offer a subprotocol; may be repeated, the preferred one first
    #[arg(long, value_name = "P")]
    pub(crate) subprotocol: Vec<String>,

    /// Print one JSON event a line: open, message, closed, error
    #[arg(long)]
    pub(crate) json: bool,

    /// Connect again when the connection is lost or the peer closes it, after a while that grows. -m is sent each time. Input
    /// waits meanwhile; what was sent just before the loss may not have arrived, and is not sent again
    #[arg(long)]
    pub(crate) reconnect: bool,

    /// Largest message to receive, unless --binary streams it, and longest line to send
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    pub(crate) max_message: usize,
}

/// What every client was given.
#[derive(Args, Clone, Debug)]
pub(crate) struct ClientArgs {
    /// Where to connect to: ws://HOST/PATH, ws://HOST:PORT/PATH or wss://…
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// How long connecting may take in all, from the name to the opening handshake. An open connection is not bounded by
    /// it [default: 60s for each stage]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// How long each stage of connecting may take: look-up, each address, proxy, TLS, opening handshake [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) connect_timeout: Option<Duration>,

    /// Connect through this proxy, or through none: http, https, socks5h, socks5, socks4a or socks4://HOST:PORT, with USER:PASSWORD@
    /// before the host where the proxy asks for it
    /// [default: what HTTP_PROXY (ws), HTTPS_PROXY (wss), ALL_PROXY and NO_PROXY say]
    #[arg(long, value_name = "URL|none")]
    pub(crate) proxy: Option<String>,

    /// Take ADDR for the address of HOST where the port is PORT; may be repeated
    #[arg(long, value_name = "HOST:PORT:ADDR")]
    pub(crate) resolve: Vec<String>,

    /// Connect to this Unix socket; the URL then says only what to ask for there
    #[cfg(unix)]
    #[arg(long, value_name = "PATH")]
    pub(crate) unix_socket: Option<PathBuf>,

    /// Connect from this address of this machine
    #[arg(long, value_name = "ADDR")]
    pub(crate) local_address: Option<std::net::IpAddr>,

    /// Offer compression (permessage-deflate)
    #[arg(long)]
    pub(crate) compress: bool,

    /// Add a header to the request; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,

    /// Who we are, should the server ask (schemes Basic and Digest). Without a password here, that of the environment
    /// variable WSDUO_PASSWORD is taken, which other users of this machine cannot see
    #[arg(short, long, value_name = "NAME[:PASSWORD]")]
    pub(crate) user: Option<String>,

    /// Follow up to N redirects. No Authorization, Cookie or --user goes to another server
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) redirects: u8,

    /// Trust the authorities in this PEM file as well as those of the platform
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// Show the certificate chain in this PEM file to a server that asks for one
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,

    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,

    /// Want the server to have this public key: its SHA-256 in hexadecimal, or as sha256//BASE64; may be repeated
    #[arg(long, value_name = "SHA256", value_parser = pin)]
    pub(crate) pin: Vec<[u8; 32]>,

    /// Accept any certificate: whoever sits in between can read and change everything
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// What `send` was given.
#[derive(Args, Clone, Debug)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,

    /// What to send; - is standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
}

/// What `receive` was given.
#[derive(Args, Clone, Debug)]
pub(crate) struct ReceiveArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,

    /// Where to write: a folder, or another name for the one file; - is standard output
    #[arg(short, long, value_name = "DIR|FILE", default_value = ".")]
    pub(crate) output: PathBuf,

    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
}

/// What `send` and `receive` have in common.
#[derive(Args, Clone, Debug)]
pub(crate) struct TransferArgs {
    /// Go on where an interrupted transfer ended, and pass over files that are there already and the same
    #[arg(long)]
    pub(crate) resume: bool,

    /// Replace files that are there already
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Print one JSON event a line: started, progress, finished, error
    #[arg(long)]
    pub(crate) json: bool,

    /// Show nothing but failures
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// What `ping` was given.
#[derive(Args, Clone, Debug)]
pub(crate) struct PingArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,

    /// End after N pings
    #[arg(short, long, value_name = "N")]
    pub(crate) count: Option<u64>,

    /// From one ping to the next, unless the answer takes longer
    #[arg(short, long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub(crate) interval: Duration,

    /// Print one JSON event a line: pong, lost, summary, error
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `doctor` was given.
#[derive(Args, Clone, Debug)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,

    /// Offer a subprotocol; may be repeated, the preferred one first
    #[arg(long, value_name = "P")]
    pub(crate) subprotocol: Vec<String>,

    /// Print one JSON event a line: proxy, resolve, connect, tunnel, tls, certificate, request, answer, extensions, subprotocol,
    /// ping, close, failed, verdict
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `serve` was given.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServeArgs {
    /// What to do with messages
    #[arg(value_enum, default_value_t = ServeKind::Echo)]
    pub(crate) kind: ServeKind,

    /// Address to listen on; port 0 takes a free one, which the first line of output tells
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: String,

    /// Listen on a Unix socket at this path instead, which is removed in the end
    #[cfg(unix)]
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    pub(crate) unix: Option<PathBuf>,

    /// Serve wss with the certificate chain in this PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Serve wss with a certificate made on the spot, which nobody trusts: for tests
    #[arg(long, conflicts_with_all = ["tls_cert", "tls_key"])]
    pub(crate) self_signed: bool,

    /// Largest message; whoever sends a larger one is closed with 1009
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    pub(crate) max_message: usize,

    /// Compress where clients offer it (permessage-deflate); costs memory and time for each of them
    #[arg(long)]
    pub(crate) compress: bool,

    /// Most connections at once; further clients wait
    #[arg(long, value_name = "N", default_value = "10000", value_parser = positive)]
    pub(crate) max_connections: NonZeroUsize,

    /// Most connections at once of one address, or one /64 of IPv6; further ones get a 503 [default: as many as in all]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) max_connections_per_address: Option<NonZeroUsize>,

    /// Threads to spread connections over [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Serve figures for Prometheus at http://HOST:PORT/metrics; a port alone is one of 127.0.0.1. Whoever can reach it can
    /// read them
    #[arg(long, value_name = "[HOST:]PORT", value_parser = metrics_address)]
    pub(crate) metrics: Option<String>,

    /// Tell on standard error which clients come and go, and which are refused; -vv: pings too
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Let web pages of this origin connect, or of any with '*'; may be repeated [default: echo, which has no secrets, any;
    /// broadcast and files only pages of the server's own host]
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) allow_origin: Vec<String>,

    /// broadcast: what happens to a client that does not take messages as fast as they come
    #[arg(long, value_enum, value_name = "POLICY", default_value_t = SlowConsumer::Wait)]
    pub(crate) slow_consumer: SlowConsumer,

    /// broadcast: most messages that wait for a client, within 1 MiB
    #[arg(long, value_name = "N", default_value = "1024", value_parser = positive)]
    pub(crate) queue: NonZeroUsize,

    /// Let clients call this server by this name alone, with or without a port, or by any with '*'; may be repeated [default: any;
    /// web pages on this machine only by localhost and the like]
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_host: Vec<String>,

    /// Believe what HTTP proxies in this network tell by X-Forwarded-For, -Host and -Proto: 10.0.0.0/8, 192.0.2.1 or unix; may be
    /// repeated
    #[arg(long, value_name = "NETWORK")]
    pub(crate) trust_proxy: Vec<String>,

    /// Expect the PROXY protocol, version 1 or 2, from proxies in this network; may be repeated
    #[arg(long, value_name = "NETWORK")]
    pub(crate) proxy_protocol: Vec<String>,

    /// files: the folder to serve, with all that is in it but hidden files. No link leads out of it
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// files: clients can read files, and nothing else. The default
    #[arg(long, requires = "dir", conflicts_with_all = ["write", "write_only"])]
    pub(crate) read_only: bool,

    /// files: clients can read files and write new ones
    #[arg(long, requires = "dir", conflicts_with = "write_only")]
    pub(crate) write: bool,

    /// files: clients can write new files, and read none
    #[arg(long, requires = "dir")]
    pub(crate) write_only: bool,

    /// files: clients that ask for it replace files that are there
    #[arg(long, requires = "dir")]
    pub(crate) overwrite: bool,

    /// files: largest file that clients can write; K, M, G and T are powers of 1,024
    #[arg(long, value_name = "BYTES", default_value = "16G", value_parser = size)]
    pub(crate) max_size: u64,
}

/// What is done about a client that does not follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SlowConsumer {
    /// Senders wait for it, for 5 s; then it is closed
    Wait,
    /// It misses the oldest messages
    DropOldest,
    /// It gets the newest message only
    Latest,
    /// It is closed at once
    Disconnect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServeKind {
    /// Send every message back as it came
    Echo,
    /// Send every message to all other clients
    Broadcast,
    /// Give and take files, for `wsduo receive` and `wsduo send`
    Files,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Typed, clap::Error> {
        Typed::try_parse_from(std::iter::once("wsduo").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definitions_are_consistent() {
        Typed::command().debug_assert();
    }

    #[test]
    fn a_bare_url_connects() {
        let typed = parse("--count 3 ws://a/ -m x").unwrap();
        assert!(typed.command.is_none());
        let connect = typed.connect.0.unwrap();
        assert_eq!((connect.client.url.as_str(), connect.count), ("ws://a/", Some(3)));
        assert_eq!(connect.message, ["x"]);

        let Some(Command::Connect(connect)) = parse("connect ws://a/ --json").unwrap().command else {
            panic!("not connect")
        };
        assert!(connect.json);
        assert_eq!(connect.wait, Duration::from_secs(1));
    }

    #[test]
    fn subcommands_need_no_url() {
        assert!(matches!(parse("demo").unwrap().command, Some(Command::Demo)));
        let Some(Command::Serve(serve)) = parse("serve").unwrap().command else { panic!("not serve") };
        assert_eq!((serve.kind, serve.max_message), (ServeKind::Echo, 1 << 20));
        let Some(Command::Serve(serve)) = parse("serve broadcast --threads 2").unwrap().command else {
            panic!("not serve")
        };
        assert_eq!(serve.kind, ServeKind::Broadcast);
    }

    #[test]
    fn mistakes_are_refused() {
        for line in [
            "--json",
            "connect",
            "ws://a/ --count x",
            "ws://a/ --wait soon",
            "ws://a/ --wait -1",
            "ping",
            "ping ws://a/ -c x",
            "ws://a/ --redirects 300",
            "wss://a/ --cert x",
            "wss://a/ --key x",
            "wss://a/ --pin x",
            "serve --tls-cert x",
            "serve --self-signed --tls-cert x --tls-key y",
            "serve --threads 0",
            "serve --metrics localhost",
            "serve --metrics 70000",
            "serve shout",
            "send ws://a/",
            "receive",
            "serve files --write",
            "serve files --dir x --read-only --write",
            "serve files --dir x --max-size big",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
