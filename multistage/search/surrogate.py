"""A Gaussian process of the metric over the space: a smooth mean with an honest uncertainty."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Kernel, Matern, Sum, WhiteKernel

from multistage.search.encoding import Matrix

Vector = NDArray[np.float64]

LARGEST_FIT = 256
"""Rows from which the hyperparameters are fitted: more cost much and change little."""
ITERATIONS = 40
_WIDE = (1e-9, 1e9)
"""Bounds that the priors keep the hyperparameters far away from."""


class Surrogate:
    """A posterior over functions, with the run noise apart.

    The kernel is a Matern 5/2 with a lengthscale for each column, plus white noise: the noise of single runs.
    Its hyperparameters, all in logarithms, are the most probable ones under priors that keep them sane with
    few runs.
    """

    def __init__(self, width: int, hyperparameters: Vector | None = None) -> None:
        self._priors = Priors(width)
        self.hyperparameters = self._priors.modes if hyperparameters is None else hyperparameters

    def fit(self, rows: Matrix, targets: Vector) -> Vector:
        """Fit the hyperparameters; the targets have a mean near 0 and a spread near 1.

        Returns:
            The hyperparameters, which are also kept.
        """
        if len(targets) >= 3 and float(np.ptp(targets)) > 0:
            if len(targets) > LARGEST_FIT:
                # Rows of all times, evenly: neither only the first, spread ones nor only the last, crowded
                # ones.
                chosen = np.linspace(0, len(targets) - 1, LARGEST_FIT).astype(int)
                rows, targets = rows[chosen], targets[chosen]
            model = GaussianProcessRegressor(
                _build_kernel(self._priors.modes), alpha=0.0, optimizer=self._maximize_posterior
            )
            model.fit(rows, targets)
            self.hyperparameters = model.kernel_.theta
        return self.hyperparameters

    def _maximize_posterior(
        self,
        objective: Callable[[Vector, bool], tuple[float, Vector]],
        start: Vector,
        bounds: object,
    ) -> tuple[Vector, float]:
        del bounds

        def measure(hyperparameters: Vector) -> tuple[float, Vector]:
            loss, slope = objective(hyperparameters, True)
            penalty, penalty_slope = self._priors.penalize(hyperparameters)
            return loss + penalty, slope + penalty_slope

        found = minimize(
            measure, start, jac=True, method="L-BFGS-B", bounds=self._priors.bounds, options={"maxiter": ITERATIONS}
        )
        return found.x, float(found.fun)

    def condition(self, rows: Matrix, targets: Vector) -> "Posterior":
        """What is known after seeing the targets at the rows, with the hyperparameters as they are."""
        kernel = _build_kernel(self.hyperparameters)
        noise = float(np.exp(self.hyperparameters[-1]))
        factor = cholesky(kernel(rows), lower=True)
        weights = cho_solve((factor, True), targets)
        # The mean at the rows: the covariance without its noise, times the weights.
        return Posterior(kernel.k1, noise, rows, factor, weights, float((targets - noise * weights).max()))


class Posterior:
    """A conditioned process.

    Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", algorithm 2.1.

    Args:
        kernel: Covariance of true values.
        noise: Variance of a single run around its config's true value.
        rows: What was seen.
        factor: The lower Cholesky factor of the rows' covariance with noise.
        weights: That covariance's inverse times the targets; as many as there were targets.
        best: The highest mean at the rows of the targets.
    """

    def __init__(
        self, kernel: Kernel, noise: float, rows: Matrix, factor: Matrix, weights: Vector, best: float
    ) -> None:
        self.best = best
        self._kernel = kernel
        self._noise = noise
        self._rows = rows
        self._factor = factor
        self._weights = weights

    def believe(self, rows: Matrix) -> "Posterior":
        """The same after runs at more rows came out as believed: the mean stays, and the doubt around them shrinks."""
        if not len(rows):
            return self
        old, new = len(self._rows), len(rows)
        below = solve_triangular(self._factor, self._kernel(self._rows, rows), lower=True)
        factor = np.zeros((old + new, old + new))
        factor[:old, :old], factor[old:, :old] = self._factor, below.T
        rest = self._kernel(rows) + self._noise * np.eye(new) - below.T @ below
        factor[old:, old:] = cholesky(rest, lower=True)
        return Posterior(self._kernel, self._noise, np.vstack([self._rows, rows]), factor, self._weights, self.best)

    def predict(self, rows: Matrix) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the true value, without a run's noise, at each row."""
        covariance = self._kernel(rows, self._rows)
        mean = covariance[:, : len(self._weights)] @ self._weights
        explained = solve_triangular(self._factor, covariance.T, lower=True, check_finite=False)
        variance = self._kernel.diag(rows) - np.einsum("ij,ij->j", explained, explained)
        return mean, np.sqrt(np.maximum(variance, 1e-12))


class Priors:
    """Normal priors on the logarithms of signal, lengthscales and noise.

    The lengthscales grow with the root of the dimension, as distances in a cube do (after Hvarfner et al.,
    "Vanilla Bayesian Optimization Performs Great in High Dimensions", 2024).
    """

    def __init__(self, width: int) -> None:
        self.modes: Vector = np.array([0.0, *[math.log(0.5 * math.sqrt(width))] * width, math.log(0.1)])
        self.spreads: Vector = np.array([1.0, *[1.0] * width, 1.5])
        self.bounds = [
            (mode - 5 * spread, mode + 5 * spread)
            for mode, spread in zip(self.modes[:-1], self.spreads[:-1], strict=True)
        ] + [(math.log(1e-4), math.log(10.0))]

    def penalize(self, hyperparameters: Vector) -> tuple[float, Vector]:
        """The negative logarithm of the prior's density, up to a constant, and its slope."""
        distances = (hyperparameters - self.modes) / self.spreads
        return 0.5 * float(distances @ distances), distances / self.spreads


def _build_kernel(hyperparameters: Vector) -> Sum:
    signal, *lengthscales, noise = np.exp(hyperparameters)
    return ConstantKernel(signal, _WIDE) * Matern(lengthscales, _WIDE, nu=2.5) + WhiteKernel(noise, _WIDE)
