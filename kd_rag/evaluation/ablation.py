"""The tables of an ablation: every variant over its seeds, by epoch, and against the base variant.

In: finished runs and the failures, by variant and seed. Out: `ablation.json` and `ablation.md`, which hold no time and
no speed, so that the same runs give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from kd_rag.evaluation import tables
from kd_rag.evaluation.comparison import Comparison, compare
from kd_rag.evaluation.curves import AVERAGE, by_epoch, columns, evaluations
from kd_rag.evaluation.legends import COMPARISON_LEGEND
from kd_rag.evaluation.markdown import cell, table
from kd_rag.evaluation.runs import Run
from kd_rag.evaluation.tables import ABSENT, Rows

LEGEND = """\
100 × weighted F1 as mean ± standard deviation over the seeds that finished; average is the mean of the tasks' scores.
Published figures are other people's, on their own test set."""
EPOCHS_LEGEND = """\
100 × weighted F1 on valid while the runs were trained, mean over the seeds. Where the columns were asked for, each
shows the nearest evaluation, at most a quarter of an epoch away: epochs of an odd number of steps have no half."""


@dataclass(frozen=True, slots=True)
class Variant:
    """Runs by seed, the last line of the error of each seed that failed, and what was published of this setting."""

    name: str
    runs: Mapping[int, Run]
    failed: Mapping[int, str]
    published: Mapping[str, float]


def write_tables(variants: Sequence[Variant], base: str, epochs: Sequence[float], out: Path) -> str:
    """Write both files into the folder `out`; return the Markdown of the first table.

    `base` names the variant that the others are compared with; `epochs` are the columns of the tables by epoch, and
    empty means all there are.
    """
    compared = _compared(variants, base)
    found = {"base": base, "variants": {v.name: _described(v, compared.get(v.name)) for v in variants}}
    scores = table(score_table(variants))
    legend = f"The base, first of each pair, is {cell(base)}. {COMPARISON_LEGEND}"
    failures = [["variant", "seed", "error"]]
    failures += [[v.name, str(seed), error] for v in variants for seed, error in v.failed.items()]
    blocks = ["# Ablation", "## Scores", scores, LEGEND, "## By epoch", table(epoch_table(variants, epochs))]
    blocks += [EPOCHS_LEGEND, "## Compared with the base", table(tables.comparison_table(compared)), legend]
    blocks += ["## Failed", table(failures)]
    _replace(out / "ablation.json", json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    _replace(out / "ablation.md", "\n\n".join(blocks) + "\n")
    return scores


def scores_of(variant: Variant) -> dict[str, list[float]]:
    """Return 100 × weighted F1 of each task and the average, one value a seed."""
    found: dict[str, list[float]] = {}
    for run in variant.runs.values():
        for name, score in columns(run.metrics).items():
            found.setdefault(name, []).append(score)
    return found


def score_table(variants: Sequence[Variant]) -> Rows:
    """Lay out mean ± standard deviation (n - 1) of every column, published figures behind it."""
    scores = {variant.name: scores_of(variant) for variant in variants}
    shown = _ordered(name for row in scores.values() for name in row)
    published = _ordered(name for variant in variants for name in variant.published)
    rows = [["variant", "seeds", *shown, *(f"{name}, published" for name in published)]]
    for variant in variants:
        cells = [_mean_and_spread(scores[variant.name].get(name, [])) for name in shown]
        others = [f"{variant.published[name]:.2f}" if name in variant.published else ABSENT for name in published]
        seeds = f"{len(variant.runs)} of {len(variant.runs) + len(variant.failed)}"
        rows.append([variant.name, seeds, *cells, *others])
    return rows


def epoch_table(variants: Sequence[Variant], epochs: Sequence[float]) -> Rows:
    """Lay out one row for each variant and column of the scores, one column for each epoch."""
    return by_epoch({variant.name: curves_of(variant) for variant in variants}, epochs, "variant")


def curves_of(variant: Variant) -> dict[str, dict[float, float]]:
    """Return, by column, the mean score over the seeds at each epoch that `metrics.jsonl` has.

    An epoch is rounded to hundredths: the half of an odd number of steps falls beside the half of the epoch.
    """
    values: dict[str, dict[float, list[float]]] = {}
    for run in variant.runs.values():
        for row in evaluations(run.folder):
            for column, score in columns(row).items():
                values.setdefault(column, {}).setdefault(round(row["epoch"], 2), []).append(score)
    return {column: {epoch: fmean(v) for epoch, v in curve.items()} for column, curve in values.items()}


def _compared(variants: Sequence[Variant], base: str) -> dict[str, dict[str, Comparison]]:
    """Compare each variant with the base on the seeds that both have; a failed base is compared with none."""
    first = next(variant for variant in variants if variant.name == base)
    found = {}
    for variant in variants:
        seeds = [seed for seed in first.runs if seed in variant.runs]
        if variant is first or not seeds:
            continue
        one, other = ([v.runs[seed].predictions for seed in seeds] for v in (first, variant))
        settings = first.runs[seeds[0]].config
        found[variant.name] = compare(one, other, settings.evaluation.bootstrap_samples, seeds[0])
    return found


def _described(variant: Variant, compared: Mapping[str, Comparison] | None) -> dict[str, Any]:
    scores = scores_of(variant)
    return {
        "seeds": list(variant.runs),
        "runs": {seed: run.folder.name for seed, run in variant.runs.items()},
        "scores": scores,
        "mean": {name: fmean(values) for name, values in scores.items()},
        "std": {name: stdev(values) if len(values) > 1 else None for name, values in scores.items()},
        "by_epoch": curves_of(variant),
        "published": dict(variant.published),
        "compared_with_base": compared and {task: {**asdict(c), "verdict": c.verdict} for task, c in compared.items()},
        "failed": dict(variant.failed),
    }


def _ordered(names: Any) -> list[str]:
    """Return each name once, the average last."""
    return sorted(dict.fromkeys(names), key=lambda name: name == AVERAGE)


def _mean_and_spread(values: Sequence[float]) -> str:
    if not values:
        return ABSENT
    return f"{fmean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
