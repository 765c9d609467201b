"""The checks that options of augmentations share."""

from __future__ import annotations

from kd_rag.types import InputError


def check_range(member: str, highest: float = 1, **options: float) -> None:
    """Raise InputError naming the option of `member` that is not from 0 to `highest`."""
    for option, value in options.items():
        if not 0 <= value <= highest:
            raise InputError(f"augmentations {member}: {option} is a number from 0 to {highest}, found {value}")


def check_count(member: str, **options: int) -> None:
    """Raise InputError naming the option of `member` that is below 1."""
    for option, value in options.items():
        if value < 1:
            raise InputError(f"augmentations {member}: {option} is a number of at least 1, found {value}")
