//! One open connection: a request out, its reply in.

use std::io;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::splitter::{JsonError, Limits, Splitter};
use crate::address::Stream;

/// A connection on which no request is under way. One on which a call failed or was given up is not used again.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    splitter: Splitter,
    last_id: u64,
}

/// How an exchange failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The peer hung up before it answered anything.
    Closed,
    Io(io::Error),
    Malformed(JsonError),
    NoReply(Value),
    Refused(Value),
}

impl Connection {
    pub(super) fn new(stream: Stream, limits: Limits) -> Self {
        Self {
            stream,
            splitter: Splitter::new(limits),
            last_id: 0,
        }
    }

    /// Sends a request and waits for its reply.
    pub(super) async fn exchange(&mut self, method: &str, params: &Value) -> Result<Value, Failure> {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"id": id, "method": method, "params": params}))
            .await?;
        loop {
            let message = self.receive().await?;
            if message.contains_key("method") {
                self.answer(message).await?;
            } else {
                return outcome(message, id);
            }
        }
    }

    /// RFC 7047, section 4.1.11: a server asks `echo` of a client that was silent for long. Other requests and
    /// notifications are for those who asked for them.
    async fn answer(&mut self, request: Map<String, Value>) -> Result<(), Failure> {
        if request.get("method").is_some_and(|method| method == "echo") {
            let id = request.get("id");
            let params = request.get("params");
            self.send(&json!({"id": id, "result": params, "error": null})).await?;
        }
        Ok(())
    }

    async fn send(&mut self, message: &Value) -> Result<(), Failure> {
        self.stream.write_all(message.to_string().as_bytes()).await?;
        self.stream.flush().await?;
        Ok(())
    }

    async fn receive(&mut self) -> Result<Map<String, Value>, Failure> {
        let mut chunk = vec![0; CHUNK];
        loop {
            if let Some(object) = self.splitter.object().map_err(Failure::Malformed)? {
                return Ok(object);
            }
            match self.stream.read(&mut chunk).await? {
                0 => return Err(Failure::Closed),
                length => self.splitter.push(&chunk[..length]),
            }
        }
    }
}

/// Open vSwitch leaves `result` out of a refusal, OVSDB has it null there.
fn outcome(mut reply: Map<String, Value>, id: u64) -> Result<Value, Failure> {
    if reply.get("id").is_none_or(|replied| *replied != id) {
        return Err(Failure::NoReply(Value::Object(reply)));
    }
    match (reply.remove("error"), reply.remove("result")) {
        (None | Some(Value::Null), Some(result)) => Ok(result),
        (None | Some(Value::Null), None) => Err(Failure::NoReply(Value::Object(reply))),
        (Some(error), _) => Err(Failure::Refused(error)),
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
                Self::Closed
            }
            _ => Self::Io(error),
        }
    }
}

const CHUNK: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    fn pair(limits: Limits) -> (Connection, DuplexStream) {
        let (near, far) = duplex(7);
        (Connection::new(Stream::new(near), limits), far)
    }

    /// What the peer reads: exactly one request.
    async fn expect(peer: &mut DuplexStream, request: &str) {
        let mut bytes = vec![0; request.len()];
        peer.read_exact(&mut bytes).await.unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), request);
    }

    async fn exchange_with(reply: &str) -> Result<Value, Failure> {
        let (mut connection, mut peer) = pair(Limits {
            bytes: 1000,
            ..Limits::DEFAULT
        });
        let script = async {
            expect(&mut peer, r#"{"id":1,"method":"version","params":[]}"#).await;
            // A peer that is told off stops reading: the rest of its words is lost.
            let _ = peer.write_all(reply.as_bytes()).await;
            drop(peer);
        };
        let call = async {
            let result = connection.exchange("version", &json!([])).await;
            drop(connection);
            result
        };
        tokio::join!(call, script).0
    }

    #[tokio::test]
    async fn a_reply_in_pieces_is_the_result() {
        let result = exchange_with(r#"{"id":1,"result":"ovs-vswitchd (Open vSwitch) 3.1.0\n","error":null}"#).await;
        assert_eq!(result.unwrap(), "ovs-vswitchd (Open vSwitch) 3.1.0\n");
    }

    #[tokio::test]
    async fn a_refusal_keeps_the_words_of_the_peer() {
        for reply in [
            r#"{"id":1,"error":"br-nope: unknown bridge\n"}"#,
            r#"{"id":1,"result":null,"error":"br-nope: unknown bridge\n"}"#,
        ] {
            let error = exchange_with(reply).await.unwrap_err();
            assert!(matches!(error, Failure::Refused(words) if words == "br-nope: unknown bridge\n"));
        }
    }

    #[tokio::test]
    async fn what_answers_nothing_is_no_reply() {
        for reply in [
            r#"{"id":1}"#,
            r#"{"id":1,"error":null}"#,
            r#"{"id":2,"result":"","error":null}"#,
            r#"{"id":"1","result":"","error":null}"#,
            r#"{"result":"","error":null}"#,
            "{}",
        ] {
            assert!(
                matches!(exchange_with(reply).await, Err(Failure::NoReply(_))),
                "{reply}"
            );
        }
    }

    #[tokio::test]
    async fn a_reply_cut_short_is_a_closed_connection() {
        for reply in ["", r#"{"id":1,"result":"#] {
            assert!(matches!(exchange_with(reply).await, Err(Failure::Closed)), "{reply}");
        }
    }

    #[tokio::test]
    async fn a_reply_without_end_is_given_up() {
        let endless = format!("{{\"result\":\"{}", "x".repeat(5000));
        let error = exchange_with(&endless).await.unwrap_err();
        assert!(matches!(error, Failure::Malformed(JsonError::TooLong { limit: 1000 })));
        assert!(matches!(
            exchange_with("<html>").await,
            Err(Failure::Malformed(JsonError::NoObject { .. }))
        ));
    }

    #[tokio::test]
    async fn an_echo_request_is_answered_and_a_notification_passed_over() {
        let (mut connection, mut peer) = pair(Limits::DEFAULT);
        let script = async {
            expect(&mut peer, r#"{"id":1,"method":"transact","params":["Open_vSwitch"]}"#).await;
            let words: &[u8] =
                br#"{"id":null,"method":"update","params":[]}{"id":"echo","method":"echo","params":[7]}"#;
            peer.write_all(words).await.unwrap();
            expect(&mut peer, r#"{"error":null,"id":"echo","result":[7]}"#).await;
            peer.write_all(br#"{"id":1,"result":[],"error":null}"#).await.unwrap();
        };
        let params = json!(["Open_vSwitch"]);
        let (result, ()) = tokio::join!(connection.exchange("transact", &params), script);
        assert_eq!(result.unwrap(), json!([]));
    }

    #[tokio::test]
    async fn each_request_has_an_id_of_its_own() {
        let (mut connection, mut peer) = pair(Limits::DEFAULT);
        for id in 1..4 {
            let script = async {
                expect(&mut peer, &format!(r#"{{"id":{id},"method":"a","params":[]}}"#)).await;
                peer.write_all(format!(r#"{{"id":{id},"result":{id},"error":null}}"#).as_bytes())
                    .await
                    .unwrap();
            };
            let params = json!([]);
            let (result, ()) = tokio::join!(connection.exchange("a", &params), script);
            assert_eq!(result.unwrap(), id);
        }
    }
}
