//! Smooth minimisation within a box: the one file that names argmin.

use std::cell::RefCell;

use argmin::{
    core::{CostFunction, Error, Executor, Gradient},
    solver::{linesearch::MoreThuenteLineSearch, quasinewton::LBFGS},
};
use ndarray::Array1;

/// How many past steps L-BFGS remembers.
const MEMORY: usize = 10;

/// Starts keep this share of the box away from its sides, where the sigmoid has no slope.
const MARGIN: f64 = 1e-2;

/// Requests that the solver may make for each evaluation of its budget; one that moves on makes about four.
const ASKS: usize = 8;

/// Lower and upper bound of one variable.
pub(crate) type Bounds = (f64, f64);

/// A point and the function's value there.
#[derive(Clone, Debug)]
pub(crate) struct Minimum {
    pub(crate) x: Vec<f64>,
    pub(crate) value: f64,
}

/// When a search ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// After so many evaluations of the function and its gradient.
    pub(crate) evaluations: usize,
    /// After a step that makes the value less by no more than this.
    pub(crate) tolerance: f64,
}

/// The smallest value of `f` that L-BFGS (Nocedal and Wright 2006, algorithm 7.5) with Moré–Thuente
/// line searches meets from `start`.
///
/// `f` gives its value and gradient, or `None` where it is undefined, which ends the search. The
/// box is mapped to all of space by a sigmoid in each variable. `None` when nothing was defined.
pub(crate) fn minimise(
    f: impl Fn(&[f64]) -> Option<(f64, Vec<f64>)>,
    start: &[f64],
    bounds: &[Bounds],
    Effort { evaluations, tolerance }: Effort,
) -> Option<Minimum> {
    let free: Vec<f64> = start.iter().zip(bounds).map(|(&x, &bounds)| to_free(x, bounds)).collect();
    let memo =
        Memo { evaluations_left: evaluations, asks_left: ASKS * evaluations, ..Memo::default() };
    let mut problem = Boxed { f, bounds, scale: 1.0, memo: RefCell::new(memo) };
    let (_, gradient) = problem.evaluate(&free).ok()?;
    // The first step of L-BFGS is the gradient itself: scaled so that it is no longer than 1.
    let length = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    problem.scale = 1.0 / length.max(1.0);

    let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
        .with_tolerance_grad(1e-7)
        .and_then(|solver| solver.with_tolerance_cost(tolerance * problem.scale))
        .ok()?;
    // A failed line search or a spent budget is no failure of the search: the best point met stands.
    let _ = Executor::new(&problem, solver)
        .configure(|state| state.param(Array1::from_vec(free)))
        .ctrlc(false)
        .run();
    problem.memo.into_inner().best
}

/// A function on a box as one on all of space.
struct Boxed<'a, F> {
    f: F,
    bounds: &'a [Bounds],
    /// Factor on value and gradient.
    scale: f64,
    memo: RefCell<Memo>,
}

/// The solver asks several times for what it knows; the last point is not computed again. What it asks
/// for counts too, so that a line search that stands still ends.
#[derive(Default)]
struct Memo {
    evaluations_left: usize,
    asks_left: usize,
    /// The last point on all of space, and value and gradient there, unscaled.
    last: Option<(Vec<f64>, f64, Vec<f64>)>,
    best: Option<Minimum>,
}

impl<F: Fn(&[f64]) -> Option<(f64, Vec<f64>)>> Boxed<'_, F> {
    /// Value and gradient, scaled.
    fn evaluate(&self, free: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        let spend = |left: &mut usize| -> Result<(), Error> {
            *left = left.checked_sub(1).ok_or_else(|| Error::msg("the budget is spent"))?;
            Ok(())
        };
        let scaled = |value: f64, gradient: &[f64]| {
            (self.scale * value, gradient.iter().map(|slope| self.scale * slope).collect())
        };
        let mut memo = self.memo.borrow_mut();
        spend(&mut memo.asks_left)?;
        if let Some((at, value, gradient)) = &memo.last
            && at == free
        {
            return Ok(scaled(*value, gradient));
        }
        spend(&mut memo.evaluations_left)?;
        let x: Vec<f64> =
            free.iter().zip(self.bounds).map(|(&free, &bounds)| from_free(free, bounds)).collect();
        let (value, mut gradient) = (self.f)(&x)
            .filter(|(value, _)| value.is_finite())
            .ok_or_else(|| Error::msg("the function is undefined here"))?;
        for ((slope, &free), &bounds) in gradient.iter_mut().zip(free).zip(self.bounds) {
            *slope *= slope_of_box(free, bounds);
        }
        if memo.best.as_ref().is_none_or(|best| value < best.value) {
            memo.best = Some(Minimum { x, value });
        }
        let answer = scaled(value, &gradient);
        memo.last = Some((free.to_vec(), value, gradient));
        Ok(answer)
    }
}

