//! Typed columns to Parquet bytes and back: the only file that names polars.

use std::{collections::BTreeMap, io::Cursor};

use polars::prelude::{
    AnyValue, Column, DataFrame, DataType, Float64Type, IntoSeries, ListBuilderTrait,
    ListPrimitiveChunkedBuilder, ParallelStrategy, ParquetCompression, ParquetReader,
    ParquetWriter, PolarsResult, SerReader, StatisticsOptions,
};

use slotune_core::TrialId;

use crate::{PartProblem, seal};

/// Columns of equal length in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Table {
    columns: Vec<Column>,
}

/// Columns as they were read, each to be taken once.
#[derive(Debug)]
pub(crate) struct Columns {
    /// Those not taken yet, by name.
    unread: BTreeMap<String, Column>,
    rows: usize,
    /// Columns that came with a later version of the schema than the file's: they read as null.
    later: &'static [&'static str],
}

/// What a column may hold; any value may be missing.
pub(crate) trait Cell: Sized {
    /// The word for it, for error messages.
    const KIND: &'static str;

    fn to_column(name: &str, values: Vec<Option<Self>>) -> Column;

    fn from_column(column: &Column) -> PolarsResult<Vec<Option<Self>>>;
}

impl Table {
    pub(crate) fn add<T: Cell>(&mut self, name: &str, values: Vec<Option<T>>) {
        self.columns.push(T::to_column(name, values));
    }

    /// Adds a column to a table of one row; whether it holds a value.
    pub(crate) fn set<T: Cell>(&mut self, name: &str, value: Option<T>) -> bool {
        let present = value.is_some();
        self.add(name, vec![value]);
        present
    }

    /// Names of the columns.
    pub(crate) fn names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name().to_string()).collect()
    }

    /// The table as a sealed Parquet file: equal tables give equal bytes.
    ///
    /// # Errors
    /// With polars' text; does not happen while columns are of equal length and unlike names.
    pub(crate) fn encode(self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        DataFrame::new_infer_height(self.columns)
            .and_then(|mut frame| {
                ParquetWriter::new(&mut bytes)
                    .with_compression(ParquetCompression::Zstd(None))
                    // They let a reader skip parts of a file; a part is one trial, and they would be
                    // a quarter of it.
                    .with_statistics(StatisticsOptions::empty())
                    .set_parallel(false)
                    .finish(&mut frame)
            })
            .map_err(|error| error.to_string())?;
        Ok(seal::seal(&bytes))
    }
}

impl Columns {
    /// The columns of a sealed Parquet file.
    pub(crate) fn decode(file: &[u8]) -> Result<Self, PartProblem> {
        seal::check(file)?;
        let frame = ParquetReader::new(Cursor::new(file))
            .read_parallel(ParallelStrategy::None)
            .finish()
            .map_err(|error| PartProblem::Parquet { problem: error.to_string() })?;
        let columns =
            frame.columns().iter().map(|column| (column.name().to_string(), column.clone()));
        Ok(Self { unread: columns.collect(), rows: frame.height(), later: &[] })
    }

