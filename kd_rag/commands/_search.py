"""The trials of a search: draw values, make the runs, stop those that are not worth their time.

In: a plan with `ablation.search`. Out: the trials, kept in `OUT/search.json` from the moment that their values are
drawn, and their run folders, as those of variants. After a kill the next call goes on: an ended trial is not made
again, and one that was under way goes on with its values. A failed one is tried again, with its values.

Of N at a time, trial n begins once all up to trial n - N have ended and learns from these alone: what the others have
reached by then is a matter of time, and would give another table each time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from threading import Condition
from typing import Any

from kd_rag.commands._ablation_jobs import check_unchanged, make_run
from kd_rag.commands._ablation_memory import Places
from kd_rag.commands._ablation_plan import Job, Plan, run_name, trial_name
from kd_rag.commands._ablation_variants import shown
from kd_rag.commands._run_folder import write_json
from kd_rag.commands._search_study import Trial, next_values, pruned_after
from kd_rag.evaluation.curves import columns, evaluations
from kd_rag.evaluation.tables import ABSENT, Rows
from kd_rag.types import InputError


class Search:
    """The trials of one output folder, in the order of their numbers."""

    def __init__(self, plan: Plan, out: Path, places: Places) -> None:
        self._plan, self._out, self._places = plan, out, places
        self._search = plan.section.search
        self._changed = Condition()
        self._begun = 0
        self._stopped = False
        self.trials = self._read()
        self._reasons: dict[int, str | None] = {}

    def run(self) -> None:
        """Make what is missing, as many trials at a time as there are places."""
        pool = ThreadPoolExecutor(self._places.at_once)
        try:
            number = max(self._search.trials, len(self.trials))
            for future in [pool.submit(self._next) for _ in range(number)]:
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def table(self) -> Rows:
        """Lay out one row for each trial: its values, its score on valid, and how it ended."""
        keys = list(self._search.space)
        rows = [["trial", *keys, f"{self._search.metric} on valid", "ended"]]
        for number, trial in enumerate(self.trials):
            score = ABSENT if trial.score is None else f"{trial.score:.2f}"
            ended = self._reasons[number] or ("best" if number == self.best else trial.state)
            rows.append([str(number), *(_figure(trial.values[key]) for key in keys), score, ended])
        return rows

    @property
    def names(self) -> list[str]:
        """The names of the trials among the variants."""
        return [trial_name(number) for number in range(len(self.trials))]

    @property
    def absent(self) -> dict[str, str | None]:
        """Why a run has no scores, by its name: it failed or was pruned; None where it has them."""
        seeds = self._plan.section.seeds
        return {run_name(n, seed): self._reasons[i] for i, n in enumerate(self.names) for seed in seeds}

    @property
    def failed(self) -> bool:
        """Whether a trial failed."""
        return any(trial.state == "failed" for trial in self.trials)

    @property
    def best(self) -> int | None:
        """The number of the trial with the highest score on valid, the first of equals; None where none ended."""
        done = [number for number, trial in enumerate(self.trials) if trial.score is not None]
        return max(done, key=lambda number: (self.trials[number].score, -number), default=None)

    def _next(self) -> None:
        try:
            number = self._begin()
            if number is None:
                return
            ended, reason = self._make(number)
            with self._changed:
                self.trials[number] = ended
                self._reasons[number] = reason
                self._write()
                self._changed.notify_all()
        except BaseException:
            self._stopped = True
            with self._changed:
                self._changed.notify_all()
            raise
        print(f"{_name(number, ended.values)}: {reason or f'{ended.score:.2f} on valid'}", flush=True)

    def _begin(self) -> int | None:
        """Wait until the next trial may begin, and return its number, None where the search was stopped."""
        with self._changed:
            number = self._begun
            self._begun += 1
            drawn = number < len(self.trials)
            known = self.trials[number].known if drawn else max(0, number - self._places.at_once + 1)
            before = set(range(known))
            self._changed.wait_for(
                lambda: self._stopped or (before <= self._reasons.keys() and number <= len(self.trials))
            )
            if self._stopped:  # to draw a trial now, without the score of the one that was stopped, would be too early
                return None
            if not drawn:
                self.trials.append(Trial(next_values(self._search, number, self.trials[:known]), known=known))
                self._write()
                self._changed.notify_all()
            return number

    def _make(self, number: int) -> tuple[Trial, str | None]:
        """Make the runs of a trial; return how it ended, and why it has no runs where it has none."""
        try:
            jobs = self._plan.trial(number, self.trials[number].values)
        except InputError as fault:  # each value is right, as the plan has checked; together these are not
            return replace(self.trials[number], state="failed"), str(fault)
        check_unchanged(jobs, self._out)
        trial, first = self.trials[number], self._folder(jobs[0])
        if trial.state == "pruned":
            return trial, _pruned(trial.scores)

        def worthless() -> int | None:
            return pruned_after(self._search, self.trials[: trial.known], self._scores(first))

        for job in jobs:
            watched = job is jobs[0] and trial.state == "open" and self._search.prune != "none"
            error = None
            if not (watched and worthless()):
                stop = (lambda: worthless() is not None) if watched else None
                error = make_run(job, self._out, self._plan.section.split, self._places, stop)
            after = worthless() if watched else None
            if after is not None:
                scores = self._scores(first)[:after]
                return replace(trial, state="pruned", scores=scores), _pruned(scores)
            if error:
                return replace(trial, state="failed"), error
        score = fmean(max(self._scores(self._folder(job))) for job in jobs)
        return replace(trial, state="done", scores=self._scores(first), score=score), None

    def _scores(self, folder: Path) -> list[float]:
        """Return the score on valid at each evaluation of a run so far."""
        found = [columns(row) for row in evaluations(folder)]
        for row in found:
            if self._search.metric not in row:
                raise InputError(f"ablation.search.metric: expected {', '.join(row)}, found {self._search.metric!r}")
        return [row[self._search.metric] for row in found]

    def _folder(self, job: Job) -> Path:
        return self._out / "runs" / job.name

    @property
    def _path(self) -> Path:
        return self._out / "search.json"

    def _settings(self) -> dict[str, Any]:
        """Return what may not change from one call to the next; the number of trials may."""
        return {key: value for key, value in asdict(self._search).items() if key != "trials"}

    def _read(self) -> list[Trial]:
        if not self._path.exists():
            return []
        found = json.loads(self._path.read_text(encoding="utf-8"))
        for key, value in self._settings().items():
            if found["settings"][key] != value:
                raise InputError(
                    f"ablation.search.{key}: is {value!r}, but {self._path} was begun with {found['settings'][key]!r}; "
                    "choose another --out"
                )
        trials = [Trial(**trial) for trial in found["trials"]]
        return [replace(trial, state="open") if trial.state == "failed" else trial for trial in trials]

    def _write(self) -> None:
        write_json(self._path, {"settings": self._settings(), "trials": [asdict(trial) for trial in self.trials]})


def _name(number: int, values: dict[str, Any]) -> str:
    return f"trial {number} ({', '.join(f'{key}={_figure(value)}' for key, value in values.items())})"


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else shown(value)


def _pruned(scores: Sequence[float]) -> str:
    return f"pruned after evaluation {len(scores)} at {max(scores):.2f} on valid"
