"""What `ablation.search.space` says: by dotted key, choices or a range.

In: the mapping as it was read. Out: `Choices` and `Range`, checked, and the values at their ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kd_rag.types import InputError


@dataclass(frozen=True, slots=True)
class Choices:
    """One of several values of any kind."""

    values: tuple[Any, ...]

    @property
    def ends(self) -> tuple[Any, ...]:
        """Every value, since each may be wrong by itself."""
        return self.values


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, ends included, int where all three are; `log` spreads them over the logarithm."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @property
    def ends(self) -> tuple[Any, ...]:
        """Both ends."""
        return self.low, self.high

    @property
    def whole(self) -> bool:
        """Whether its numbers are int."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step or 0))


def read_space(space: Mapping[str, Any]) -> dict[str, Choices | Range]:
    """Return the space by key, or raise InputError naming the key and what would be right."""
    found: dict[str, Choices | Range] = {}
    for key, value in space.items():
        where = f"ablation.search.space.{key}"
        if isinstance(value, list):
            if not value or any(value.count(choice) > 1 for choice in value):
                raise InputError(f"{where}: expected different choices and at least one, found {value}")
            found[key] = Choices(tuple(value))
        elif isinstance(value, Mapping):
            found[key] = _range(value, where)
        else:
            raise InputError(f"{where}: expected a list of choices or {{low: …, high: …}}, found {value!r}")
    return found


def _range(value: Mapping[str, Any], where: str) -> Range:
    unknown = sorted(value.keys() - {"low", "high", "log", "step"})
    if unknown or not {"low", "high"} <= value.keys():
        raise InputError(f"{where}: a range has low, high and perhaps log or step, found {', '.join(map(str, value))}")
    low, high = (_number(value[end], f"{where}.{end}") for end in ("low", "high"))
    log, step = value.get("log", False), value.get("step")
    step = None if step is None else _number(step, f"{where}.step")
    if not isinstance(log, bool):
        raise InputError(f"{where}.log: expected true or false, found {log!r}")
    if low >= high:
        raise InputError(f"{where}: low must be below high, found {low} and {high}")
    if log and (low <= 0 or step is not None):
        raise InputError(f"{where}: with log, low must be above 0 and there is no step, found {dict(value)}")
    if step is not None and not 0 < step <= high - low:
        raise InputError(f"{where}.step: expected a number above 0 and at most {high - low}, found {step}")
    return Range(low, high, log, step)


def _number(value: Any, where: str) -> int | float:
    try:
        # YAML 1.1 reads 1e-5, without a point, as text.
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InputError(f"{where}: expected a number, found {value!r}")
    return number