impl<F: Fn(&[f64]) -> Option<(f64, Vec<f64>)>> CostFunction for &Boxed<'_, F> {
    type Param = Array1<f64>;
    type Output = f64;

    fn cost(&self, free: &Array1<f64>) -> Result<f64, Error> {
        self.evaluate(&free.to_vec()).map(|(value, _)| value)
    }
}

impl<F: Fn(&[f64]) -> Option<(f64, Vec<f64>)>> Gradient for &Boxed<'_, F> {
    type Param = Array1<f64>;
    type Gradient = Array1<f64>;

    fn gradient(&self, free: &Array1<f64>) -> Result<Array1<f64>, Error> {
        self.evaluate(&free.to_vec()).map(|(_, gradient)| gradient.into())
    }
}

/// x = low + (high − low) / (1 + exp(−free)).
fn from_free(free: f64, (low, high): Bounds) -> f64 {
    low + (high - low) / (1.0 + (-free).exp())
}

fn to_free(x: f64, (low, high): Bounds) -> f64 {
    let share = ((x - low) / (high - low)).clamp(MARGIN, 1.0 - MARGIN);
    (share / (1.0 - share)).ln()
}

/// dx / dfree.
fn slope_of_box(free: f64, (low, high): Bounds) -> f64 {
    let share = 1.0 / (1.0 + (-free).exp());
    (high - low) * share * (1.0 - share)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THOROUGH: Effort = Effort { evaluations: 200, tolerance: 1e-12 };

    #[test]
    fn finds_a_minimum_inside_and_one_on_the_side_of_the_box() {
        // Rosenbrock's function, minimum 0 at (1, 1).
        let rosenbrock = |x: &[f64]| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            Some((a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b]))
        };
        let bounds = [(-2.0, 2.0), (-2.0, 2.0)];
        let inside = minimise(rosenbrock, &[-1.2, 1.0], &bounds, THOROUGH).unwrap();
        assert!(inside.x.iter().all(|x| (x - 1.0).abs() < 1e-4), "{inside:?}");

        let slope = |x: &[f64]| Some((x[0], vec![1.0]));
        let side = minimise(slope, &[0.5], &[(-1.0, 1.0)], THOROUGH).unwrap();
        assert!((side.x[0] + 1.0).abs() < 1e-3, "{side:?}");
    }

    #[test]
    fn no_more_is_computed_than_allowed_and_nothing_twice_in_a_row() {
        let asked = RefCell::new(Vec::new());
        let valley = |x: &[f64]| {
            asked.borrow_mut().push(x.to_vec());
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            Some((a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b]))
        };
        let bounds = [(-2.0, 2.0), (-2.0, 2.0)];
        minimise(valley, &[-1.2, 1.0], &bounds, Effort { evaluations: 12, ..THOROUGH }).unwrap();
        let asked = asked.into_inner();
        assert_eq!(asked.len(), 12);
        assert!(asked.windows(2).all(|pair| pair[0] != pair[1]), "{asked:?}");
        // A slope that is wrong everywhere: no line search gets on.
        let wrong = |x: &[f64]| Some((x[0], vec![-1.0]));
        assert!(minimise(wrong, &[0.5], &[(0.0, 1.0)], THOROUGH).is_some(), "it ends");
    }

    #[test]
    fn an_undefined_region_ends_the_search_at_the_best_point_met() {
        let cliff = |x: &[f64]| (x[0] > 0.2).then(|| (x[0], vec![1.0]));
        let met = minimise(cliff, &[0.9], &[(0.0, 1.0)], THOROUGH).unwrap();
        assert!(met.value > 0.2 && met.value <= 0.9);
        assert!(minimise(|_| None, &[0.5], &[(0.0, 1.0)], THOROUGH).is_none());
    }
}
