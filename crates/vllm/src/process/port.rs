//! Whether a port is free, and who holds it if not.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use super::{
    ProcessError,
    table::{self, ProcessName},
};

/// How often one looks whether a port has become free.
const LOOK: Duration = Duration::from_millis(50);

/// Looks that one can listen on the address now.
///
/// # Errors
/// [`ProcessError::PortTaken`] when somebody listens there, and says who where `/proc` tells;
/// [`ProcessError::Address`] when the address is none of this machine's or may not be used.
pub fn check_free(address: SocketAddr) -> Result<(), ProcessError> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Err(ProcessError::PortTaken { address, holder: holder(address.port()) })
        }
        Err(source) => Err(ProcessError::Address { address, source }),
    }
}

/// Waits until the address is free, at most `limit`.
///
/// # Errors
/// As [`check_free`], when it is not free in time.
pub async fn wait_until_free(address: SocketAddr, limit: Duration) -> Result<(), ProcessError> {
    let free = async {
        while matches!(check_free(address), Err(ProcessError::PortTaken { .. })) {
            sleep(LOOK).await;
        }
    };
    // Whether or not it became free in time, the last look tells.
    let _ = timeout(limit, free).await;
    check_free(address)
}

/// The process that listens on the port, where `/proc` tells; other users' are hidden from us.
fn holder(port: u16) -> Option<ProcessName> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| listening(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let is_holder = |pid: &str| {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).any(|target| {
            target.to_str().is_some_and(|target| sockets.iter().any(|socket| socket == target))
        })
    };
    fs::read_dir("/proc").ok()?.find_map(|entry| {
        let name = entry.ok()?.file_name();
        let pid = name.to_str()?;
        pid.parse::<u32>().ok()?;
        is_holder(pid).then(|| table::process(pid))?.map(|process| process.name())
    })
}

/// Inodes of the sockets that listen on the port, from the text of `/proc/net/tcp`
/// (`proc_net(5)`): `SLOT ADDRESS:PORT REMOTE STATE …`, of which field 10 is the inode and state 0A
/// is listening.
fn listening(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    table
        .lines()
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.len() > 9 && fields[1].ends_with(&suffix) && fields[3] == "0A")
        .map(|fields| fields[9].to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_port_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let error = check_free(address).unwrap_err();
        assert!(matches!(error, ProcessError::PortTaken { .. }), "{error}");
        if fs::metadata("/proc/net/tcp").is_ok() {
            assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        }
        drop(listener);
        check_free(address).unwrap();
    }

    #[test]
    fn a_foreign_address_is_not_called_taken() {
        // A documentation address (RFC 5737) is no machine's own.
        let error = check_free("192.0.2.1:8000".parse().unwrap()).unwrap_err();
        assert!(matches!(error, ProcessError::Address { .. }), "{error}");
    }

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1\n\
             1: 0100007F:1F40 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 222 1\n\
             2: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1\n";
        assert_eq!(listening(table, 8000), ["111"]);
    }
}
