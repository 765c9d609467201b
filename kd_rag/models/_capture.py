"""Read the outputs of chosen layers while a model runs, without keeping those of all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def captured(modules: Mapping[Any, nn.Module]) -> Iterator[dict[Any, Tensor]]:
    """Fill the dict it gives with the output of each module, the first of a tuple, as the model runs."""
    seen: dict[Any, Tensor] = {}
    with ExitStack() as hooks:
        for name, module in modules.items():

            def keep(_: nn.Module, __: Any, output: Any, name: Any = name) -> None:
                seen[name] = output[0] if isinstance(output, tuple) else output

            hooks.enter_context(module.register_forward_hook(keep))
        yield seen
