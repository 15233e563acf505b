//! Where one JSON object of a stream ends.

use serde_json::{Map, Value};

/// What a peer may ask us to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of one message.
    pub(crate) bytes: usize,
    /// Values in one message: each costs a multiple of its bytes once it is parsed.
    pub(crate) values: usize,
    /// Brackets in brackets.
    pub(crate) depth: usize,
}

impl Limits {
    /// A trace has a few kilobytes, the ports of a bridge with a thousand Pods less than a megabyte.
    pub(crate) const DEFAULT: Self = Self {
        bytes: 64 << 20,
        values: 1 << 20,
        depth: 64,
    };
}

/// Why bytes are no sequence of JSON objects. There is no way back into step behind one.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Something else than an object, or what follows one isn't another.
    #[error("expected an object, found byte {found:#04x} at offset {offset} of the stream")]
    NoObject {
        /// The byte.
        found: u8,
        /// Its place since the connection was opened.
        offset: u64,
    },
    /// A message has more bytes than we hold.
    #[error("a message has more than {limit} bytes")]
    TooLong {
        /// What we hold.
        limit: usize,
    },
    /// A message has more values than we hold.
    #[error("a message has more than {limit} values")]
    TooMany {
        /// What we hold.
        limit: usize,
    },
    /// A message nests deeper than we follow.
    #[error("a message is nested deeper than {limit}")]
    TooDeep {
        /// What we follow.
        limit: usize,
    },
    /// Balanced brackets, but no JSON.
    #[error("the message at offset {offset} of the stream is no JSON")]
    Syntax {
        /// Its place since the connection was opened.
        offset: u64,
        /// What is wrong in it.
        #[source]
        source: serde_json::Error,
    },
}

/// Cuts a stream into JSON objects, however it arrives; looks at each byte once before the object is whole.
#[derive(Debug)]
pub(crate) struct Splitter {
    limits: Limits,
    buffer: Vec<u8>,
    /// Where the object that isn't whole yet starts in the buffer.
    start: usize,
    /// Where to look on.
    next: usize,
    /// Bytes of the stream before the buffer.
    passed: u64,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    depth: usize,
    values: usize,
    in_string: bool,
    escaped: bool,
}

impl Splitter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            start: 0,
            next: 0,
            passed: 0,
            state: State::default(),
        }
    }

    /// Takes bytes as they came.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.forget_what_was_cut();
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole object; none if its end hasn't come.
    pub(crate) fn object(&mut self) -> Result<Option<Map<String, Value>>, JsonError> {
        while let Some(&byte) = self.buffer.get(self.next) {
            self.next += 1;
            if self.next - self.start > self.limits.bytes {
                return Err(JsonError::TooLong {
                    limit: self.limits.bytes,
                });
            }
            if self.ends_an_object(byte)? {
                return self.cut().map(Some);
            }
        }
        Ok(None)
    }

    fn ends_an_object(&mut self, byte: u8) -> Result<bool, JsonError> {
        let state = &mut self.state;
        if state.in_string {
            match byte {
                _ if state.escaped => state.escaped = false,
                b'\\' => state.escaped = true,
                b'"' => state.in_string = false,
                _ => {}
            }
            return Ok(false);
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' if state.depth == 0 => self.start = self.next,
            b'{' | b'[' if state.depth > 0 || byte == b'{' => {
                state.depth += 1;
                self.count_a_value()?;
                if self.state.depth > self.limits.depth {
                    return Err(JsonError::TooDeep {
                        limit: self.limits.depth,
                    });
                }
            }
            found if state.depth == 0 => {
                let offset = self.passed + self.next as u64 - 1;
                return Err(JsonError::NoObject { found, offset });
            }
            b'}' | b']' => {
                state.depth -= 1;
                return Ok(state.depth == 0);
            }
            b'"' => state.in_string = true,
            b',' => self.count_a_value()?,
            _ => {}
        }
        Ok(false)
    }

    fn count_a_value(&mut self) -> Result<(), JsonError> {
        self.state.values += 1;
        match self.state.values > self.limits.values {
            true => Err(JsonError::TooMany {
                limit: self.limits.values,
            }),
            false => Ok(()),
        }
    }

    fn cut(&mut self) -> Result<Map<String, Value>, JsonError> {
        let offset = self.passed + self.start as u64;
        let object = serde_json::from_slice(&self.buffer[self.start..self.next]);
        self.start = self.next;
        self.state = State::default();
        object.map_err(|source| JsonError::Syntax { offset, source })
    }

    fn forget_what_was_cut(&mut self) {
        self.passed += self.start as u64;
        self.next -= self.start;
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.is_empty() {
            // One huge reply mustn't cost its memory for as long as the connection stands.
            self.buffer.shrink_to(KEPT_CAPACITY);
        }
    }
}

