//! Configuration of a real vLLM server as a backend.
