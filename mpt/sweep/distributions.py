"""What a W&B sweep file says of one parameter: the values that it may take."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from mpt.util.schema import Checked, FromFile, one_of, shown

Value = bool | int | float | str | tuple[Any, ...]

DISTRIBUTIONS = ("categorical", "constant", "uniform", "int_uniform", "q_uniform", "log_uniform_values")
_NEEDED = {"constant": "value", "categorical": "values"}
_DIGITS = 4


@dataclass(frozen=True)
class Choice:
    """One of some values; of one, a constant."""

    values: tuple[Value, ...]

    @property
    def size(self) -> int:
        return len(self.values)

    def draw(self, rng: random.Random) -> Value:
        return rng.choice(self.values)


@dataclass(frozen=True)
class SteppedRange:
    """Multiples of ``step`` from ``low`` to ``high``, both included: ``q_uniform``, and whole numbers by steps of 1."""

    low: float
    high: float
    step: float

    @property
    def numbers(self) -> range:
        """How often the step goes into each of them, rising."""
        return range(math.ceil(self.low / self.step - 1e-9), math.floor(self.high / self.step + 1e-9) + 1)

    @property
    def size(self) -> int:
        return self.numbers.stop - self.numbers.start  # of which len() may be too small a number

    @property
    def values(self) -> tuple[Value, ...]:
        """All of them, rising."""
        return tuple(map(self._value, self.numbers))

    def draw(self, rng: random.Random) -> Value:
        return self._value(rng.randrange(self.numbers.start, self.numbers.stop))

    def _value(self, number: int) -> Value:
        return canonical(_rounded(number * self.step, 12))


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


def _value(value: Any, _: object = None) -> Value:
    if isinstance(value, list):
        return tuple(_value(part) for part in value)
    if not isinstance(value, bool | int | float | str):
        raise ValueError(f": {shown(value)} cannot be given as an option's value; give a number, a text or a list")
    if isinstance(value, str) and _is_power(value):
        raise ValueError(f": {value} is a text to YAML, which wants a point in a number: 1.0e-5")
    return canonical(value)


def _values(given: Any, validate: Callable[[Any], Any]) -> Any:
    if not isinstance(given, list) or not given:
        raise ValueError(f"must be a list of at least one value, not {'an empty one' if given == [] else shown(given)}")
    return tuple(dict.fromkeys(validate(tuple(given))))


def _number(value: Any, _: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        power = isinstance(value, str) and _is_power(value)
        hint = " (YAML reads a power of ten as a number only with a point: 1.0e-5)" if power else ""
        raise ValueError(f"must be a number, not {shown(value)}{hint}")
    return value


Number = Annotated[float, Checked(_number)]


@dataclass(frozen=True)
class ParameterFile(FromFile):
    """What a sweep file says of a parameter, with W&B's rules for what is left unsaid."""

    value: Annotated[Any, Checked(_value)] = None
    values: Annotated[tuple[Annotated[Any, Checked(_value)], ...], Checked(_values)] = ()
    distribution: Annotated[str, one_of(DISTRIBUTIONS)] | None = None
    min: Number | None = None
    max: Number | None = None
    q: Number = 1

    MISPLACED: ClassVar = {
        "parameters": "is nested, which no option of mpt is; write dotted names, such as model.optimizer.lr, at the top"
    }

    def __post_init__(self) -> None:
        self.parameter()

    def parameter(self) -> Parameter:
        """What trials draw from."""
        name = self.distribution or self._unsaid()
        given = {"constant": self.value is not None, "categorical": self.values}
        if not given.get(name, None not in (self.min, self.max)):
            raise ValueError(f"is {name} and must hold {_NEEDED.get(name, 'min and max')}")
        if name in given:
            return Choice((self.value,) if name == "constant" else self.values)
        assert self.min is not None and self.max is not None
        if self.min >= self.max:
            raise ValueError(f": min {self.min:g} must be below max {self.max:g}")
        if name == "log_uniform_values" and self.min <= 0:
            raise ValueError(f": min must be above 0 for log_uniform_values, not {self.min:g}")
        if name == "int_uniform":
            if not float(self.min).is_integer() or not float(self.max).is_integer():
                raise ValueError(": min and max must be whole numbers for int_uniform")
            return SteppedRange(self.min, self.max, 1)
        if name == "q_uniform":
            if self.q <= 0:
                raise ValueError(f": q must be above 0, not {self.q:g}")
            return SteppedRange(self.min, self.max, self.q)
        return Range(self.min, self.max, log=name == "log_uniform_values")

    def _unsaid(self) -> str:
        if self.value is not None:
            return "constant"
        if self.values:
            return "categorical"
        if self.min is None and self.max is None:
            raise ValueError("must hold value, values, or min and max")
        return "int_uniform" if isinstance(self.min, int) and isinstance(self.max, int) else "uniform"


def _is_power(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "e" in text.lower()


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
