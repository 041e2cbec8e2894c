//! A server that answers what it is told and remembers what it was asked, and the surroundings of a test.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tollgate_credentials::Surroundings;
use tollgate_upstream::{Client, Limits, Resolver, Shared};

/// What no error, identity or `Debug` output may show.
pub(crate) const SECRET: &str = "sk-very-secret";
/// 2015-08-30T12:36:00Z, the time of AWS's own examples.
pub(crate) const NOW: Duration = Duration::from_secs(1_440_938_160);

/// A request as it stood on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// A reply: a status, header lines and a body.
pub(crate) struct Said(pub(crate) u16, pub(crate) &'static str, pub(crate) String);

impl Said {
    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self(200, "", body.into())
    }
}

/// Listens until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// A server that answers by this function, which is told how many requests came before.
    pub(crate) async fn start<F>(answer: F) -> Self
    where
        F: Fn(&Asked, usize) -> Said + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&log), Arc::clone(&answer)));
            }
        });
        Self { address, asked, task }
    }

    /// A server that gives this token for an hour, whatever it is asked.
    pub(crate) async fn giving(token: &'static str) -> Self {
        Self::start(move |_, _| Said::ok(format!(r#"{{"access_token":"{token}","expires_in":3600}}"#))).await
    }

    /// A server that always answers this.
    pub(crate) async fn saying(status: u16, body: &str) -> Self {
        let body = body.to_owned();
        Self::start(move |_, _| Said(status, "", body.clone())).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Request lines in order.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    /// Waits until so many requests came.
    pub(crate) async fn until_asked(&self, count: usize) {
        let all = timeout(Duration::from_secs(20), async {
            while self.asked.lock().unwrap().len() < count {
                sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(all.await.is_ok(), "{} of {count} requests came", self.asked().len());
    }
}

async fn serve<F>(mut stream: TcpStream, log: Arc<Mutex<Vec<Asked>>>, answer: Arc<F>)
where
    F: Fn(&Asked, usize) -> Said,
{
    while let Some(asked) = read(&mut stream).await {
        let before = {
            let mut log = log.lock().unwrap();
            log.push(asked.clone());
            log.len() - 1
        };
        let Said(status, lines, body) = answer(&asked, before);
        let length = body.len();
        let reply = format!("HTTP/1.1 {status} x\r\n{lines}content-length: {length}\r\n\r\n{body}");
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap().strip_suffix(" HTTP/1.1").unwrap().to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked { line, headers, body: String::from_utf8(body).unwrap() })
}

pub(crate) fn client() -> Arc<Client> {
    let shared = Shared::new(Resolver::default(), Limits::default(), Vec::new()).unwrap();
    Arc::new(Client::new(Arc::new(shared)))
}

/// Surroundings with these variables and files and nothing else, at [`NOW`].
pub(crate) fn surroundings(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Surroundings {
    let map = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let (variables, files) = (map(variables), map(files));
    let files: HashMap<PathBuf, String> =
        files.into_iter().map(|(path, text)| (PathBuf::from(path), text)).collect();
    Surroundings {
        variables: Arc::new(move |name| variables.get(name).cloned()),
        files: Arc::new(move |path| {
            files.get(path).map(|text| text.clone().into_bytes()).ok_or(io::ErrorKind::NotFound.into())
        }),
        clock: Arc::new(|| -> SystemTime { UNIX_EPOCH + NOW }),
    }
}

/// Nothing secret is in what is printed.
pub(crate) fn is_clean(printed: &str) {
    assert!(!printed.contains(SECRET), "{printed}");
}
