//! A mail server that is strict about the conversation (RFC 5321, 3207, 4954) and about what a mail looks like.
//!
//! Owns: the server. **Invariant:** a line out of order, too long or not ended by CRLF is an error that the test sees.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tollgate_config::{AlertWay, Mail, MailTls, Secret};

/// A mail that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) is_encrypted: bool,
    pub(crate) login: Option<(String, String)>,
    /// Without the full stops that were doubled on the way.
    pub(crate) text: String,
}

/// How the server behaves.
#[derive(Debug, Clone)]
pub(crate) struct Manners {
    pub(crate) tls: MailTls,
    /// What it offers in answer to EHLO, beside STARTTLS.
    pub(crate) extensions: Vec<&'static str>,
    /// Name and password that it wants.
    pub(crate) login: Option<(&'static str, &'static str)>,
    /// Recipients that it refuses, with the reply.
    pub(crate) refused: Vec<(&'static str, &'static str)>,
    /// What it says to the next commands of a name, in place of its own answer.
    pub(crate) says: Vec<(&'static str, &'static str)>,
    /// What comes along with the answer to STARTTLS, unencrypted.
    pub(crate) injects: &'static str,
    /// It offers STARTTLS where it has it.
    pub(crate) offers_tls: bool,
}

impl Manners {
    pub(crate) fn new(tls: MailTls) -> Self {
        Self {
            tls,
            extensions: vec!["SIZE 10000000", "8BITMIME"],
            login: None,
            refused: Vec::new(),
            says: Vec::new(),
            injects: "",
            offers_tls: true,
        }
    }
}

#[derive(Debug, Default)]
struct Notes {
    letters: Vec<Letter>,
    broken: Vec<String>,
    commands: Vec<String>,
}

/// The server.
pub(crate) struct MailServer {
    pub(crate) address: SocketAddr,
    /// Who signed its certificate, for `localhost`.
    pub(crate) root: CertificateDer<'static>,
    notes: Arc<Mutex<Notes>>,
    tls: MailTls,
}

struct Session {
    manners: Arc<Mutex<Manners>>,
    notes: Arc<Mutex<Notes>>,
    is_encrypted: bool,
    login: Option<(String, String)>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl MailServer {
    pub(crate) async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (root, config) = certificate();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (tls, notes) = (manners.tls, Arc::new(Mutex::new(Notes::default())));
        let (noting, manners) = (Arc::clone(&notes), Arc::new(Mutex::new(manners)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Its replies are many small pieces, each of which would wait for the acknowledgement of the last.
                stream.set_nodelay(true).unwrap();
                let (notes, manners, acceptor) =
                    (Arc::clone(&noting), Arc::clone(&manners), acceptor.clone());
                tokio::spawn(async move {
                    let session =
                        Session { manners, notes, is_encrypted: tls == MailTls::Implicit, login: None };
                    let notes = Arc::clone(&session.notes);
                    let stream: Box<dyn Stream> = match tls {
                        MailTls::Implicit => match acceptor.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                        _ => Box::new(stream),
                    };
                    if let Err(broken) = session.serve(stream, &acceptor).await {
                        notes.lock().unwrap().broken.push(broken);
                    }
                });
            }
        });
        Self { address, root, notes, tls }
    }

    /// How mail is handed in here for these.
    pub(crate) fn way(&self, login: Option<(&str, &str)>, to: &[&str]) -> AlertWay {
        AlertWay::Email(Box::new(Mail {
            // A name is looked up beside the runtime's clock, which some tests move.
            host: if self.tls == MailTls::None { "127.0.0.1" } else { "localhost" }.to_owned(),
            port: self.address.port(),
            tls: self.tls,
            login: login.map(|(user, password)| (user.to_owned(), Secret::new(password))),
            sender: "tollgate@example.com".to_owned(),
            to: to.iter().map(|to| (*to).to_owned()).collect(),
        }))
    }

    /// What was taken; nothing broke a rule.
    pub(crate) fn letters(&self) -> Vec<Letter> {
        let notes = self.notes.lock().unwrap();
        assert_eq!(notes.broken, [] as [String; 0]);
        notes.letters.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.notes.lock().unwrap().letters.len()
    }

    /// The verbs of all commands so far.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.notes.lock().unwrap().commands.clone()
    }
}

