"""Other tools' samplers for the bench `peers`, one run a process.

Speaks JSON, one object a line. The harness (`python.rs`) evaluates and scores; this side only proposes.

    <- {"sampler": "optuna-tpe", "packages": ["optuna"], "seed": 1000, "axes": [7, 6, null], "constraints": 1}
    -> {"versions": {"python": "3.11.7", "optuna": "5.0.0"}}
    <- {"told": [{"point": [0.5, 0.2, 0.71], "objective": 3.2, "constraints": [-0.1]}]}
    -> {"point": [1.0, 0.4, 0.13]}

An axis is its number of levels, or null where it is continuous; a point lies in the unit cube, level k of L
at k / (L - 1). `told` holds what was evaluated since the last proposal, in its order. The objective is to be
minimised, each constraint is met at 0 or below; a crash has neither: its objective is null. A failure is
answered with {"error": "..."}.
"""

import importlib.metadata
import json
import os
import random
import sys
import tempfile
import traceback
import warnings


class Uniform:
    """Each axis by itself: a level, or a number. Needs no package, and shows that the protocol works."""

    def __init__(self, axes, constraints, seed):
        self.axes, self.random = axes, random.Random(seed)

    def tell(self, point, objective, constraints):
        pass

    def ask(self):
        levels = lambda count: self.random.randrange(count) / max(count - 1, 1)
        return [levels(axis) if axis else self.random.random() for axis in self.axes]


class Optuna:
    """TPESampler or GPSampler of Optuna 5 or later, defaults but for the seed and where the model begins."""

    def __init__(self, axes, constraints, seed, sampler):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.optuna, self.axes, self.asked = optuna, axes, None
        sampler = getattr(optuna.samplers, sampler)(seed=seed, n_startup_trials=10)
        self.study = optuna.create_study(sampler=sampler)

    def tell(self, point, objective, constraints):
        # What was asked for is told to its own trial, what was given becomes one.
        if self.asked is None:
            self.study.enqueue_trial({f"x{i}": v for i, v in enumerate(indices(point, self.axes))})
            self.suggest()
        trial, self.asked = self.asked, None
        if objective is None:
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
            return
        for i, constraint in enumerate(constraints):
            trial.set_constraint(f"c{i}", constraint)
        self.study.tell(trial, objective)

    def ask(self):
        return scaled(self.suggest(), self.axes)

    def suggest(self):
        self.asked = trial = self.study.ask()
        return [
            trial.suggest_int(f"x{i}", 0, axis - 1) if axis else trial.suggest_float(f"x{i}", 0, 1)
            for i, axis in enumerate(self.axes)
        ]


class Data:
    """What a tool without a memory of its own is given again for each proposal. It learns no crash."""

    def __init__(self, axes, constraints, seed):
        self.axes, self.constraints, self.seed = axes, constraints, seed
        self.points, self.values, self.tried = [], [], []

    def tell(self, point, objective, constraints):
        self.tried.append(point)
        if objective is not None:
            self.points.append(point)
            self.values.append([objective, *constraints])

    def next_seed(self):
        return 1000 * self.seed + len(self.tried)


class Egobox(Data):
    """Egor with integer variables and the constraints in its infill criterion."""

    def ask(self):
        import egobox
        import numpy

        kinds = egobox.XType
        axes = [
            egobox.XSpec(kinds.INT, [0, axis - 1]) if axis else egobox.XSpec(kinds.FLOAT, [0, 1])
            for axis in self.axes
        ]
        egor = egobox.Egor(axes, n_cstr=self.constraints, cstr_infill=True, seed=self.seed)
        points = numpy.array([indices(point, self.axes) for point in self.points], dtype=float)
        proposed = egor.suggest(points, numpy.array(self.values), seed=self.next_seed())[0]
        rounded = [round(x) if axis else float(x) for x, axis in zip(proposed, self.axes)]
        return scaled(rounded, self.axes)


class BoTorch(Data):
    """A SingleTaskGP, which models the outcomes independently, fitted anew each time, and constrained qLogEI
    with 128 samples: of every point not yet tried where all axes have levels, else at the best of
    `optimize_acqf`, rounded."""

    # Points scored at a time.
    CHUNK = 1024

    def ask(self):
        import torch
        from botorch.acquisition.logei import qLogExpectedImprovement
        from botorch.acquisition.objective import GenericMCObjective
        from botorch.acquisition.utils import get_infeasible_cost
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.models.transforms import Standardize
        from botorch.optim import optimize_acqf
        from botorch.sampling import SobolQMCNormalSampler
        from gpytorch.mlls import ExactMarginalLogLikelihood

        torch.set_num_threads(1)
        torch.manual_seed(self.next_seed())
        points = torch.tensor(self.points, dtype=torch.double)
        values = torch.tensor(self.values, dtype=torch.double)
        values[:, 0] *= -1.0  # BoTorch maximises
        count = values.shape[1]
        model = SingleTaskGP(points, values, outcome_transform=Standardize(count))
        # The tolerance of the peers' protocol: a third of the time, the same likelihood. Several outcomes are
        # fitted by another optimiser of BoTorch's, which takes it in units of the machine's precision.
        tolerance = {"ftol": 1e-6} if count == 1 else {"factr": 1e-6 / torch.finfo(torch.double).eps}
        fit_gpytorch_mll(
            ExactMarginalLogLikelihood(model.likelihood, model),
            optimizer_kwargs={"options": {**tolerance, "maxiter": 100}},
        )
        objective = GenericMCObjective(lambda samples, X=None: samples[..., 0])
        feasible = (values[:, 1:] <= 0).all(dim=1)
        if feasible.any():
            best = values[feasible, 0].max()
        else:
            best = -get_infeasible_cost(points, model, objective).squeeze()
        acquisition = qLogExpectedImprovement(
            model,
            best_f=best,
            objective=objective,
            constraints=[lambda samples, i=i: samples[..., i] for i in range(1, count)] or None,
            sampler=SobolQMCNormalSampler(torch.Size([128]), seed=self.next_seed()),
        )
        if all(self.axes):
            grids = [torch.arange(axis, dtype=torch.double) / max(axis - 1, 1) for axis in self.axes]
            tried = {tuple(indices(point, self.axes)) for point in self.tried}
            new = [p for p in torch.cartesian_prod(*grids).tolist() if tuple(indices(p, self.axes)) not in tried]
            with torch.no_grad():
                chunks = torch.tensor(new, dtype=torch.double).unsqueeze(1).split(self.CHUNK)
                scores = torch.cat([acquisition(chunk) for chunk in chunks])
            return new[int(scores.argmax())]
        cube = torch.tensor([[0.0] * len(self.axes), [1.0] * len(self.axes)], dtype=torch.double)
        proposed, _ = optimize_acqf(acquisition, bounds=cube, q=1, num_restarts=8, raw_samples=256)
        return scaled(indices(proposed[0].tolist(), self.axes), self.axes)


