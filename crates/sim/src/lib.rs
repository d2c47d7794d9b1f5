//! Discrete-event simulator of a vLLM V1 server.