fn certificate() -> (CertificateDer<'static>, ServerConfig) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let root = authority.self_signed(&authority_key).unwrap().der().clone();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    (root, config)
}

/// One line with its CRLF, which is cut off; `None` at the end.
async fn line(stream: &mut dyn Stream, read: &mut Vec<u8>) -> Result<Option<String>, String> {
    loop {
        if let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = read.drain(..=end).collect();
            let line = String::from_utf8(line).map_err(|_| "not ASCII".to_owned())?;
            let bare = line.strip_suffix("\r\n").ok_or(format!("no CRLF: {line:?}"))?;
            if bare.len() > 998 || !bare.is_ascii() || bare.contains('\r') {
                return Err(format!("a line that is too long or odd: {bare:?}"));
            }
            return Ok(Some(bare.to_owned()));
        }
        if stream.read_buf(read).await.unwrap_or(0) == 0 {
            return if read.is_empty() { Ok(None) } else { Err(format!("half a line: {read:?}")) };
        }
    }
}

async fn say(stream: &mut dyn Stream, text: &str) {
    let _ = stream.write_all(format!("{text}\r\n").as_bytes()).await;
    let _ = stream.flush().await;
}

fn decoded(text: &str) -> Result<String, String> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

impl Session {
    fn manners(&self) -> Manners {
        self.manners.lock().unwrap().clone()
    }

