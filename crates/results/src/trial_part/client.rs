//! What the client cost, as columns that begin with `client_`, all null where there was none.

use slotune_serving::ClientFacts;

use crate::{
    PartProblem,
    table::{Columns, Table},
};

pub(super) fn write(table: &mut Table, client: Option<ClientFacts>) {
    table.set("client_cpu_s", client.map(|facts| facts.cpu_s));
    table.set("client_wall_s", client.map(|facts| facts.wall_s));
    table.set("client_cores", client.map(|facts| i64::from(facts.cores)));
    table.set("client_wake_lag_p99_s", client.map(|facts| facts.wake_lag_p99_s));
}

pub(super) fn read(columns: &mut Columns) -> Result<Option<ClientFacts>, PartProblem> {
    let Some(cpu_s) = columns.get("client_cpu_s")? else {
        columns.discard("client_");
        return Ok(None);
    };
    Ok(Some(ClientFacts {
        cpu_s,
        wall_s: columns.get_full("client_wall_s")?,
        cores: columns.get_count_full("client_cores")?,
        wake_lag_p99_s: columns.get_full("client_wake_lag_p99_s")?,
    }))
}
