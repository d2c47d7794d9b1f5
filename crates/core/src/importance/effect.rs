//! What a forest says over the whole space: its variance taken apart by parameters.
//!
//! Notation: u is a point of the unit cube with a coordinate for each parameter and one for the random
//! column, f(u) the forest at the configuration of u. Of a parameter j, its first index is
//! Var(E[f | uⱼ]) / Var(f), its total index E[Var(f | all but uⱼ)] / Var(f) (Sobol 1993; Homma and
//! Saltelli 1996). Both are means over Sobol's points for the others, at every value of j.

use std::ops::Range;

use super::{
    EffectPoint, HALF_INTERVAL, PairEffect, estimate,
    forest::{Forest, GROUPS},
    mean,
    samples::Samples,
    variance,
};
use crate::{Configuration, Estimate, Parameter, Scale, SearchSpace, Value, random::SobolPoints};

/// Points over which the variance of the forest is taken.
const POINTS: usize = 1024;

/// Points for the other parameters at each value of one.
const OTHERS: usize = 128;

/// The same at each two values of two.
const OTHERS_OF_TWO: usize = 32;

/// Values of a continuous parameter, and most of any.
const VALUES: u64 = 24;

/// The same where there are two parameters.
const VALUES_OF_TWO: u64 = 12;

/// Seed of the points: they are the same for every forest.
const SEED: u64 = 0;

/// A forest over a space.
pub(super) struct Landscape<'a> {
    space: &'a SearchSpace,
    samples: &'a Samples,
    forest: &'a Forest,
    /// For the other parameters.
    others: Vec<Vec<f64>>,
    /// Variance of f, of each group.
    variance: [f64; GROUPS],
}

/// What one parameter does, of each group.
pub(super) struct Axis {
    /// First index.
    pub(super) main: Vec<f64>,
    /// Total index.
    pub(super) total: Vec<f64>,
    /// The values, and the mean of f at each where the parameter exists.
    values: Vec<(Value, Vec<f64>)>,
}

impl<'a> Landscape<'a> {
    pub(super) fn new(space: &'a SearchSpace, samples: &'a Samples, forest: &'a Forest) -> Self {
        let points = || SobolPoints::new(space.parameters().len() + 1, SEED);
        let others = points().take(OTHERS).collect();
        let mut landscape = Self { space, samples, forest, others, variance: [0.0; GROUPS] };
        let values: Vec<_> = points().take(POINTS).map(|unit| landscape.at(&unit).1).collect();
        landscape.variance = std::array::from_fn(|group| {
            variance(&values.iter().map(|value| value[group]).collect::<Vec<_>>())
        });
        landscape
    }

    /// The configuration of a point, and f there.
    fn at(&self, unit: &[f64]) -> (Configuration, [f64; GROUPS]) {
        let (parameters, random) = unit.split_at(self.space.parameters().len());
        let configuration = self.space.configuration_at(parameters);
        let mut row = self.samples.row(self.space.encode(&configuration).coordinates().to_vec());
        row.extend(random);
        let values = self.forest.predict(&row);
        (configuration, values)
    }

    /// Variances as shares of that of f: at most all of it, though a part, taken over other points, may
    /// come out larger.
    fn shares(&self, variances: &[f64]) -> Vec<f64> {
        let share = |(part, whole): (&f64, &f64)| {
            if *whole > 0.0 { (part / whole).min(1.0) } else { 0.0 }
        };
        variances.iter().zip(&self.variance).map(share).collect()
    }

    /// The total index of the random column.
    pub(super) fn chance(&self) -> Vec<f64> {
        self.scan(self.space.parameters().len(), VALUES, |_, _, _| ()).total
    }

    /// What the parameter of that place does.
    pub(super) fn axis(&self, column: usize) -> Axis {
        let parameter = &self.space.parameters()[column];
        let count = values_of(parameter, VALUES);
        let mut sums = vec![([0.0; GROUPS], 0.0); places(count).len()];
        let mut axis = self.scan(column, count, |place, configuration, values| {
            if parameter.is_active(configuration) {
                let (sum, times) = &mut sums[place];
                sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                *times += 1.0;
            }
        });
        let value = |place: usize| parameter.domain().at(middle(place, count));
        // A parameter may exist so seldom that no point has it.
        let seen = sums.iter().enumerate().filter(|(_, (_, times))| *times > 0.0);
        axis.values = seen
            .map(|(place, (sum, times))| (value(place), sum.iter().map(|s| s / times).collect()))
            .collect();
        axis
    }

