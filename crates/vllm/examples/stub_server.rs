//! A stand-in for `vllm serve`, for trying what starts and stops servers: the stub as a process of
//! its own. It has no model and answers with the same word over and over.
//!
//! ```text
//! cargo run -p slotune-vllm --example stub_server -- serve MODEL --port 8000 --max-num-seqs 64
//! ```
//!
//! It takes vLLM's flags: `--host`, `--port`, `--max-num-seqs`, `--max-num-batched-tokens`,
//! `--max-model-len`, `--served-model-name` and `--api-key` do what they do there, others do
//! nothing; `--version` prints one. `--stub-start-up-ms`, `--stub-first-token-ms` and `--stub-token-ms` set its pace. After
//! `--stub-die-after-requests` its engine dies, and `--stub-dying-ms` later the server, as vLLM does.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a server talks to its log")]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
    thread,
    time::Duration,
};

use slotune_vllm::stub::{Script, Stub};

fn main() -> ExitCode {
    let (stub, dying) = match read(std::env::args().skip(1)) {
        Ok(Asked { script, address, dying }) => (Stub::start_at(script, address), dying),
        // Nothing was refused.
        Err(Refusal { status: 0, text }) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(refusal) => {
            eprintln!("{}", refusal.text);
            return ExitCode::from(refusal.status);
        }
    };
    match stub {
        Ok(stub) => {
            eprintln!("INFO:     Uvicorn running on {} (a stub)", stub.base_url());
            while !stub.engine_is_dead() {
                thread::sleep(Duration::from_millis(5));
            }
            eprintln!(
                "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack trace (above) for the root cause."
            );
            thread::sleep(dying);
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("OSError: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
struct Asked {
    script: Script,
    address: SocketAddr,
    /// Time from the death of the engine to that of the server.
    dying: Duration,
}

/// Why the server does not start: exit status 2 for usage, 1 for all else, as vLLM has it, and 0 where only
/// something was asked.
struct Refusal {
    status: u8,
    text: String,
}

fn read(arguments: impl Iterator<Item = String>) -> Result<Asked, Refusal> {
    let mut script = Script::default();
    let (mut host, mut port) = (IpAddr::from(Ipv4Addr::LOCALHOST), 8000);
    let mut dying = Duration::ZERO;
    let (mut batched_tokens, mut served_name) = (None, None);
    let mut arguments = arguments.flat_map(split).peekable();
    while let Some(argument) = arguments.next() {
        let Some(flag) = argument.strip_prefix("--") else {
            if argument != "serve" {
                script.model = argument;
            }
            continue;
        };
        if flag == "version" {
            return Err(Refusal { status: 0, text: script.version });
        }
        // A flag without a value, such as `--enable-prefix-caching`, is followed by another.
        let Some(value) = arguments.next_if(|next| !next.starts_with("--")) else { continue };
        match flag {
            "host" => host = number(flag, &value)?,
            "port" => port = number(flag, &value)?,
            "max-num-seqs" => script.slots = number(flag, &value)?,
            "max-num-batched-tokens" => batched_tokens = Some(number::<usize>(flag, &value)?),
            "max-model-len" => script.max_model_len = number(flag, &value)?,
            "served-model-name" => served_name = Some(value),
            "api-key" => script.api_key = Some(value),
            "stub-start-up-ms" => script.start_up = milliseconds(flag, &value)?,
            "stub-first-token-ms" => script.first_token = milliseconds(flag, &value)?,
            "stub-die-after-requests" => script.engine_dies_after = Some(number(flag, &value)?),
            "stub-dying-ms" => dying = milliseconds(flag, &value)?,
            "stub-token-ms" => script.token = milliseconds(flag, &value)?,
            // vLLM's own are many; of the stub's, a test means something by each.
            flag if flag.starts_with("stub-") => {
                let text = format!("no flag of the stub is called --{flag}; is it built anew?");
                return Err(Refusal { status: 2, text });
            }
            _ => {}
        }
    }
    script.model = served_name.unwrap_or(script.model);
    let seqs = script.slots;
    match batched_tokens {
        Some(tokens) if tokens < seqs => Err(Refusal {
            status: 1,
            text: format!(
                "pydantic_core._pydantic_core.ValidationError: 1 validation error for SchedulerConfig\n  Value error, max_num_batched_tokens ({tokens}) must be greater than or equal to max_num_seqs ({seqs})."
            ),
        }),
        _ => Ok(Asked { script, address: (host, port).into(), dying }),
    }
}

/// `--flag=value` is `--flag value`.
fn split(argument: String) -> Vec<String> {
    match argument.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => vec![flag.to_owned(), value.to_owned()],
        _ => vec![argument],
    }
}

fn milliseconds(flag: &str, value: &str) -> Result<Duration, Refusal> {
    Ok(Duration::from_millis(number(flag, value)?))
}

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, Refusal> {
    value.parse().map_err(|_| Refusal {
        status: 2,
        text: format!("vllm serve: error: argument --{flag}: invalid value: '{value}'"),
    })
}
