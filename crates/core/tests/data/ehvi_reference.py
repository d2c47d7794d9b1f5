"""Makes ehvi_reference.json: expected hypervolume improvement of two independent normal costs.

    pip install botorch mpmath
    python ehvi_reference.py > ehvi_reference.json

`log_ehvi` and its derivatives are computed in 80 digits, by the strips between the second costs (the
library sums over those between the first) and by numerical differentiation. `botorch` is what
ExpectedHypervolumeImprovement says in double precision (it maximises, so signs are turned); the script
stops where the two differ by more than 1e-9 relative, wherever doubles can hold the value.
"""

import json
import platform

import botorch
import mpmath as mp
import torch
from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
from botorch.models.model import Model
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.utils.multi_objective.box_decompositions.non_dominated import (
    FastNondominatedPartitioning,
)
from gpytorch.distributions import MultitaskMultivariateNormal

mp.mp.dps = 80

FRONTS = {
    "empty": ([], [1.0, 2.0]),
    "one": ([[0.25, 0.5]], [1.0, 1.0]),
    "three": ([[-1.0, 0.5], [0.0, 0.0], [0.25, -2.0]], [0.5, 1.0]),
    "dense": ([[i / 1000, (20 - i) ** 2 / 400 - 1] for i in range(21)], [0.03, 0.125]),
}
POSTERIORS = [
    ([0.0, 0.0], [1.0, 1.0]),
    ([0.3, -0.7], [0.2, 0.05]),
    ([-2.0, -3.0], [0.01, 0.02]),
    ([0.01, -0.5], [1e-3, 1e-3]),
    ([0.6, 3.0], [0.1, 0.3]),
    ([9.0, 5.0], [0.3, 0.5]),
    ([40.0, 900.0], [0.5, 2.0]),
]


def improvement(best, mean, deviation):
    z = (best - mean) / deviation
    return deviation * (mp.npdf(z) + z * mp.ncdf(z))


def exact(front, reference, means, deviations):
    total, edge, height = mp.mpf(0), mp.mpf(reference[0]), mp.mpf(reference[1])
    first = lambda best: improvement(mp.mpf(best), means[0], deviations[0])
    second = lambda best: improvement(mp.mpf(best), means[1], deviations[1])
    for point in sorted(front, key=lambda point: -point[1]):
        total += first(point[0]) * (second(height) - second(point[1]))
        height = mp.mpf(point[1])
    return total + first(edge) * second(height)


class Fixed(Model):
    """A model whose posterior is the same everywhere."""

    def __init__(self, means, deviations):
        super().__init__()
        self.means = torch.tensor([means], dtype=torch.double)
        self.covariance = torch.diag(torch.tensor(deviations, dtype=torch.double) ** 2)

    def posterior(self, X, **_):
        return GPyTorchPosterior(MultitaskMultivariateNormal(-self.means[None], self.covariance[None]))

    @property
    def num_outputs(self):
        return 2


def by_botorch(front, reference, means, deviations):
    points = -torch.tensor(front, dtype=torch.double).reshape(-1, 2)
    corner = -torch.tensor(reference, dtype=torch.double)
    partitioning = FastNondominatedPartitioning(ref_point=corner, Y=points)
    acquisition = ExpectedHypervolumeImprovement(
        Fixed(means, deviations), ref_point=corner.tolist(), partitioning=partitioning
    )
    return float(acquisition(torch.zeros(1, 1, 1, dtype=torch.double)))


def case(name, means, deviations):
    front, reference = FRONTS[name]
    at = [*map(mp.mpf, means), *map(mp.mpf, deviations)]
    log = lambda *at: mp.log(exact(front, reference, at[:2], at[2:]))
    order = lambda k: tuple(int(i == k) for i in range(4))
    value = log(*at)
    seen = by_botorch(front, reference, means, deviations)
    if value > -30:
        assert abs(seen / mp.exp(value) - 1) < 1e-9, (name, means, seen, mp.exp(value))
    text = lambda number: mp.nstr(number, 25)
    return {
        "front": front,
        "reference": reference,
        "means": means,
        "deviations": deviations,
        "log_ehvi": text(value),
        "d_means": [text(mp.diff(log, at, order(k), h=mp.mpf("1e-25"))) for k in (0, 1)],
        "d_deviations": [text(mp.diff(log, at, order(k), h=mp.mpf("1e-25"))) for k in (2, 3)],
        "botorch": seen,
    }


made_with = {
    "python": platform.python_version(),
    "botorch": botorch.__version__,
    "torch": torch.__version__,
    "mpmath": mp.__version__,
}
cases = [case(name, *posterior) for name in FRONTS for posterior in POSTERIORS]
lines = ",\n".join(json.dumps(one) for one in cases)
print(f'{{"made_with": {json.dumps(made_with)},\n"cases": [\n{lines}\n]}}')
