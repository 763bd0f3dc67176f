"""What a W&B sweep file says of one parameter: the values that it may take."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mpt.util.errors import UserError

Value = bool | int | float | str | tuple[Any, ...]

DISTRIBUTIONS = ("categorical", "constant", "uniform", "int_uniform", "q_uniform", "log_uniform_values")
_KEYS = ("value", "values", "distribution", "min", "max", "q")
_DIGITS = 4


@dataclass(frozen=True)
class Choice:
    """One of some values; of one, a constant."""

    values: tuple[Value, ...]

    def draw(self, rng: random.Random) -> Value:
        return rng.choice(self.values)


@dataclass(frozen=True)
class SteppedRange:
    """Multiples of ``step`` from ``low`` to ``high``, both included: ``q_uniform``, and whole numbers by steps of 1."""

    low: float
    high: float
    step: float

    @property
    def values(self) -> tuple[Value, ...]:
        """All of them, rising."""
        first, last = math.ceil(self.low / self.step - 1e-9), math.floor(self.high / self.step + 1e-9)
        return tuple(canonical(_rounded(number * self.step, 12)) for number in range(first, last + 1))

    def draw(self, rng: random.Random) -> Value:
        return rng.choice(self.values)


@dataclass(frozen=True)
class Range:
    """Any number from ``low`` to ``high``, the logarithm evenly if ``log``; of four digits, as a person would type."""

    low: float
    high: float
    log: bool = False

    def draw(self, rng: random.Random) -> Value:
        if self.log:
            return self.clip(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))
        return self.clip(rng.uniform(self.low, self.high))

    def clip(self, value: float) -> Value:
        """The nearest number of four digits in the range."""
        return canonical(min(max(_rounded(value, _DIGITS), self.low), self.high))


Parameter = Choice | SteppedRange | Range


def canonical(value: Any) -> Value:
    """A value in the one form by which runs are named: W&B turns 3.0 into 3 on its way to the agent."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if isinstance(value, list | tuple):
        return tuple(canonical(part) for part in value)
    return value


def read_parameter(content: Any, where: str) -> Parameter:
    """A parameter of a sweep file, with W&B's rules for what is left unsaid.

    Raises:
        UserError: it is no parameter, or of a kind that :mod:`mpt.sweep` does not draw from.
    """
    if not isinstance(content, Mapping):
        raise UserError(f"{where} must hold value, values, or min and max, not {content!r}")
    if "parameters" in content:
        raise UserError(
            f"{where} is nested, which no option of mpt is; write dotted names, such as model.optimizer.lr, at the top"
        )
    if unknown := [key for key in content if key not in _KEYS]:
        raise UserError(f"{where}: unknown key {unknown[0]}; known are {', '.join(_KEYS)}")
    name = content.get("distribution") or _unsaid(content, where)
    if name not in DISTRIBUTIONS:
        raise UserError(
            f"{where}: the distribution {name} is not known here, but these are: {', '.join(DISTRIBUTIONS)}"
        )
    if name == "constant":
        return Choice((_value(content.get("value"), where),))
    if name == "categorical":
        values = content.get("values")
        if not isinstance(values, Sequence) or isinstance(values, str) or not values:
            raise UserError(f"{where}: values must be a list of at least one value, not {values!r}")
        return Choice(tuple(dict.fromkeys(_value(value, where) for value in values)))
    low, high = _number(content, "min", where), _number(content, "max", where)
    if low >= high:
        raise UserError(f"{where}: min {low:g} must be below max {high:g}")
    if name == "log_uniform_values" and low <= 0:
        raise UserError(f"{where}: min must be above 0 for log_uniform_values, not {low:g}")
    if name == "int_uniform":
        if not float(low).is_integer() or not float(high).is_integer():
            raise UserError(f"{where}: min and max must be whole numbers for int_uniform")
        return SteppedRange(low, high, 1)
    if name == "q_uniform":
        step = _number({"q": 1, **content}, "q", where)
        if step <= 0:
            raise UserError(f"{where}: q must be above 0, not {step:g}")
        return SteppedRange(low, high, step)
    return Range(low, high, log=name == "log_uniform_values")


def _unsaid(content: Mapping[str, Any], where: str) -> str:
    if "value" in content:
        return "constant"
    if "values" in content:
        return "categorical"
    if "min" in content or "max" in content:
        whole = all(isinstance(content.get(key), int) for key in ("min", "max"))
        return "int_uniform" if whole else "uniform"
    raise UserError(f"{where} must hold value, values, or min and max")


def _number(content: Mapping[str, Any], key: str, where: str) -> float:
    value = content.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        hint = ""
        if isinstance(value, str) and "e" in value.lower():
            hint = " (YAML reads a power of ten as a number only with a point: 1.0e-5)"
        raise UserError(f"{where}: {key} must be a number, not {value!r}{hint}")
    return value


def _value(value: Any, where: str) -> Value:
    if isinstance(value, list):
        return tuple(_value(part, where) for part in value)
    if not isinstance(value, bool | int | float | str):
        raise UserError(f"{where}: {value!r} cannot be given as an option's value; give a number, a text or a list")
    if isinstance(value, str) and _is_power(value):
        raise UserError(f"{where}: {value} is a text to YAML, which wants a point in a number: 1.0e-5")
    return canonical(value)


def _is_power(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "e" in text.lower()


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
