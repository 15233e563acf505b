//! JSON-RPC as Open vSwitch speaks it: objects back to back on a stream, without any framing.

mod connection;
mod splitter;

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::timeout;

use self::connection::{Connection, Failure};
pub use self::splitter::JsonError;
use self::splitter::Limits;
use crate::address::Address;

/// A peer that answers calls, one at a time. The connection is opened by the first call and kept.
///
/// A call on a connection that the peer had closed meanwhile is made once more on a new one; so a peer that dies
/// in the middle of a call may see it twice.
#[derive(Debug)]
pub struct Client {
    address: Address,
    patience: Duration,
    idle: Mutex<Option<Connection>>,
}

impl Client {
    /// A client of the peer at an address, which has `patience` for each call from connecting to the last byte of
    /// the reply. Nothing is opened yet.
    pub fn new(address: Address, patience: Duration) -> Self {
        Self {
            address,
            patience,
            idle: Mutex::new(None),
        }
    }

    /// Where the peer listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Calls a method and returns what it returned. A caller who goes away takes the connection along.
    ///
    /// # Errors
    ///
    /// [`RpcError`]; behind [`RpcError::Refused`] the connection stays open, behind the others the next call opens
    /// another.
    pub async fn call(&self, method: &str, params: &Value) -> Result<Value, RpcError> {
        // The connection is taken out, so that one on which a call was given up half-way can't be used again.
        let mut idle = self.idle.lock().await;
        let kept = idle.take();
        let (connection, result) = timeout(self.patience, self.call_on(kept, method, params))
            .await
            .map_err(|_| self.silent(method))??;
        *idle = Some(connection);
        result.map_err(|error| RpcError::Refused {
            method: method.to_owned(),
            error,
        })
    }

    async fn call_on(&self, kept: Option<Connection>, method: &str, params: &Value) -> Result<Answer, RpcError> {
        if let Some(mut connection) = kept {
            match connection.exchange(method, params).await {
                Err(Failure::Closed) => {}
                result => return self.answer(connection, result, method),
            }
        }
        let mut connection = self.open().await?;
        let result = connection.exchange(method, params).await;
        self.answer(connection, result, method)
    }

    async fn open(&self) -> Result<Connection, RpcError> {
        let stream = self.address.connect().await.map_err(|source| RpcError::Unreachable {
            address: self.address.clone(),
            source,
        })?;
        Ok(Connection::new(stream, Limits::DEFAULT))
    }

    fn answer(&self, connection: Connection, result: Result<Value, Failure>, method: &str) -> Result<Answer, RpcError> {
        let address = self.address.clone();
        let method = method.to_owned();
        match result {
            Ok(result) => Ok((connection, Ok(result))),
            Err(Failure::Refused(error)) => Ok((connection, Err(error))),
            Err(Failure::Closed) => Err(RpcError::Closed { address, method }),
            Err(Failure::Io(source)) => Err(RpcError::Broken {
                address,
                method,
                source,
            }),
            Err(Failure::Malformed(source)) => Err(RpcError::Malformed {
                address,
                method,
                source,
            }),
            Err(Failure::NoReply(reply)) => Err(RpcError::NoReply {
                address,
                method,
                reply: excerpt(&reply),
            }),
        }
    }

    fn silent(&self, method: &str) -> RpcError {
        RpcError::Silent {
            address: self.address.clone(),
            method: method.to_owned(),
            patience: self.patience,
        }
    }
}

/// The connection, fit for the next call, and what the peer said: a result or its own error.
type Answer = (Connection, Result<Value, Value>);

/// What kept a call from its result.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// No connection.
    #[error("{address} can't be reached")]
    Unreachable {
        /// Where.
        address: Address,
        /// Why.
        source: io::Error,
    },
    /// No reply in time.
    #[error("{address} didn't answer {method} within {patience:?}")]
    Silent {
        /// Who.
        address: Address,
        /// What it was asked.
        method: String,
        /// How long we waited.
        patience: Duration,
    },
    /// The connection ended before the reply did.
    #[error("{address} hung up before it answered {method}")]
    Closed {
        /// Who.
        address: Address,
        /// What it was asked.
        method: String,
    },
    /// The connection failed.
    #[error("the connection to {address} failed before {method} was answered")]
    Broken {
        /// Who.
        address: Address,
        /// What it was asked.
        method: String,
        /// Why.
        source: io::Error,
    },
    /// Bytes that are no JSON objects, or more of them than we hold.
    #[error("{address} answered {method} with what is no reply")]
    Malformed {
        /// Who.
        address: Address,
        /// What it was asked.
        method: String,
        /// What is wrong.
        source: JsonError,
    },
    /// An object that is no reply to what was asked.
    #[error("{address} answered {method} with what is no reply: {reply}")]
    NoReply {
        /// Who.
        address: Address,
        /// What it was asked.
        method: String,
        /// The beginning of what it said.
        reply: String,
    },
    /// The peer's own error.
    #[error("{method} was refused: {}", words(error))]
    Refused {
        /// What it was asked.
        method: String,
        /// What it said.
        error: Value,
    },
}