const KEPT_CAPACITY: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SMALL: Limits = Limits {
        bytes: 100,
        values: 10,
        depth: 3,
    };

    fn split(chunks: &[&[u8]]) -> Result<Vec<Value>, String> {
        let mut splitter = Splitter::new(SMALL);
        let mut objects = Vec::new();
        for chunk in chunks {
            splitter.push(chunk);
            while let Some(object) = splitter.object().map_err(|error| error.to_string())? {
                objects.push(Value::Object(object));
            }
        }
        Ok(objects)
    }

    #[test]
    fn objects_back_to_back_are_cut_apart() {
        let text = br#"{"a":"}{\"\\"} {"b":[{}]}{}"#;
        assert_eq!(
            split(&[text]).unwrap(),
            [json!({"a": "}{\"\\"}), json!({"b": [{}]}), json!({})]
        );
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_place() {
        let no_object = |byte: &str, offset: u32| {
            Err(format!(
                "expected an object, found byte {byte} at offset {offset} of the stream"
            ))
        };
        assert_eq!(split(&[b"garbage"]), no_object("0x67", 0));
        assert_eq!(split(&[b"{}", b"{}\n[1]"]), no_object("0x5b", 5));
        assert_eq!(split(&[b"{}}"]), no_object("0x7d", 2));
        assert_eq!(
            split(&[b"{}", b" {]"]),
            Err("the message at offset 3 of the stream is no JSON".into())
        );
    }

    #[test]
    fn a_message_beyond_a_limit_is_refused_before_it_is_whole() {
        assert_eq!(
            split(&[b"{\"", &[b'a'; 99]]),
            Err("a message has more than 100 bytes".into())
        );
        assert_eq!(
            split(&[b"{\"a\":[0,0,0,0,0,0,0,0,0,0"]),
            Err("a message has more than 10 values".into())
        );
        assert_eq!(split(&[b"{\"a\":[[["]), Err("a message is nested deeper than 3".into()));
    }

    #[test]
    fn limits_count_for_each_message() {
        assert_eq!(split(&[b"{\"a\":[0,0,0]}".as_slice(); 50]).unwrap().len(), 50);
    }

    #[test]
    fn a_megabyte_in_single_bytes_takes_no_quadratic_time() {
        let mut splitter = Splitter::new(Limits::DEFAULT);
        splitter.push(b"{\"a\":\"");
        for _ in 0..1 << 20 {
            splitter.push(b"x");
            assert!(splitter.object().unwrap().is_none());
        }
        splitter.push(b"\"}");
        assert_eq!(
            splitter.object().unwrap().unwrap()["a"].as_str().unwrap().len(),
            1 << 20
        );
        splitter.push(b"");
        assert!(splitter.buffer.capacity() <= KEPT_CAPACITY);
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_objects(
            texts in proptest::collection::vec("\\PC{0,12}", 0..4),
            cuts in proptest::collection::vec(1..9_usize, 1..6),
        ) {
            let objects: Vec<Value> = texts.iter().map(|text| json!({"text": text})).collect();
            let stream: Vec<u8> = objects.iter().flat_map(|object| object.to_string().into_bytes()).collect();
            let mut rest = stream.as_slice();
            let mut chunks = Vec::new();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, behind) = rest.split_at((*cut).min(rest.len()));
                chunks.push(chunk);
                rest = behind;
            }
            prop_assert_eq!(split(&chunks).unwrap(), objects);
        }

        #[test]
        fn any_bytes_are_cut_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = split(&[b"{", &bytes]);
            let _ = split(&[&bytes]);
        }
    }
}
