"""Mean of crossed random effects, its 95 % interval and a two-sided p value: is an average relative gain zero?

An effect is the gain of one run of a study over another, by target, few-shot draw and, where a method was learned more
than once, upstream seed. Every level of one factor meets every level of the others, and all are random, since the
question is about further targets, draws and upstream seeds. For targets and draws the model is

    g[t, d] = mean + target[t] + draw[d] + rest[t, d],

and the variance of the mean of a T x D table is (E MS_T + E MS_D - E MS_E) / TD with the mean squares of the analysis
of variance (Cornfield and Tukey 1956). No t test fits exactly: a t test over targets takes the draws' effect for the
method's, one with Satterthwaite's (1946) degrees of freedom rejects 5 % where the effects are large and 0.5 % where
they are small. As in Welch (1947), the critical value is therefore a function of the observed mean squares that keeps
the error rate at its nominal value whatever the variances are; here it is found numerically. With the main effects'
mean squares MS_i of f_i degrees of freedom and w, each mean square's share of all,

    se^2 = (sum MS_i) exp(a(w)) / cells,    df = (sum MS_i)^2 / sum(MS_i^2 / f_i) exp(b(w)),

mean / se is referred to Student's t of df degrees of freedom. The polynomials a and b depend on the table's shape
alone. They minimise the squared log ratios of error rate and nominal rate, at several levels, over a design of
variance components that goes from none to hundreds of times the rest's. Rates need no random numbers: given the mean
squares the mean is normal, and those are scaled chi squares, taken at the points of a quasi-random sequence.

    Cornfield, Tukey (1956). Average values of mean squares in factorials. Ann. Math. Stat. 27, 907-949.
    Satterthwaite (1946). An approximate distribution of estimates of variance components. Biometrics Bull. 2, 110-114.
    Welch (1947). The generalization of "Student's" problem when several different population variances are involved.
        Biometrika 34, 28-35.

``experiments/benchmarks/significance.py`` measures the error rates.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincinv, ndtr, stdtr, stdtrit

from mpt.metrics.fewest import too_few

Array = NDArray[np.float64]

LEVEL = 0.95
MOST_MISSING = 0.25

# Error rates that the polynomials are fitted to, and how much each counts.
RATES = np.array([0.05, 0.01, 0.002])
WEIGHTS = np.array([1.0, 0.5, 0.25])
# By the number of factors: degree of the polynomials, sets of variance components, and of mean squares for each.
DEGREE = {2: 4, 3: 3}
STUDIES = {2: 64, 3: 256}
POINTS = {2: 1024, 3: 512}
LARGEST = {1: 1000.0, 2: 12.0}  # component of one factor, and of two together, where the rest's is 1
RIDGE = 1e-3

_LOG_DF = np.linspace(math.log(0.2), math.log(1000), 2000)
_LOG_T = np.log(stdtrit(np.exp(_LOG_DF), 1 - RATES[:, None] / 2))  # [rates, df]


@dataclass(frozen=True)
class Estimate:
    """Attributes:
    mean: over targets of the mean over the draws of the mean over upstream seeds; NaN where there is nothing.
    low, high: 95 % interval.
    p: two-sided, of the mean being zero; below 0.05 just where the interval leaves zero out.
    se, df: ``mean / se`` has about Student's distribution of ``df`` degrees of freedom if the true mean is zero.
    why: empty, or the clause that says why the five above are NaN.
    """

    mean: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    se: float = math.nan
    df: float = math.nan
    why: str = ""


def crossed_mean(effects: ArrayLike) -> Estimate:
    """Mean, interval and p value of one table.

    Args:
        effects: [targets, draws] or [targets, draws, upstream seeds], NaN where missing. A target, draw or seed without
            any is left out. A few missing cells are filled so that they add nothing to the rest's sum of squares, and
            are taken off its degrees of freedom.
    """
    table = np.asarray(effects, dtype=np.float64)
    if table.ndim not in DEGREE:
        raise ValueError(f"effects have {table.ndim} axes; they need targets, draws and perhaps upstream seeds")
    for axis in range(table.ndim):
        others = tuple(other for other in range(table.ndim) if other != axis)
        table = np.compress(~np.isnan(table).all(axis=others), table, axis=axis)
    if table.ndim == 3 and table.shape[2] == 1:
        table = table[:, :, 0]
    if not table.size:
        return Estimate(math.nan, why="there are no scores")
    mean = float(_mean(_mean(table, 2) if table.ndim == 3 else table, 1).mean())
    missing = np.isnan(table)
    if why := _too_little(missing):
        return Estimate(mean, why=why)
    squares = mean_squares(_filled(table), table.ndim)
    squares[-1] *= _freedom(table.shape)[-1] / (_freedom(table.shape)[-1] - missing.sum())
    if squares.max() <= 1e-24 * max(mean * mean, 1e-300):
        return Estimate(mean, why="the effects do not vary")
    if squares[: table.ndim].max() <= 1e-20 * squares.max():
        return Estimate(mean, why="all targets have the same mean gain, and all draws, which leaves nothing to tell by")
    se, df = (float(value) for value in student(squares, table.shape))
    if table.ndim == 3 and df <= math.exp(_LOG_DF[0]) * (1 + 1e-9):
        return Estimate(mean, why=f"{table.shape[2]} upstream seeds that differ so much do not suffice; take more")
    reach = se * float(stdtrit(df, (1 + LEVEL) / 2))
    return Estimate(mean, mean - reach, mean + reach, 2 * float(stdtr(df, -abs(mean) / se)), se, df)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p values, in the order given; a NaN stays one and is not counted as a test."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaNs are sorted last
    adjusted = p.copy()
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return [float(value) for value in adjusted]


def mean_squares(tables: Array, factors: int) -> Array:
    """[..., terms] of complete [..., targets, draws(, upstream seeds)]: of each factor, each two, and all three."""
    axes = range(-factors, 0)
    squares = []
    for term in _terms(factors):
        kept = [axes[factor] for factor in term]
        part = tables.mean(axis=tuple(axis for axis in axes if axis not in kept), keepdims=True)
        for axis in kept:
            part = part - part.mean(axis=axis, keepdims=True)
        cells = math.prod(tables.shape[axis] for axis in axes if axis not in kept)
        freedom = math.prod(tables.shape[axis] - 1 for axis in kept)
        squares.append((part**2).sum(axis=tuple(axes)) * (cells / freedom))
    return np.stack(squares, axis=-1)


def student(squares: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Standard error and degrees of freedom, [...], of means of tables of this shape; ``squares``: [..., terms]."""
    log_variance, log_df, features = _start(squares, shape)
    a, b = _calibrated(shape)
    df = np.exp(np.clip(log_df + features @ b, _LOG_DF[0], _LOG_DF[-1]))
    return np.exp((log_variance + features @ a) / 2) / math.sqrt(math.prod(shape)), df