class Smac3:
    """BlackBoxFacade, SMAC3's for small budgets. It has no outcome constraints: a point costs PENALTY for
    each unit by which it misses one. A crash costs as much as the worst before it, since the Gaussian
    process takes no infinite cost, which is SMAC3's default."""

    PENALTY = 10.0

    def __init__(self, axes, constraints, seed):
        import ConfigSpace
        import smac

        self.smac, self.axes = smac, axes
        self.space = ConfigSpace.ConfigurationSpace(seed=seed)
        for i, axis in enumerate(axes):
            self.space.add(
                ConfigSpace.UniformIntegerHyperparameter(f"x{i}", 0, axis - 1)
                if axis
                else ConfigSpace.UniformFloatHyperparameter(f"x{i}", 0.0, 1.0)
            )
        self.kept = tempfile.TemporaryDirectory()
        scenario = smac.Scenario(
            self.space, deterministic=True, n_trials=10_000, seed=seed, output_directory=self.kept.name
        )
        facade = smac.BlackBoxFacade
        self.facade = facade(
            scenario,
            lambda configuration, seed=0: 0.0,  # SMAC3 wants one; it is never called
            initial_design=facade.get_initial_design(scenario, n_configs=0),
            logging_level=False,
            overwrite=True,
        )
        self.asked, self.worst = None, 0.0

    def tell(self, point, objective, constraints):
        from smac.runhistory import StatusType, TrialInfo, TrialValue

        asked, self.asked = self.asked, None
        if asked is None:
            values = {f"x{i}": v for i, v in enumerate(indices(point, self.axes))}
            asked = TrialInfo(self.smac_configuration(values), seed=0)
        if objective is None:
            value = TrialValue(self.worst, status=StatusType.CRASHED)
        else:
            missed = sum(max(0.0, constraint) for constraint in constraints)
            value = TrialValue(objective + self.PENALTY * missed)
            self.worst = max(self.worst, value.cost)
        self.facade.tell(asked, value, save=False)

    def ask(self):
        self.asked = self.facade.ask()
        return scaled([self.asked.config[f"x{i}"] for i in range(len(self.axes))], self.axes)

    def smac_configuration(self, values):
        import ConfigSpace

        return ConfigSpace.Configuration(self.space, values=values)


SAMPLERS = {
    "python-random": Uniform,
    "optuna-tpe": lambda *problem: Optuna(*problem, sampler="TPESampler"),
    "optuna-gp": lambda *problem: Optuna(*problem, sampler="GPSampler"),
    "botorch": BoTorch,
    "egobox": Egobox,
    "smac3": Smac3,
}


def indices(point, axes):
    """A point with level indices in place of their coordinates."""
    return [round(x * (axis - 1)) if axis else x for x, axis in zip(point, axes)]


def scaled(point, axes):
    """The inverse of `indices`."""
    return [float(x) / max(axis - 1, 1) if axis else float(x) for x, axis in zip(point, axes)]


def started(start):
    """The sampler, and the versions of what it runs on."""
    missing = [package for package in start["packages"] if not installed(package)]
    if missing:
        names = " ".join(missing)
        raise ModuleNotFoundError(f"not installed: {names}; run {sys.executable} -m pip install {names}")
    sampler = SAMPLERS[start["sampler"]](start["axes"], start["constraints"], start["seed"])
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    versions.update((package, importlib.metadata.version(package)) for package in start["packages"])
    return sampler, versions


def installed(package):
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def serve(lines, answer):
    sampler, versions = started(json.loads(next(lines)))
    answer({"versions": versions})
    for line in lines:
        for told in json.loads(line)["told"]:
            sampler.tell(told["point"], told["objective"], told["constraints"])
        answer({"point": sampler.ask()})


def main():
    # Nothing but answers goes to the harness: what a package prints goes to the standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.filterwarnings("ignore")

    def answer(message):
        print(json.dumps(message), file=answers, flush=True)

    try:
        serve(iter(sys.stdin), answer)
    except ModuleNotFoundError as missing:
        answer({"error": str(missing)})
    except Exception:
        answer({"error": traceback.format_exc()})


main()
