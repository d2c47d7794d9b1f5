//! Starts a command as a managed server and holds it until it is told how to end.
//!
//! ```sh
//! cargo run -p slotune-vllm --example hold_server -- 8000 logs/server sleep 1000
//! ```
//!
//! It prints the numbers of the server's process and group, then reads one word a line: `look`
//! (learns which processes belong to the server), `stop`, `drop`, `panic` or `exit`. However it ends, by a
//! signal too, nothing of the server is left; `tests/process.rs` holds it to that.

#![expect(clippy::print_stdout, reason = "an example talks to the one who runs it")]

use std::{collections::BTreeMap, error::Error, io::BufRead, time::Duration};

use slotune_vllm::process::{Launch, ServerProcess};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: hold_server PORT LOG PROGRAM [ARGUMENT]...";
    let port: u16 = arguments.next().ok_or(usage)?.parse()?;
    let log = arguments.next().ok_or(usage)?.into();
    let mut server = ServerProcess::start(&Launch {
        command: arguments.collect(),
        environment: BTreeMap::new(),
        address: ([127, 0, 0, 1], port).into(),
        log,
        log_limit_bytes: 1 << 30,
    })?;
    println!("{} {}", server.pid(), server.group());
    for line in std::io::stdin().lock().lines() {
        match line?.as_str() {
            "look" => server.look().await?,
            "stop" => {
                println!("{:?}", server.stop(Duration::from_secs(10)).await?);
                return Ok(());
            }
            "panic" => panic!("as I was told"),
            // No destructor runs.
            "exit" => std::process::exit(7),
            "drop" => break,
            other => return Err(format!("unknown word `{other}`").into()),
        }
        println!("done");
    }
    Ok(())
}
