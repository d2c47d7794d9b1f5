//! The requests of a trial as a table, one row each.
//!
//! Lengths are signed, so that `output_tokens - 1` cannot wrap in pandas or fail in SQL. Chunk
//! times are one list a request; the column is always there, null where times were not kept, so
//! that all parts have the same columns.

use slotune_core::TrialId;
use slotune_serving::{RequestRecord, RequestStatus};

use crate::{
    PartProblem,
    table::{Columns, Table},
};

/// The requests as a table.
pub(crate) fn write(study: &str, trial: TrialId, records: &[RequestRecord]) -> Table {
    fn each<T>(
        records: &[RequestRecord],
        value: impl Fn(&RequestRecord) -> Option<T>,
    ) -> Vec<Option<T>> {
        records.iter().map(value).collect()
    }
    let mut table = Table::default();
    table.add("study", each(records, |_| Some(study.to_owned())));
    table.add("trial", each(records, |_| Some(trial.0)));
    table.add("request", each(records, |record| Some(i64::from(record.index))));
    table.add("prompt_tokens", each(records, |record| Some(i64::from(record.prompt_tokens))));
    table.add("output_tokens", each(records, |record| Some(i64::from(record.output_tokens))));
    table.add("intended_s", each(records, |record| Some(record.intended_s)));
    table.add("sent_s", each(records, |record| Some(record.sent_s)));
    table.add("first_token_s", each(records, |record| record.first_token_s));
    table.add("last_token_s", each(records, |record| record.last_token_s));
    table.add("queue_time_s", each(records, |record| record.queue_time_s));
    table.add("status", each(records, |record| Some(status(&record.status).0.to_owned())));
    table
        .add("status_message", each(records, |record| status(&record.status).1.map(str::to_owned)));
    table.add(
        "chunk_times_s",
        each(records, |record| {
            Some(record.chunk_times_s.clone()).filter(|times| !times.is_empty())
        }),
    );
    table
}

/// The requests of a table, which must be of this trial.
pub(crate) fn read(
    mut columns: Columns,
    study: &str,
    trial: TrialId,
) -> Result<Vec<RequestRecord>, PartProblem> {
    columns.take_owners(study, trial)?;
    let index = columns.take_counts("request")?;
    let prompt_tokens = columns.take_counts("prompt_tokens")?;
    let output_tokens = columns.take_counts("output_tokens")?;
    let intended_s = columns.take_full("intended_s")?;
    let sent_s = columns.take_full("sent_s")?;
    let first_token_s = columns.take("first_token_s")?;
    let last_token_s = columns.take("last_token_s")?;
    let queue_time_s = columns.take("queue_time_s")?;
    let status = columns.take_texts("status", StatusName::parse)?;
    let mut status_message = columns.take::<String>("status_message")?;
    let mut chunk_times_s = columns.take::<Vec<f64>>("chunk_times_s")?;
    columns.finish()?;
    (0..index.len())
        .map(|row| {
            Ok(RequestRecord {
                index: index[row],
                prompt_tokens: prompt_tokens[row],
                output_tokens: output_tokens[row],
                intended_s: intended_s[row],
                sent_s: sent_s[row],
                first_token_s: first_token_s[row],
                last_token_s: last_token_s[row],
                queue_time_s: queue_time_s[row],
                chunk_times_s: chunk_times_s[row].take().unwrap_or_default(),
                status: read_status(status[row], status_message[row].take())?,
            })
        })
        .collect()
}

/// How a request ended, without the message that may go with it.
#[derive(Clone, Copy, Debug)]
enum StatusName {
    Completed,
    Rejected,
    Failed,
    Unfinished,
    NotSent,
}

impl StatusName {
    const ALL: [Self; 5] =
        [Self::Completed, Self::Rejected, Self::Failed, Self::Unfinished, Self::NotSent];

    fn text(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Unfinished => "unfinished",
            Self::NotSent => "not_sent",
        }
    }

    fn parse(text: &str) -> Result<Self, PartProblem> {
        let found = Self::ALL.into_iter().find(|name| name.text() == text);
        found.ok_or_else(|| PartProblem::column("status", format!("is `{text}`, which is none")))
    }
}

fn status(status: &RequestStatus) -> (&'static str, Option<&str>) {
    let (name, message) = match status {
        RequestStatus::Completed => (StatusName::Completed, None),
        RequestStatus::Rejected(message) => (StatusName::Rejected, Some(message)),
        RequestStatus::Failed(message) => (StatusName::Failed, Some(message)),
        RequestStatus::Unfinished => (StatusName::Unfinished, None),
        RequestStatus::NotSent => (StatusName::NotSent, None),
    };
    (name.text(), message.map(String::as_str))
}

fn read_status(name: StatusName, message: Option<String>) -> Result<RequestStatus, PartProblem> {
    match (name, message) {
        (StatusName::Completed, None) => Ok(RequestStatus::Completed),
        (StatusName::Rejected, Some(message)) => Ok(RequestStatus::Rejected(message)),
        (StatusName::Failed, Some(message)) => Ok(RequestStatus::Failed(message)),
        (StatusName::Unfinished, None) => Ok(RequestStatus::Unfinished),
        (StatusName::NotSent, None) => Ok(RequestStatus::NotSent),
        (name, _) => Err(PartProblem::column(
            "status",
            format!("is `{}`, which does not go with its message", name.text()),
        )),
    }
}
