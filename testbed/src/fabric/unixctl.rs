//! One request on a daemon's unixctl socket: a JSON object each way, no framing.

use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// What the daemon answers; `Err` inside if it refuses.
pub(crate) fn request(socket: &Path, method: &str, arguments: &[&str]) -> io::Result<Result<String, String>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = json!({"id": 0, "method": method, "params": arguments});
    stream.write_all(request.to_string().as_bytes())?;
    let reader = BufReader::new(stream.take(LONGEST_ANSWER));
    let answer = serde_json::Deserializer::from_reader(reader)
        .into_iter::<Value>()
        .next()
        .ok_or(io::ErrorKind::UnexpectedEof)??;
    Ok(match (&answer["result"], &answer["error"]) {
        (Value::String(result), Value::Null) => Ok(result.trim_end().to_owned()),
        (_, Value::String(error)) => Err(error.trim_end().to_owned()),
        _ => Err(format!("neither result nor error: {answer}")),
    })
}

/// A switch that says nothing for this long won't.
const PATIENCE: Duration = Duration::from_secs(20);
const LONGEST_ANSWER: u64 = 1 << 24;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    fn answered(answer: &'static str) -> io::Result<Result<String, String>> {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("ctl");
        let listener = UnixListener::bind(&socket).unwrap();
        let daemon = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let outcome = request(&socket, "ovs/route/show", &["-v"]);
        assert_eq!(
            daemon.join().unwrap(),
            r#"{"id":0,"method":"ovs/route/show","params":["-v"]}"#
        );
        outcome
    }

    #[test]
    fn results_and_errors_are_told_apart() {
        assert_eq!(
            answered(r#"{"id":0,"result":"OK\n","error":null}"#).unwrap(),
            Ok("OK".to_owned())
        );
        assert_eq!(
            answered(r#"{"id":0,"error":"unknown bridge\n"}"#).unwrap(),
            Err("unknown bridge".to_owned())
        );
    }

    #[test]
    fn an_answer_that_is_cut_off_or_no_json_is_an_error() {
        assert!(answered("").is_err());
        assert!(answered(r#"{"id":0,"res"#).is_err());
        assert!(answered("no").is_err());
    }
}
