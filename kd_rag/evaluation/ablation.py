"""The tables of an ablation: every variant over its seeds, by epoch, and against the base variant.

In: finished runs, and why others have no scores, by variant and seed. Out: `ablation.json`, `ablation.md` and, with
plots, `ablation.html`, which hold no time and no speed, so that the same runs give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from kd_rag.durable import write_whole
from kd_rag.evaluation import tables
from kd_rag.evaluation.comparison import Compared, compare
from kd_rag.evaluation.curves import by_epoch, ordered
from kd_rag.evaluation.html.study import study_page
from kd_rag.evaluation.legends import ABLATION_EPOCHS_LEGEND, ABLATION_LEGEND, COMPARISON_LEGEND, SEARCH_LEGEND
from kd_rag.evaluation.markdown import cell, table
from kd_rag.evaluation.tables import ABSENT, Rows
from kd_rag.evaluation.variants import Variant, curves_of, published_curves, scores_of


def write_tables(
    variants: Sequence[Variant], base: str, epochs: Sequence[float], out: Path, trials: Rows | None = None
) -> str:
    """Write the three files into the folder `out`; return the Markdown of the first table.

    `base` names the variant that the others are compared with; `epochs` are the columns of the tables by epoch, and
    empty means all there are. `trials` are the table of a search, where there was one.
    """
    compared = _compared(variants, base)
    found = {"base": base, "variants": {v.name: _described(v, compared.get(v.name)) for v in variants}}
    scores = table(score_table(variants))
    legend = f"The base, first of each pair, is {cell(base)}. {COMPARISON_LEGEND}"
    failures = [["variant", "seed", "reason"]]
    failures += [[v.name, str(seed), error] for v in variants for seed, error in v.failed.items()]
    blocks = ["# Ablation", "## Scores", scores, ABLATION_LEGEND, "## By epoch", table(epoch_table(variants, epochs))]
    blocks += [ABLATION_EPOCHS_LEGEND, "## Compared with the base", table(tables.comparison_table(compared))]
    blocks += [legend, *map(cell, tables.left_out(compared))]
    blocks += ["## Failed or pruned", table(failures)]
    blocks += ["## Search", table(trials), SEARCH_LEGEND] if trials else []
    page = study_page(variants, base, compared, epoch_table(variants, epochs), failures, trials or [])
    texts = {"html": page, "json": json.dumps(found, ensure_ascii=False, indent=1) + "\n"}
    for suffix, text in {**texts, "md": "\n\n".join(blocks) + "\n"}.items():
        write_whole(out / f"ablation.{suffix}", [text.encode()])
    return scores


def score_table(variants: Sequence[Variant]) -> Rows:
    """Lay out mean ± standard deviation (n - 1) of every column, published figures behind it."""
    scores = {variant.name: scores_of(variant) for variant in variants}
    shown = ordered(name for row in scores.values() for name in row)
    published = ordered(name for variant in variants for name in variant.published)
    rows = [["variant", "seeds", *shown, *(f"{name}, published" for name in published)]]
    for variant in variants:
        cells = [_mean_and_spread(scores[variant.name].get(name, [])) for name in shown]
        others = [f"{variant.published[name]:.2f}" if name in variant.published else ABSENT for name in published]
        seeds = f"{len(variant.runs)} of {len(variant.runs) + len(variant.failed)}"
        rows.append([variant.name, seeds, *cells, *others])
    return rows


def epoch_table(variants: Sequence[Variant], epochs: Sequence[float]) -> Rows:
    """Lay out one row for each variant and column of its scores, then of published ones; one column for each epoch."""
    curves = {}
    for variant in variants:
        curves[variant.name] = curves_of(variant)
        curves[f"{variant.name}, published"] = published_curves(variant)
    return by_epoch(curves, epochs, "variant")


def _compared(variants: Sequence[Variant], base: str) -> dict[str, Compared]:
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


def _described(variant: Variant, compared: Compared | None) -> dict[str, Any]:
    scores = scores_of(variant)
    return {
        "seeds": list(variant.runs),
        "runs": {seed: run.folder.name for seed, run in variant.runs.items()},
        "scores": scores,
        "mean": {name: fmean(values) for name, values in scores.items()},
        "std": {name: stdev(values) if len(values) > 1 else None for name, values in scores.items()},
        "by_epoch": curves_of(variant),
        "published": dict(variant.published),
        "published_by_epoch": published_curves(variant),
        "compared_with_base": compared and {n: {**asdict(c), "verdict": c.verdict} for n, c in compared.found.items()},
        "not_compared": compared and dict(compared.left_out),
        "failed": dict(variant.failed),
    }


def _mean_and_spread(values: Sequence[float]) -> str:
    if not values:
        return ABSENT
    return f"{fmean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")
