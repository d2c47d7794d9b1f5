//! The quick ways against the plain loop.

use proptest::{prelude::*, test_runner::RngSeed};

use super::*;
use crate::cases::{Case, cases};

/// The run with requests looked at one by one, or as quickly as it can be.
fn run_by(bookkeeping: Bookkeeping, case: &Case, options: &RunOptions) -> Outcome {
    let server = ServerModel::measured();
    let requests = case.requests.iter().cloned();
    let arrivals = Arrivals::new(case.load, Box::new(requests));
    let arguments = server.resolve(&case.arguments);
    let engine = build(&server, &arguments, case.kv_blocks, arrivals, options, bookkeeping);
    let mut records = Vec::new();
    let totals = crate::simulate::run(engine, options, |record| records.push(record));
    (records, totals.expect("well-formed requests"))
}

type Outcome = (Vec<RequestRecord>, RunTotals);

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// To count decoding requests together and to look only at tokens that matter changes nothing,
    /// to the last bit.
    #[test]
    fn the_quick_ways_give_what_the_plain_loop_gives(
        mut case in cases(),
        interval in 1_u32..5,
        is_noisy in any::<bool>(),
        limit_s in prop::option::of(0.0_f64..6.0),
    ) {
        let noise = if is_noisy { Noise::measured() } else { Noise::none() };
        let admission = case.admission;
        let options = RunOptions { noise, seed: 3, admission, ..RunOptions::default() };
        let plain = run_by(Bookkeeping::Each, &case, &options);
        prop_assert_eq!(&run_by(Bookkeeping::Lists, &case, &options), &plain);
        prop_assert_eq!(&run_by(Bookkeeping::Marks, &case, &options), &plain);
        case.arguments.stream_interval = Some(interval);
        let options = RunOptions { time_limit_s: limit_s, record_chunk_times: true, ..options };
        let plain = run_by(Bookkeeping::Each, &case, &options);
        prop_assert_eq!(&run_by(Bookkeeping::Lists, &case, &options), &plain);
    }
}
