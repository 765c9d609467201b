"""Reasons before the label: where those of a record come from, and which prompts ask for them.

In: training records, and a file of reasons if there is one. Out: the records with their reasons; for each view of a
record, what its prompt asks for. The collator then makes the answer of both, and no prompt ever shows `Record.reasons`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kd_rag.config import Config, ReasoningConfig, Stages
from kd_rag.data._formats_fields import Fields, read_fields, shown
from kd_rag.data._formats_json import read_lines, split_items
from kd_rag.types import Asked, InputError, Record, Stage


def read_reasons_file(path: Path) -> dict[str, str]:
    """Return the reasons in a file of `{id, reasons}` by id; raises InputError naming the first bad line."""
    found: dict[str, str] = {}
    for item in split_items(read_lines(path)):
        faults = list(item.faults)
        if isinstance(item.value, dict):
            identity, reasons = read_fields(item.value, _id_and_reasons, faults)
            if identity in found:
                faults.append(f"{identity!r} stands in an earlier line, too; keep one of them")
            found[identity] = reasons
        elif not faults:
            faults.append(f"expected an object {{id, reasons}}, found {shown(item.value)}")
        if faults:
            raise InputError(f"{path}: {item.place}: {faults[0]}")
    return found


def _id_and_reasons(item: Fields) -> tuple[str, str]:
    return item.name("id"), item.name("reasons").strip()


def with_reasons(records: Sequence[Record], file: str | None) -> list[Record]:
    """Return the records with the reasons of `file`, else with their own; ids that no record has are passed over.

    Raises InputError where no record has reasons then: nothing would be learnt of them.
    """
    written = {} if file is None else read_reasons_file(Path(file))
    reasoned = [replace(record, reasons=written.get(record.id, record.reasons)) for record in records]
    if not any(record.reasons for record in reasoned):
        raise InputError(
            f"prompt.reasoning: none of the {len(reasoned)} training records has reasons"
            f"{'' if file is None else f', and {file} has none for them'}; write a file with `kd_rag reason` and name "
            "it in reasoning.file, or set prompt.reasoning=false"
        )
    return reasoned


def reasoned_tasks(config: Config) -> dict[str, Stages]:
    """Return where the answers of each task give reasons; nothing unless `prompt.reasoning` is on."""
    return {name: task.reasoning for name, task in config.tasks.items()} if config.prompt.reasoning else {}


@dataclass(frozen=True)
class Asking:
    """What the prompts of a run ask for; raises InputError for a number that is out of range.

    `tasks` has where the answers of each give reasons; it is empty where none do.
    """

    config: ReasoningConfig
    tasks: Mapping[str, Stages]
    seed: int

    def __post_init__(self) -> None:
        if not 0 <= self.config.share <= 1:
            raise InputError(f"reasoning.share={self.config.share}: must be between 0 and 1")
        for name, least in (("max_tokens", 1), ("reason_weight", 0), ("label_weight", 0)):
            if (number := getattr(self.config, name)) < least:
                raise InputError(f"reasoning.{name}={number}: must be {least} or more")

    def __call__(self, record: Record, view: int, stage: Stage) -> Asked:
        """Return what the prompt of a view asks for: in training, reasons only of a record that has some."""
        if record.task not in self.tasks or not getattr(self.tasks[record.task], stage):
            return "label"
        if stage == "eval":
            return "label" if self.config.eval == "direct" else "reasons_and_label"
        drawn = random.Random(f"reasoning/{self.seed}/{record.id}/{view}").random() < self.config.share
        return "reasons_and_label" if drawn and record.reasons else "label"
