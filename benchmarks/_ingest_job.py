"""What a contestant of the ingestion benchmark is asked to do; standard library only, so that every peer can read it.

In: a JSON file with the fields of `Job`. Out: one JSON line with the seconds of each phase. Loading the encoder and
importing libraries are not timed; everything from texts in memory to a closed store on disk is.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Text:
    """One passage: what is encoded, and what travels with it."""

    id: str
    text: str
    title: str
    kind: str


@dataclass(frozen=True, slots=True)
class Job:
    """One measurement: a file of `first` texts and more, the encoder's folder, an empty folder, threads.

    `again` asks for the second and third phase, too.
    """

    texts: str
    first: int
    model: str
    store: str
    threads: int
    again: bool


def read_job() -> tuple[Job, list[Text]]:
    """Return the job whose file is named on the command line, and its texts."""
    job = Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    lines = Path(job.texts).read_text(encoding="utf-8").splitlines()
    return job, [Text(**json.loads(line)) for line in lines]


def measure(job: Job, texts: Sequence[Text], ingest: Callable[[Sequence[Text]], int]) -> dict[str, float]:
    """Ingest the first texts and, if asked, the same again, and then all; `ingest` returns how many the store holds.

    It may be more than there are texts: who cuts what the encoder cannot read to its end stores pieces.
    The seconds are wall time, `cpu` that of the processor.
    """
    found: dict[str, float] = {}
    phases = (("first", texts[: job.first]), ("again", texts[: job.first]), ("added", texts))
    for phase, batch in phases if job.again else phases[:1]:
        wall, cpu = time.perf_counter(), time.process_time()
        total = ingest(batch)
        found[phase], found[f"{phase}_cpu"] = time.perf_counter() - wall, time.process_time() - cpu
        assert total >= len(batch), f"the store holds {total} of {len(batch)} passages"
    return found


def tell(contestant: str, version: str, seconds: dict[str, float]) -> None:
    """Print the measurement."""
    print(json.dumps({"contestant": contestant, "version": version, "seconds": seconds}))
