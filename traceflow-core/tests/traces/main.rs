//! Traces in virtual time, from the request to the answer.

#[cfg(test)]
mod support;
#[cfg(test)]
mod tracer;
