//! Handing a mail in: the client's side of SMTP (RFC 5321), with STARTTLS (RFC 3207) and AUTH (RFC 4954).
//!
//! Owns: the conversation. Leaves to others: the message, and the socket, which upstream opens behind its guard and with
//! its root certificates; a library that opens sockets of its own would go around both.
//!
//! **Invariant:** where TLS is wanted nothing is sent without it, and nothing that came before it is believed.
//! **Invariant:** a reply is bounded in its lines and in their length, and the whole conversation in its time.

use crate::channel::Refusal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tollgate_config::{Mail, MailTls};
use tollgate_upstream::{Endpoint, Shared, Socket, plain};

/// Longest conversation.
const CONVERSATION_MAX: Duration = Duration::from_secs(30);
/// Longest wait for the connection, and for TLS on it.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Most bytes of a reply: RFC 5321 has 512 in a line, and a list of extensions is some dozen lines.
const REPLY_MAX: usize = 16 << 10;

/// Hands a message in for these recipients. A recipient that is refused for good is left out as long as one is taken.
///
/// # Errors
/// [`Refusal`], without anything of what the server wrote.
pub(crate) async fn hand_in(shared: &Shared, mail: &Mail, to: &[&str], message: &str) -> Result<(), Refusal> {
    let whole = Box::pin(converse(shared, mail, to, message));
    tokio::time::timeout(CONVERSATION_MAX, whole).await.unwrap_or(Err(Refusal::again("timeout")))
}

async fn converse(shared: &Shared, mail: &Mail, to: &[&str], message: &str) -> Result<(), Refusal> {
    let endpoint = endpoint(mail).ok_or(Refusal::for_good("address"))?;
    let socket = plain::open(shared, &endpoint, CONNECT_MAX).await.map_err(|it| Refusal::of(&it))?;
    let mut line = Line { socket, read: Vec::new() };
    line.expect(2).await?;
    // The name by which a client without one of its own is known best is where its mail is from.
    let name = mail.sender.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let hello = format!("EHLO {name}");
    let mut extensions = line.ask(&hello, 2).await?;
    if mail.tls == MailTls::Starttls {
        if !extensions.has("STARTTLS", "") {
            return Err(Refusal::for_good("no STARTTLS"));
        }
        line.ask("STARTTLS", 2).await?;
        // What came with the answer came from before the encryption: whoever wrote it may be anybody.
        if !line.read.is_empty() {
            return Err(Refusal::for_good("bytes before TLS"));
        }
        let socket = plain::upgrade(shared, &endpoint, line.socket, CONNECT_MAX).await;
        line = Line { socket: socket.map_err(|it| Refusal::of(&it))?, read: Vec::new() };
        extensions = line.ask(&hello, 2).await?;
    }
    if let Some((user, password)) = &mail.login {
        line.log_in(&extensions, user, password.expose()).await?;
    }
    line.ask(&format!("MAIL FROM:<{}>", mail.sender), 2).await?;
    line.name_recipients(to).await?;
    line.ask("DATA", 3).await?;
    line.write(&stuffed(message)).await?;
    line.expect(2).await?;
    // The mail is theirs now, whatever follows.
    let _ = line.ask("QUIT", 2).await;
    Ok(())
}

/// The address of a mail server; its scheme says whether TLS comes first.
fn endpoint(mail: &Mail) -> Option<Endpoint> {
    let scheme = if mail.tls == MailTls::Implicit { "https" } else { "http" };
    let is_bare_v6 = mail.host.contains(':') && !mail.host.starts_with('[');
    let host = if is_bare_v6 { format!("[{}]", mail.host) } else { mail.host.clone() };
    Endpoint::parse(&format!("{scheme}://{host}:{}", mail.port), tollgate_upstream::Trust::Operator).ok()
}

/// The message with its end; a line that begins with a full stop gets a second (RFC 5321, 4.5.2).
fn stuffed(message: &str) -> String {
    let stuffed = message.replace("\r\n.", "\r\n..");
    let first = if stuffed.starts_with('.') { "." } else { "" };
    let end = if stuffed.ends_with("\r\n") { "" } else { "\r\n" };
    format!("{first}{stuffed}{end}.\r\n")
}

/// The extensions that a server has named, a line each, without the greeting.
struct Extensions(Vec<String>);

impl Extensions {
    /// Whether there is this one, with this argument among its own where one is asked for.
    fn has(&self, name: &str, argument: &str) -> bool {
        self.0.iter().any(|line| {
            // `AUTH=PLAIN` is how some spell it for old clients.
            let mut words = line.split([' ', '=']);
            words.next().is_some_and(|word| word.eq_ignore_ascii_case(name))
                && (argument.is_empty() || words.any(|word| word.eq_ignore_ascii_case(argument)))
        })
    }
}

/// One side of the conversation.
struct Line {
    socket: Box<dyn Socket>,
    /// What was read and not yet used.
    read: Vec<u8>,
}