    /// Both indices of a column with `count` values; `see` is told f at each value for each point of the
    /// others.
    fn scan(
        &self,
        column: usize,
        count: u64,
        mut see: impl FnMut(usize, &Configuration, &[f64; GROUPS]),
    ) -> Axis {
        let places = places(count);
        let mut means = vec![[0.0; GROUPS]; places.len()];
        let mut within = [0.0; GROUPS];
        for others in &self.others {
            let mut unit = others.clone();
            let mut row = Vec::with_capacity(places.len());
            for place in places.clone() {
                unit[column] = middle(place, count);
                let (configuration, values) = self.at(&unit);
                see(place, &configuration, &values);
                row.push(values);
            }
            for group in 0..GROUPS {
                let of_group: Vec<f64> = row.iter().map(|values| values[group]).collect();
                within[group] += variance(&of_group) / self.others.len() as f64;
                for (mean, value) in means.iter_mut().zip(of_group) {
                    mean[group] += value / self.others.len() as f64;
                }
            }
        }
        let between: Vec<f64> = (0..GROUPS)
            .map(|group| variance(&means.iter().map(|mean| mean[group]).collect::<Vec<_>>()))
            .collect();
        Axis { main: self.shares(&between), total: self.shares(&within), values: Vec::new() }
    }

    /// Of the pairs of these parameters, the one that explains most together.
    pub(super) fn strongest_pair(&self, columns: &[usize]) -> Option<PairEffect> {
        let firsts = columns.iter().enumerate();
        let pairs =
            firsts.flat_map(|(i, &first)| columns[i + 1..].iter().map(move |&s| (first, s)));
        pairs
            .map(|(first, second)| self.pair(first, second))
            .reduce(|most, next| if next.share.value > most.share.value { next } else { most })
    }

    fn pair(&self, first: usize, second: usize) -> PairEffect {
        let parameters = [&self.space.parameters()[first], &self.space.parameters()[second]];
        let counts = parameters.map(|parameter| values_of(parameter, VALUES_OF_TWO));
        let [rows, columns] = counts.map(places);
        // Of each cell: f of each group, and whether a configuration has the two values.
        let cell = |row: usize, column: usize| {
            let mut f = vec![0.0; GROUPS];
            let mut exists = false;
            for others in self.others.iter().take(OTHERS_OF_TWO) {
                let mut unit = others.clone();
                unit[first] = middle(row, counts[0]);
                unit[second] = middle(column, counts[1]);
                let (configuration, values) = self.at(&unit);
                exists |= self.space.allows(&configuration)
                    && parameters.iter().all(|parameter| parameter.is_active(&configuration));
                f.iter_mut().zip(values).for_each(|(f, v)| *f += v / OTHERS_OF_TWO as f64);
            }
            (f, exists)
        };
        let cells: Vec<Vec<(Vec<f64>, bool)>> = rows
            .clone()
            .map(|row| columns.clone().map(|column| cell(row, column)).collect())
            .collect();
        let (mut share, mut interaction) = (Vec::new(), Vec::new());
        for group in 0..GROUPS {
            let f: Vec<Vec<f64>> =
                cells.iter().map(|row| row.iter().map(|(f, _)| f[group]).collect()).collect();
            let column = |j: usize| f.iter().map(|row| row[j]).collect::<Vec<_>>();
            let together = variance(&f.concat());
            let by_first = variance(&f.iter().map(|row| mean(row)).collect::<Vec<_>>());
            let by_second =
                variance(&columns.clone().map(|j| mean(&column(j))).collect::<Vec<_>>());
            share.push(together);
            interaction.push((together - by_first - by_second).max(0.0));
        }
        let values = |which: usize, places: Range<usize>| -> Vec<Value> {
            let domain = parameters[which].domain();
            places.map(|place| domain.at(middle(place, counts[which]))).collect()
        };
        let mean_of =
            |(f, exists): &(Vec<f64>, bool)| exists.then(|| self.samples.scale.backward(mean(f)));
        PairEffect {
            first: parameters[0].name().to_owned(),
            second: parameters[1].name().to_owned(),
            share: estimate(&self.shares(&share)),
            interaction: estimate(&self.shares(&interaction)),
            first_values: values(0, rows.clone()),
            second_values: values(1, columns.clone()),
            means: cells.iter().map(|row| row.iter().map(mean_of).collect()).collect(),
        }
    }
}

impl Axis {
    /// The metric at each value, in its unit.
    pub(super) fn points(&self, scale: Scale) -> Vec<EffectPoint> {
        let point = |(value, groups): &(Value, Vec<f64>)| {
            let Estimate { value: mean, standard_error, .. } = estimate(groups);
            let half = HALF_INTERVAL * standard_error;
            EffectPoint {
                value: value.clone(),
                mean: scale.backward(mean),
                low: scale.backward(mean - half),
                high: scale.backward(mean + half),
            }
        };
        self.values.iter().map(point).collect()
    }
}

/// How many values of a parameter are looked at.
fn values_of(parameter: &Parameter, most: u64) -> u64 {
    parameter.domain().levels().unwrap_or(most).min(most)
}

/// The places of so many values.
fn places(count: u64) -> Range<usize> {
    0..usize::try_from(count).expect("a few values")
}

/// The middle of the part of that place, of so many equal parts of an axis.
fn middle(place: usize, count: u64) -> f64 {
    (place as f64 + 0.5) / count as f64
}
