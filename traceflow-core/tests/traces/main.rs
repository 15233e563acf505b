//! Traces in virtual time, from the request to the answer.

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tracer;
#[cfg(test)]
mod world;
