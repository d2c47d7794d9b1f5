//! Robust least squares within bounds, with a ridge: Levenberg and Marquardt.

/// Root mean square of a run's residuals, in bars, beyond which it counts less and less (Geman and McClure's
/// loss): a run much further off than that is one whose machine was not itself.
const ODD: f64 = 2.0;

/// Step of the differences. Simulated runs have small jumps, which a smaller one would take for slopes.
const STEP: f64 = 0.04;

/// The most linearisations; the last ones move little.
const ITERATIONS: usize = 20;

/// Relative decrease of the loss at which it ends.
const ENOUGH: f64 = 0.005;

/// Information below which a variable is left alone.
const LEAST_TOLD: f64 = 0.05;

/// Where the loss is least.
pub(super) struct Minimum {
    pub(super) point: Vec<f64>,
    /// How much of each variable's prior variance the residuals take away, from 0 to 1.
    pub(super) told: Vec<f64>,
}

/// The least of `Σ loss(residuals of a run) + Σ ((variable − its start) / deviation)²` for variables between
/// −`bound` and `bound`, from each of `starts`, of which each costs what its one largest variable would.
pub(super) fn minimise<E>(
    starts: &[Vec<f64>],
    deviation: f64,
    bound: f64,
    residuals: impl Fn(&[f64]) -> Result<Vec<Vec<f64>>, E>,
) -> Result<Minimum, E> {
    let prior = 1.0 / (deviation * deviation);
    let from = |start: &Vec<f64>| -> Result<(f64, Minimum), E> {
        let (loss, found) = descend(start, prior, bound, &residuals)?;
        let largest = start.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        Ok((loss + prior * largest * largest, found))
    };
    let found = starts.iter().map(from).collect::<Result<Vec<_>, E>>()?;
    let least = found.into_iter().min_by(|(a, _), (b, _)| a.total_cmp(b));
    Ok(least.expect("there is a start").1)
}

/// The least of that sum near one start, and where it is. Variables that the residuals hardly depend on stay
/// there.
fn descend<E>(
    start: &[f64],
    prior: f64,
    bound: f64,
    residuals: impl Fn(&[f64]) -> Result<Vec<Vec<f64>>, E>,
) -> Result<(f64, Minimum), E> {
    let ridge = |point: &[f64]| {
        prior * point.iter().zip(start).map(|(x, x0)| (x - x0).powi(2)).sum::<f64>()
    };
    let variables = start.len();
    let mut point = start.to_vec();
    let mut told = vec![0.0; variables];
    let mut at = residuals(&point)?;
    let mut loss = loss_of(&at);
    let mut free: Vec<usize> = (0..variables).collect();
    let mut damping = 0.1;
    for iteration in 0..ITERATIONS {
        let weights = weights_of(&at);
        let here = at.concat();
        let mut slopes = Vec::with_capacity(free.len());
        for &variable in &free {
            let mut beside = point.clone();
            // Inwards at the upper bound.
            let step = if point[variable] + STEP > bound { -STEP } else { STEP };
            beside[variable] += step;
            let there = residuals(&beside)?.concat();
            slopes.push(there.iter().zip(&here).map(|(a, b)| (a - b) / step).collect::<Vec<f64>>());
        }
        if iteration == 0 {
            let is_told = |slope: &Vec<f64>| {
                let information = dot(slope, slope, &weights);
                information / (information + prior) >= LEAST_TOLD
            };
            let kept: Vec<bool> = slopes.iter().map(is_told).collect();
            let mut keep = kept.iter();
            free.retain(|_| keep.next().is_some_and(|kept| *kept));
            let mut keep = kept.iter();
            slopes.retain(|_| keep.next().is_some_and(|kept| *kept));
        }
        let normal = |i: usize, j: usize| {
            dot(&slopes[i], &slopes[j], &weights) + if i == j { prior } else { 0.0 }
        };
        let n = free.len();
        let normal: Vec<Vec<f64>> =
            (0..n).map(|i| (0..n).map(|j| normal(i, j)).collect()).collect();
        let gradient: Vec<f64> = (0..n)
            .map(|i| {
                let off = point[free[i]] - start[free[i]];
                dot(&slopes[i], &here, &weights) + prior * off
            })
            .collect();
        for (i, &variable) in free.iter().enumerate() {
            let mut unit = vec![0.0; n];
            unit[i] = 1.0;
            told[variable] = 1.0 - prior * solve(normal.clone(), unit)[i];
        }
        let before = loss;
        // More damping until the loss falls; then less for the next.
        for _ in 0..6 {
            let mut damped = normal.clone();
            for (i, row) in damped.iter_mut().enumerate() {
                row[i] *= 1.0 + damping;
            }
            // What would leave the bounds stays on them, and the others follow.
            let mut right: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
            for i in 0..n {
                if point[free[i]] * right[i] > 0.0 && point[free[i]].abs() >= bound {
                    pin(&mut damped, &mut right, i);
                }
            }
            let step = solve(damped, right);
            let mut next = point.clone();
            for (&variable, step) in free.iter().zip(step) {
                next[variable] = (next[variable] + step).clamp(-bound, bound);
            }
            let there = residuals(&next)?;
            let new_loss = loss_of(&there) + ridge(&next);
            if new_loss < loss {
                (point, at, loss) = (next, there, new_loss);
                damping *= 0.3;
                break;
            }
            damping *= 5.0;
        }
        if before - loss <= ENOUGH * before {
            break;
        }
    }
    Ok((loss, Minimum { point, told }))
}