def _too_little(missing: NDArray[np.bool_]) -> str:
    if few := too_few(missing.shape):
        return few
    if missing.mean() > MOST_MISSING or missing.sum() >= _freedom(missing.shape)[-1]:
        return f"{missing.sum()} of {missing.size} scores are missing"
    return ""


def _filled(table: Array) -> Array:
    """The table whose missing cells have an interaction of all factors of zero (Healy and Westmacott 1956)."""
    missing = np.isnan(table)
    table = np.where(missing, np.nanmean(table), table)
    for _ in range(1000 if missing.any() else 0):
        rest = table
        for axis in range(table.ndim):
            rest = rest - rest.mean(axis=axis, keepdims=True)
        table = np.where(missing, table - rest, table)
        if np.abs(rest[missing]).max() <= 1e-10 * np.abs(table).max():
            break
    return table


def _mean(table: Array, axis: int) -> Array:
    there = ~np.isnan(table)
    count = there.sum(axis=axis)
    return np.where(count > 0, np.where(there, table, 0).sum(axis=axis) / np.maximum(count, 1), np.nan)


def _terms(factors: int) -> list[tuple[int, ...]]:
    return [term for size in range(1, factors + 1) for term in itertools.combinations(range(factors), size)]


def _freedom(shape: tuple[int, ...]) -> Array:
    return np.array([math.prod(shape[factor] - 1 for factor in term) for term in _terms(len(shape))], dtype=np.float64)


