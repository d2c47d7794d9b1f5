//! Whether the load generator can take what a server sends.

use super::{Check, ClientLimit, LimitError};

/// Fewest chunks per second and core that a client must be able to read.
const LEAST_CHUNKS_PER_S: f64 = 20_000.0;

/// Most milliseconds that it may read them late (P99).
const LATEST_MS: f64 = 1.0;

/// What the client's limit means.
pub(super) fn check(limit: &Result<ClientLimit, LimitError>) -> Check {
    let limit = match limit {
        Ok(limit) => limit,
        Err(error) => {
            let remedy = "end what else runs on this machine and try again";
            return Check::problem("client", error.to_string(), remedy);
        }
    };
    let ClientLimit { chunks_per_second_per_core, added_p99_ms, .. } = limit;
    let message = format!(
        "reads {chunks_per_second_per_core:.0} chunks/s per core, {added_p99_ms:.2} ms late (P99)"
    );
    if *chunks_per_second_per_core >= LEAST_CHUNKS_PER_S && *added_p99_ms <= LATEST_MS {
        return Check::ok("client", message);
    }
    let remedy = format!(
        "it should be {LEAST_CHUNKS_PER_S} and {LATEST_MS} ms: end what else runs here, and build with --release"
    );
    Check::warning("client", message, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn a_slow_or_late_client_is_warned_of_and_none_is_a_problem() {
        let of = |chunks_per_second_per_core, added_p99_ms| {
            let limit = ClientLimit {
                streams: 64,
                chunks: 60_000,
                chunks_per_second: 20_000.0,
                client_cpu_s: 1.0,
                chunks_per_second_per_core,
                added_p50_ms: 0.05,
                added_p99_ms,
            };
            check(&Ok(limit))
        };
        let fine = of(20_000.0, 1.0);
        assert_eq!((fine.status, fine.remedy), (Status::Ok, None));
        assert_eq!(fine.message, "reads 20000 chunks/s per core, 1.00 ms late (P99)");
        for slow in [of(19_999.0, 1.0), of(20_000.0, 1.01), of(f64::NAN, 0.1)] {
            assert_eq!(slow.status, Status::Warning);
            assert!(slow.remedy.unwrap().starts_with("it should be 20000 and 1 ms: "));
        }
        let none = check(&Err(LimitError::Busy(1250.0)));
        assert_eq!(none.status, Status::Problem);
        assert!(none.message.contains("1250") && none.remedy.is_some());
    }
}