    /// The same of a file that is older than these columns.
    pub(crate) fn older_than(self, later: &'static [&'static str]) -> Self {
        Self { later, ..self }
    }

    /// Takes a column out.
    pub(crate) fn take<T: Cell>(&mut self, name: &str) -> Result<Vec<Option<T>>, PartProblem> {
        if !self.unread.contains_key(name) && self.later.contains(&name) {
            return Ok(std::iter::repeat_with(|| None).take(self.rows).collect());
        }
        let column = self.remove(name)?;
        T::from_column(&column).map_err(|_| mistyped(name, &column, T::KIND))
    }

    /// Takes a column of text without missing values out, each text made into something else at once:
    /// there may be millions, and only a few that differ.
    pub(crate) fn take_texts<T>(
        &mut self,
        name: &str,
        make: impl Fn(&str) -> Result<T, PartProblem>,
    ) -> Result<Vec<T>, PartProblem> {
        let column = self.remove(name)?;
        let texts = column.str().map_err(|_| mistyped(name, &column, String::KIND))?;
        let texts =
            texts.iter().map(|text| text.ok_or_else(|| lacks_a_value(name)).and_then(&make));
        texts.collect()
    }

    fn remove(&mut self, name: &str) -> Result<Column, PartProblem> {
        self.unread.remove(name).ok_or_else(|| PartProblem::column(name, "is missing"))
    }

    /// Takes a column without missing values out.
    pub(crate) fn take_full<T: Cell>(&mut self, name: &str) -> Result<Vec<T>, PartProblem> {
        let values: Option<Vec<T>> = self.take(name)?.into_iter().collect();
        values.ok_or_else(|| lacks_a_value(name))
    }

    /// Takes the value of a column of one row out.
    pub(crate) fn get<T: Cell>(&mut self, name: &str) -> Result<Option<T>, PartProblem> {
        let values = self.take(name)?;
        let rows = values.len();
        let [value] = <[_; 1]>::try_from(values)
            .map_err(|_| PartProblem::column(name, format!("has {rows} rows, not one")))?;
        Ok(value)
    }

    /// Takes the value of a column of one row out, which must be there.
    pub(crate) fn get_full<T: Cell>(&mut self, name: &str) -> Result<T, PartProblem> {
        self.get(name)?.ok_or_else(|| PartProblem::column(name, "lacks its value"))
    }

    /// Takes the count of a column of one row out.
    pub(crate) fn get_count<T: TryFrom<i64>>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, PartProblem> {
        self.get(name)?.map(|count| narrow(name, count)).transpose()
    }

    /// Takes the count of a column of one row out, which must be there.
    pub(crate) fn get_count_full<T: TryFrom<i64>>(&mut self, name: &str) -> Result<T, PartProblem> {
        narrow(name, self.get_full(name)?)
    }

    /// Takes a column of counts without missing values out.
    pub(crate) fn take_counts<T: TryFrom<i64>>(
        &mut self,
        name: &str,
    ) -> Result<Vec<T>, PartProblem> {
        self.take_full(name)?.into_iter().map(|count| narrow(name, count)).collect()
    }

    /// Takes the columns out that say whose the rows are: all of this trial.
    pub(crate) fn take_owners(&mut self, study: &str, trial: TrialId) -> Result<(), PartProblem> {
        let trials = self.take_full::<u64>("trial")?;
        let owned =
            self.take_texts("study", |owner| Ok((owner != study).then(|| owner.to_owned())))?;
        let mut owners = owned.into_iter().zip(trials);
        match owners.find(|(other, of)| other.is_some() || *of != trial.0) {
            Some((other, trial)) => {
                Err(PartProblem::Misplaced { study: other.unwrap_or(study.to_owned()), trial })
            }
            None => Ok(()),
        }
    }

    /// Drops all columns whose names begin so.
    pub(crate) fn discard(&mut self, prefix: &str) {
        self.unread.retain(|name, _| !name.starts_with(prefix));
    }

    /// Makes sure that every column was taken.
    pub(crate) fn finish(self) -> Result<(), PartProblem> {
        match self.unread.into_keys().next() {
            Some(column) => Err(PartProblem::column(column, "is not one of the set's")),
            None => Ok(()),
        }
    }
}

fn mistyped(name: &str, column: &Column, kind: &str) -> PartProblem {
    PartProblem::column(name, format!("is of type {}, not {kind}", column.dtype()))
}

fn lacks_a_value(name: &str) -> PartProblem {
    PartProblem::column(name, "lacks a value")
}

/// Counts are stored signed, so that differences of them cannot wrap in pandas or fail in SQL.
fn narrow<T: TryFrom<i64>>(column: &str, count: i64) -> Result<T, PartProblem> {
    T::try_from(count)
        .map_err(|_| PartProblem::column(column, format!("holds {count}, out of range")))
}

macro_rules! plain_cell {
    ($($cell:ty, $kind:literal, $column:ident;)*) => {$(
        impl Cell for $cell {
            const KIND: &'static str = $kind;

            fn to_column(name: &str, values: Vec<Option<Self>>) -> Column {
                Column::new(name.into(), values)
            }

            fn from_column(column: &Column) -> PolarsResult<Vec<Option<Self>>> {
                Ok(column.$column()?.iter().map(|value| value.map(Self::from)).collect())
            }
        }
    )*};
}

plain_cell! {
    bool, "boolean", bool;
    i64, "signed integer", i64;
    u64, "unsigned integer", u64;
    f64, "float", f64;
    String, "text", str;
}

impl Cell for Vec<f64> {
    const KIND: &'static str = "list of floats";

    fn to_column(name: &str, values: Vec<Option<Self>>) -> Column {
        let floats = values.iter().flatten().map(Self::len).sum();
        let mut builder = ListPrimitiveChunkedBuilder::<Float64Type>::new(
            name.into(),
            values.len(),
            floats,
            DataType::Float64,
        );
        for value in &values {
            builder.append_opt_slice(value.as_deref());
        }
        builder.finish().into_series().into()
    }

    fn from_column(column: &Column) -> PolarsResult<Vec<Option<Self>>> {
        // Mostly there are none, and looking at each takes long.
        if column.list()?.null_count() == column.len() {
            return Ok(vec![None; column.len()]);
        }
        (0..column.len())
            .map(|row| match column.get(row)? {
                AnyValue::List(floats) => Ok(Some(floats.f64()?.iter().flatten().collect())),
                _ => Ok(None),
            })
            .collect()
    }
}