/// Sum of the squares of a run's residuals, and how odd it is: that over the same for a run that is off by
/// [`ODD`].
fn oddness(run: &[f64]) -> (f64, f64) {
    let squares: f64 = run.iter().map(|r| r * r).sum();
    (squares, squares / (ODD * ODD * run.len().max(1) as f64))
}

fn loss_of(runs: &[Vec<f64>]) -> f64 {
    let loss = |run: &Vec<f64>| {
        let (squares, oddness) = oddness(run);
        squares / (1.0 + oddness)
    };
    runs.iter().map(loss).sum()
}

/// How much each residual counts: the derivative of the loss by the sum of its run's squares.
fn weights_of(runs: &[Vec<f64>]) -> Vec<f64> {
    let of = |run: &Vec<f64>| vec![(1.0 + oddness(run).1).powi(-2); run.len()];
    runs.iter().flat_map(of).collect()
}

fn dot(a: &[f64], b: &[f64], weights: &[f64]) -> f64 {
    a.iter().zip(b).zip(weights).map(|((a, b), weight)| weight * a * b).sum()
}

/// Takes a variable out of a system.
fn pin(matrix: &mut [Vec<f64>], right: &mut [f64], variable: usize) {
    for row in matrix.iter_mut() {
        row[variable] = 0.0;
    }
    matrix[variable].fill(0.0);
    matrix[variable][variable] = 1.0;
    right[variable] = 0.0;
}

/// Solves a positive definite system by Cholesky's decomposition; the prior on the diagonal makes it one.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| matrix[i][k] * matrix[j][k]).sum();
            let rest = matrix[i][j] - sum;
            matrix[i][j] = if i == j { rest.sqrt() } else { rest / matrix[j][j] };
        }
    }
    for i in 0..n {
        let sum: f64 = (0..i).map(|k| matrix[i][k] * right[k]).sum();
        right[i] = (right[i] - sum) / matrix[i][i];
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|k| matrix[k][i] * right[k]).sum();
        right[i] = (right[i] - sum) / matrix[i][i];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    fn least(
        variables: usize,
        deviation: f64,
        bound: f64,
        residuals: impl Fn(&[f64]) -> Vec<f64>,
    ) -> Minimum {
        // Each residual is a run of its own.
        let never_fails = |at: &[f64]| {
            Ok::<_, std::convert::Infallible>(residuals(at).into_iter().map(|r| vec![r]).collect())
        };
        let Ok(found) = minimise(&[vec![0.0; variables]], deviation, bound, never_fails);
        found
    }

    /// One small residual `10·(x − 0.005)` against the ridge `(x / 0.5)²`: `100·(x − 0.005) + 4·x = 0`.
    #[test]
    fn a_linear_problem_has_its_exact_answer() {
        let residuals = |at: &[f64]| vec![10.0 * (at[0] - 0.005)];
        let found = least(2, 0.5, 1.0, residuals);
        assert!((found.point[0] - 0.5 / 104.0).abs() < 1e-4, "{:?}", found.point);
        assert!((found.told[0] - 100.0 / 104.0).abs() < 1e-3, "{:?}", found.told);
        // Nothing depends on the other.
        assert_eq!((found.point[1], found.told[1]), (0.0, 0.0));
    }

    #[test]
    fn one_odd_residual_does_not_decide() {
        let residuals =
            |at: &[f64]| vec![20.0 * (at[0] - 0.1), 20.0 * (at[0] - 0.1), 20.0 * (at[0] + 3.0)];
        let found = least(1, 1.0, 1.0, residuals);
        assert!(found.point[0] > 0.05, "{:?}", found.point);
    }

    #[test]
    fn a_variable_stops_at_its_bound_and_others_go_on() {
        let residuals = |at: &[f64]| vec![10.0 * (at[0] - 5.0), 10.0 * (at[0] + at[1] - 1.0)];
        let found = least(2, 3.0, 0.5, residuals);
        assert!((found.point[0] - 0.5).abs() < 1e-12, "{:?}", found.point);
        assert!((found.point[1] - 0.5).abs() < 0.01, "{:?}", found.point);
    }

    /// Below 0.5 nothing depends on the variable, so that no slope leads out; the answer is at 0.8.
    #[test]
    fn another_start_gets_off_a_plateau() {
        let residuals = |at: &[f64]| Ok::<_, ()>(vec![vec![2.0 * (0.8 - at[0].max(0.5))]]);
        let from = |starts: &[Vec<f64>]| minimise(starts, 1.0, 1.0, residuals).expect("finite");
        assert_eq!(from(&[vec![0.0]]).point, [0.0]);
        let found = from(&[vec![0.0], vec![0.7]]);
        // The start costs 0.49 and saves 0.32: it is not taken.
        assert_eq!(found.point, [0.0]);
        let residuals = |at: &[f64]| Ok::<_, ()>(vec![vec![4.0 * (0.8 - at[0].max(0.5))]]);
        let found = minimise(&[vec![0.0], vec![0.7]], 1.0, 1.0, residuals).expect("finite");
        assert!((found.point[0] - 0.8).abs() < 0.02, "{:?}", found.point);
    }

    #[test]
    fn a_system_is_solved() {
        let matrix = vec![vec![4.0, 2.0], vec![2.0, 3.0]];
        let x = solve(matrix, vec![8.0, 7.0]);
        assert!((x[0] - 1.25).abs() < 1e-12 && (x[1] - 1.5).abs() < 1e-12, "{x:?}");
    }
}