fn words(error: &Value) -> String {
    match error {
        Value::String(text) => text.trim_end().to_owned(),
        other => excerpt(other),
    }
}

/// Enough to see what came, little enough to print.
fn excerpt(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

const EXCERPT: usize = 200;

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{UnixListener, UnixStream};

    use super::*;

    fn listen(patience: Duration) -> (Client, UnixListener, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer");
        let listener = UnixListener::bind(&path).unwrap();
        (Client::new(Address::from(path.as_path()), patience), listener, folder)
    }

    async fn reply(peer: &mut UnixStream, words: &str) {
        let mut request = [0; 1000];
        assert_ne!(peer.read(&mut request).await.unwrap(), 0);
        peer.write_all(words.as_bytes()).await.unwrap();
    }

    async fn ask(client: &Client) -> Result<Value, RpcError> {
        client.call("version", &json!([])).await
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_connection_is_kept_also_after_a_refusal() {
        let (client, listener, _folder) = listen(LONG);
        let script = async {
            let (mut peer, _) = listener.accept().await.unwrap();
            reply(&mut peer, r#"{"id":1,"error":"no\n"}"#).await;
            reply(&mut peer, r#"{"id":2,"result":"yes","error":null}"#).await;
        };
        let calls = async { (ask(&client).await, ask(&client).await) };
        let ((refused, answered), ()) = tokio::join!(calls, script);
        assert_eq!(refused.unwrap_err().to_string(), "version was refused: no");
        assert_eq!(answered.unwrap(), "yes");
    }

    #[tokio::test]
    async fn a_connection_closed_meanwhile_is_opened_again() {
        let (client, listener, _folder) = listen(LONG);
        let script = async {
            for _ in 0..2 {
                let (mut peer, _) = listener.accept().await.unwrap();
                reply(&mut peer, r#"{"id":1,"result":"yes","error":null}"#).await;
            }
        };
        let calls = async { (ask(&client).await.unwrap(), ask(&client).await.unwrap()) };
        assert_eq!(tokio::join!(calls, script).0, (json!("yes"), json!("yes")));
    }

    #[tokio::test]
    async fn a_peer_that_hangs_up_again_is_not_asked_a_third_time() {
        let (client, listener, _folder) = listen(LONG);
        let script = async {
            let (mut peer, _) = listener.accept().await.unwrap();
            reply(&mut peer, r#"{"id":1,"result":"yes","error":null}"#).await;
            drop(peer);
            let (mut peer, _) = listener.accept().await.unwrap();
            reply(&mut peer, "").await;
        };
        let calls = async { (ask(&client).await, ask(&client).await) };
        let ((_, second), ()) = tokio::join!(calls, script);
        let RpcError::Closed { method, .. } = second.unwrap_err() else {
            panic!("expected a closed connection");
        };
        assert_eq!(method, "version");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_hangs_is_given_up_and_its_late_reply_is_not_the_next_calls() {
        let (client, listener, _folder) = listen(Duration::from_secs(3));
        let error = ask(&client).await.unwrap_err();
        assert!(matches!(error, RpcError::Silent { patience, .. } if patience == Duration::from_secs(3)));
        let (mut first, _) = listener.accept().await.unwrap();
        // The first connection is gone: nobody is there to take its reply for another's.
        let mut request = Vec::new();
        first.read_to_end(&mut request).await.unwrap();
        assert_eq!(request, br#"{"id":1,"method":"version","params":[]}"#);
    }

    #[tokio::test]
    async fn a_peer_that_is_not_there_is_named() {
        let client = Client::new("unix:/nonexistent/db.sock".parse().unwrap(), LONG);
        assert_eq!(
            ask(&client).await.unwrap_err().to_string(),
            "unix:/nonexistent/db.sock can't be reached"
        );
    }

    #[tokio::test]
    async fn nonsense_is_quoted_no_longer_than_needed() {
        let (client, listener, _folder) = listen(LONG);
        let nonsense = json!({"nonsense": "ä".repeat(1000)}).to_string();
        let script = async {
            let (mut peer, _) = listener.accept().await.unwrap();
            reply(&mut peer, &nonsense).await;
            peer
        };
        let (result, _peer) = tokio::join!(ask(&client), script);
        let RpcError::NoReply { reply, .. } = result.unwrap_err() else {
            panic!("expected no reply");
        };
        assert_eq!(reply.chars().count(), EXCERPT + 1);
    }
}
