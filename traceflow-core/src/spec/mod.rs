//! What is asked: Traceflow manifests and the `-f` flow syntax, read into types that can only be valid.