def _start(squares: Array, shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """Log of the main effects' mean squares' sum, of its Satterthwaite degrees of freedom, and [..., monomials] of the
    shares of all mean squares but the last, whose share they determine.
    """
    factors = len(shape)
    main = squares[..., :factors]
    total = main.sum(axis=-1)
    freedom = total**2 / (main**2 / _freedom(shape)[:factors]).sum(axis=-1)
    shares = (squares / squares.sum(axis=-1, keepdims=True))[..., :-1]
    monomials = [
        shares[..., list(which)].prod(axis=-1)
        for degree in range(DEGREE[factors] + 1)
        for which in itertools.combinations_with_replacement(range(shares.shape[-1]), degree)
    ]
    return np.log(total), np.log(freedom), np.stack(monomials, axis=-1)


@lru_cache(maxsize=64)
def _calibrated(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Coefficients of a and b for tables of this shape: damped Gauss-Newton steps to the least squares."""
    components, squares = _design(shape)
    log_variance, log_df, features = _start(squares, shape)
    log_variance = log_variance - np.log(components.sum(axis=-1))[:, None]  # over the true one
    count = features.shape[-1]

    def misfit(x: Array) -> tuple[Array, Array]:
        """[rates x studies] residuals and [rates x studies, coefficients] their derivatives."""
        half, df = (log_variance + features @ x[:count]) / 2, log_df + features @ x[count:]
        residuals, slopes = [], []
        for rate, weight, log_t in zip(RATES, WEIGHTS, _LOG_T, strict=True):
            critical = np.exp(half + np.interp(df, _LOG_DF, log_t))  # in standard deviations of the mean
            size = 2 * ndtr(-critical).mean(axis=1)
            density = np.exp(-(critical**2) / 2) / math.sqrt(2 * math.pi)
            fall = -weight * critical * density / size[:, None] / critical.shape[1]
            steep = 2 * fall * np.interp(df, _LOG_DF, np.gradient(log_t, _LOG_DF))
            residuals.append(weight * np.log(size / rate))
            slopes.append(np.concatenate([fall[:, None] @ features, steep[:, None] @ features], axis=-1)[:, 0])
        return np.concatenate(residuals), np.concatenate(slopes)

    x, damping = np.zeros(2 * count), 1e-3
    residual, slope = misfit(x)
    loss = residual @ residual
    for _ in range(30):
        hessian = slope.T @ slope + (RIDGE + damping) * np.eye(len(x))
        step = np.linalg.solve(hessian, -slope.T @ residual - RIDGE * x)
        new = x + step * min(1, 5 / np.abs(step).max())
        new_residual, new_slope = misfit(new)
        new_loss = new_residual @ new_residual + RIDGE * new @ new
        if new_loss < loss:
            gained, x, residual, slope, loss = 1 - new_loss / loss, new, new_residual, new_slope, new_loss
            damping /= 5
            if gained < 1e-3:
                break
        else:
            damping *= 10
    return x[:count], x[count:]


def _design(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Variance components of studies, [studies, terms], and mean squares that these have, [studies, points, terms].

    A component is its effects' variance times the cells that each effect is in. A term's expected mean square is then
    the sum of the components of all terms that contain it; the variance of the mean times the cells is the sum of all.
    """
    terms, freedom = _terms(len(shape)), _freedom(shape)
    place = np.maximum(0, 1.5 * _spread_out(STUDIES[len(shape)], len(terms) - 1) - 0.5)  # a third is zero
    components = np.ones((len(place), len(terms)))
    components[:, :-1] = np.expm1(place * np.log1p([LARGEST[len(term)] for term in terms[:-1]]))
    contains = np.array([[set(term) <= set(other) for other in terms] for term in terms], dtype=np.float64)
    chi = 2 * gammaincinv(freedom / 2, _spread_out(POINTS[len(shape)], len(terms))) / freedom
    return components, (components @ contains.T)[:, None] * chi


def _spread_out(count: int, dimensions: int) -> Array:
    """[count, dimensions]: Sobol's quasi-random sequence in the unit cube, off its faces; ``count``: a power of two."""
    from scipy.stats.qmc import Sobol  # slow to import, and only a new shape needs it

    points: Array = Sobol(dimensions, scramble=False).random(count)
    return points + 0.5 / count