impl Line {
    async fn log_in(&mut self, extensions: &Extensions, user: &str, password: &str) -> Result<(), Refusal> {
        if extensions.has("AUTH", "PLAIN") {
            // RFC 4616.
            let proof = STANDARD.encode(format!("\0{user}\0{password}"));
            self.ask(&format!("AUTH PLAIN {proof}"), 2).await?;
        } else if extensions.has("AUTH", "LOGIN") {
            self.ask("AUTH LOGIN", 3).await?;
            self.ask(&STANDARD.encode(user), 3).await?;
            self.ask(&STANDARD.encode(password), 2).await?;
        } else {
            return Err(Refusal::for_good("no way to log in"));
        }
        Ok(())
    }

    async fn name_recipients(&mut self, to: &[&str]) -> Result<(), Refusal> {
        let mut refused = None;
        let mut taken = 0;
        for recipient in to {
            match self.ask(&format!("RCPT TO:<{recipient}>"), 2).await {
                Ok(_) => taken += 1,
                Err(refusal) if refusal.is_broken() => return Err(refusal),
                Err(refusal) => refused = Some(refusal),
            }
        }
        match refused {
            Some(refusal) if taken == 0 => Err(refusal),
            Some(_) => {
                tracing::warn!(
                    channel = "email",
                    "some recipients of an alert are refused by the mail server"
                );
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Says a line and waits for a reply whose code begins with this digit.
    async fn ask(&mut self, line: &str, digit: u8) -> Result<Extensions, Refusal> {
        self.write(&format!("{line}\r\n")).await?;
        self.expect(digit).await
    }

    async fn write(&mut self, text: &str) -> Result<(), Refusal> {
        let broken = |_| Refusal::broken("reset");
        self.socket.write_all(text.as_bytes()).await.map_err(broken)?;
        self.socket.flush().await.map_err(broken)
    }

    async fn expect(&mut self, digit: u8) -> Result<Extensions, Refusal> {
        let mut lines = Vec::new();
        let mut bytes = 0;
        loop {
            let line = self.line().await?;
            bytes += line.len();
            let (code, rest) = line.split_at_checked(3).ok_or(Refusal::broken("protocol"))?;
            let code: u16 = code.parse().map_err(|_| Refusal::broken("protocol"))?;
            let is_last = !rest.starts_with('-');
            lines.push(rest.get(1..).unwrap_or_default().trim().to_owned());
            if bytes > REPLY_MAX {
                return Err(Refusal::broken("too_large"));
            }
            if is_last {
                return judged(code, digit).map(|()| Extensions(lines));
            }
        }
    }

    /// One line without its end.
    async fn line(&mut self) -> Result<String, Refusal> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.read.len() > REPLY_MAX {
                return Err(Refusal::broken("too_large"));
            }
            match self.socket.read_buf(&mut self.read).await {
                Ok(0) | Err(_) => return Err(Refusal::broken("reset")),
                Ok(_) => {}
            }
        }
    }
}

/// What a reply's code means where one that begins with `digit` is hoped for (RFC 5321, 4.2.1).
fn judged(code: u16, digit: u8) -> Result<(), Refusal> {
    match code {
        // The server goes away.
        421 => Err(Refusal::broken("refused for now")),
        _ if code / 100 == u16::from(digit) => Ok(()),
        400..=499 => Err(Refusal::again("refused for now")),
        500..=599 => Err(Refusal::for_good("refused")),
        _ => Err(Refusal::broken("protocol")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_end_itself() {
        let check = |message: &str, expect: &str| assert_eq!(stuffed(message), expect);
        check("a\r\n", "a\r\n.\r\n");
        check("a", "a\r\n.\r\n");
        check("a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n");
        check(".a", "..a\r\n.\r\n");
    }

    #[test]
    fn extensions_are_read_as_they_are_spelt() {
        let extensions = Extensions(
            ["mail.test greets", "SIZE 1000", "starttls", "AUTH=LOGIN plain"].map(str::to_owned).into(),
        );
        let check =
            |name: &str, argument: &str, expect: bool| assert_eq!(extensions.has(name, argument), expect);
        check("STARTTLS", "", true);
        check("AUTH", "PLAIN", true);
        check("AUTH", "LOGIN", true);
        check("AUTH", "CRAM-MD5", false);
        check("START", "", false);
    }

    #[test]
    fn a_code_says_whether_to_try_again() {
        let check = |code: u16, digit: u8, expect: Result<(), bool>| {
            assert_eq!(judged(code, digit).map_err(|refusal| refusal.is_for_good()), expect, "{code}");
        };
        check(250, 2, Ok(()));
        check(354, 3, Ok(()));
        check(250, 3, Err(false));
        check(421, 2, Err(false));
        check(450, 2, Err(false));
        check(535, 2, Err(true));
        check(550, 2, Err(true));
        check(99, 2, Err(false));
    }
}