    /// What was to be said in place of the answer, once.
    fn instead(&self, verb: &str) -> Option<&'static str> {
        let mut manners = self.manners.lock().unwrap();
        let at = manners.says.iter().position(|(of, _)| *of == verb)?;
        Some(manners.says.remove(at).1)
    }

    async fn serve(mut self, stream: Box<dyn Stream>, acceptor: &TlsAcceptor) -> Result<(), String> {
        let mut stream = stream;
        let mut read = Vec::new();
        let greeting = self.instead("greeting").unwrap_or("220-mail.test\r\n220 ready");
        say(&mut *stream, greeting).await;
        let (mut is_greeted, mut from, mut to): (bool, Option<String>, Vec<String>) =
            (false, None, Vec::new());
        while let Some(command) = line(&mut *stream, &mut read).await? {
            let verb = command.split([' ', ':']).next().unwrap_or_default().to_owned();
            self.notes.lock().unwrap().commands.push(verb.clone());
            if let Some(instead) = self.instead(&verb) {
                say(&mut *stream, instead).await;
                continue;
            }
            match verb.as_str() {
                "EHLO" => {
                    let name = command.strip_prefix("EHLO ").unwrap_or_default();
                    if name.is_empty() || name.contains(' ') {
                        return Err(format!("no name: {command}"));
                    }
                    (is_greeted, from) = (true, None);
                    self.offer(&mut *stream).await;
                }
                _ if !is_greeted => return Err(format!("before EHLO: {command}")),
                "STARTTLS" => {
                    let injects = self.manners().injects;
                    say(
                        &mut *stream,
                        &format!("220 go on{}{injects}", if injects.is_empty() { "" } else { "\r\n" }),
                    )
                    .await;
                    match acceptor.accept(stream).await {
                        Ok(secured) => stream = Box::new(secured),
                        Err(_) => return Ok(()),
                    }
                    (is_greeted, self.is_encrypted) = (false, true);
                }
                "AUTH" => self.log_in(&mut *stream, &mut read, &command).await?,
                "MAIL" => {
                    let sender = command.strip_prefix("MAIL FROM:<").and_then(|rest| rest.strip_suffix('>'));
                    let sender = sender.ok_or(format!("no sender: {command}"))?;
                    if self.manners().login.is_some() && self.login.is_none() {
                        say(&mut *stream, "530 log in first").await;
                        continue;
                    }
                    (from, to) = (Some(sender.to_owned()), Vec::new());
                    say(&mut *stream, "250 good").await;
                }
                "RCPT" => {
                    let recipient = command.strip_prefix("RCPT TO:<").and_then(|rest| rest.strip_suffix('>'));
                    let recipient = recipient.ok_or(format!("no recipient: {command}"))?;
                    if from.is_none() {
                        return Err("a recipient before the sender".to_owned());
                    }
                    let refused = self.manners().refused.into_iter().find(|(name, _)| *name == recipient);
                    match refused {
                        Some((_, reply)) => say(&mut *stream, reply).await,
                        None => {
                            to.push(recipient.to_owned());
                            say(&mut *stream, "250 good").await;
                        }
                    }
                }
                "DATA" => {
                    let sender = from.take().filter(|_| !to.is_empty()).ok_or("DATA out of order")?;
                    say(&mut *stream, "354 go on").await;
                    let text = letter(&mut *stream, &mut read).await?;
                    check(&text)?;
                    let taken = Letter {
                        from: sender,
                        to: std::mem::take(&mut to),
                        is_encrypted: self.is_encrypted,
                        login: self.login.clone(),
                        text,
                    };
                    let reply = self.instead("end of DATA").unwrap_or("250 taken");
                    if reply.starts_with('2') {
                        self.notes.lock().unwrap().letters.push(taken);
                    }
                    say(&mut *stream, reply).await;
                }
                "QUIT" => {
                    say(&mut *stream, "221 bye").await;
                    return Ok(());
                }
                _ => return Err(format!("an unknown command: {command}")),
            }
        }
        Ok(())
    }

    async fn offer(&self, stream: &mut dyn Stream) {
        let manners = self.manners();
        let mut lines = vec!["mail.test".to_owned()];
        lines.extend(manners.extensions.iter().map(|it| (*it).to_owned()));
        if manners.tls == MailTls::Starttls && manners.offers_tls && !self.is_encrypted {
            lines.push("STARTTLS".to_owned());
        }
        let last = lines.len() - 1;
        for (at, text) in lines.iter().enumerate() {
            say(stream, &format!("250{}{text}", if at == last { ' ' } else { '-' })).await;
        }
    }

    async fn log_in(
        &mut self,
        stream: &mut dyn Stream,
        read: &mut Vec<u8>,
        command: &str,
    ) -> Result<(), String> {
        let login = if let Some(proof) = command.strip_prefix("AUTH PLAIN ") {
            let proof = decoded(proof)?;
            let mut parts = proof.split('\0').skip(1).map(str::to_owned);
            parts.next().zip(parts.next()).ok_or("no proof")?
        } else if command == "AUTH LOGIN" {
            say(stream, "334 VXNlcm5hbWU6").await;
            let user = decoded(&line(stream, read).await?.ok_or("no user")?)?;
            say(stream, "334 UGFzc3dvcmQ6").await;
            (user, decoded(&line(stream, read).await?.ok_or("no password")?)?)
        } else {
            return Err(format!("an unknown way to log in: {command}"));
        };
        let is_good = self
            .manners()
            .login
            .is_some_and(|(user, password)| login == (user.to_owned(), password.to_owned()));
        if is_good {
            self.login = Some(login);
            say(stream, "235 welcome").await;
        } else {
            say(stream, "535 no").await;
        }
        Ok(())
    }
}

/// A mail up to its end.
async fn letter(stream: &mut dyn Stream, read: &mut Vec<u8>) -> Result<String, String> {
    let mut text = String::new();
    loop {
        let line = line(stream, read).await?.ok_or("a mail without an end")?;
        if line == "." {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
        text.push_str("\r\n");
    }
}

/// A mail has each line of its head once, in good form.
fn check(text: &str) -> Result<(), String> {
    let (head, _) = text.split_once("\r\n\r\n").ok_or("no head")?;
    let unfolded = head.replace("\r\n ", " ");
    let names: Vec<&str> = unfolded.split("\r\n").filter_map(|line| line.split(": ").next()).collect();
    let expect = [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    ];
    if names == expect { Ok(()) } else { Err(format!("the head: {names:?}")) }
}
