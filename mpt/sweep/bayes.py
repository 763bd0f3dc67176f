"""The next trial by what the earlier ones gave: Optuna's tree-structured Parzen estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mpt.sweep.distributions import Choice, Parameter, Range
from mpt.sweep.sampling import Values
from mpt.util.distribution import install
from mpt.util.errors import UserError

_STARTUP = 5
"""Trials by chance before the estimator has something to go by; Optuna's ten are half of a usual sweep."""


def propose(
    parameters: Mapping[str, Parameter], history: Sequence[tuple[Values, float | None]], seed: int
) -> Values | None:
    """A combination that is not in the history, or none if no new one comes up.

    It is a function of its arguments, so a sweep that was killed goes on as it would have.

    Args:
        history: the values of each trial so far and its ARG; none for one that failed or is still to be done, near
            which the next should not be.
        seed: of the chance in it.

    Raises:
        UserError: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise UserError(
            f"method: bayes needs Optuna, which is not installed: {install('bayes')}; or set method to random"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {name: _distribution(optuna, parameter) for name, parameter in parameters.items()}
    known = [values for values, _ in history]
    for attempt in range(20):
        rng = seed + 1000 * len(history) + attempt
        sampler = optuna.samplers.TPESampler(n_startup_trials=_STARTUP, constant_liar=True, seed=rng)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for values, arg in history:
            state = optuna.trial.TrialState.RUNNING if arg is None else optuna.trial.TrialState.COMPLETE
            params = {name: _plain(parameters[name], value) for name, value in values.items()}
            made = optuna.trial.create_trial(state=state, value=arg, params=params, distributions=distributions)
            study.add_trial(made)
        drawn = study.ask(distributions).params
        values = {name: _ours(parameter, drawn[name]) for name, parameter in parameters.items()}
        if values not in known:
            return values
    return None


def _distribution(optuna: Any, parameter: Parameter) -> Any:
    if isinstance(parameter, Range):
        return optuna.distributions.FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    # Positions, which may stand for anything; numbers in order, so that near ones are taken to be alike.
    if isinstance(parameter, Choice) and not all(_is_number(value) for value in parameter.values):
        return optuna.distributions.CategoricalDistribution(range(len(parameter.values)))
    return optuna.distributions.IntDistribution(0, len(parameter.values) - 1)


def _plain(parameter: Parameter, value: Any) -> Any:
    return value if isinstance(parameter, Range) else _ordered(parameter).index(value)


def _ours(parameter: Parameter, drawn: Any) -> Any:
    return parameter.clip(drawn) if isinstance(parameter, Range) else _ordered(parameter)[drawn]


def _ordered(parameter: Any) -> list[Any]:
    values = list(parameter.values)
    return sorted(values) if all(_is_number(value) for value in values) else values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
