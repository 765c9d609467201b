"""The page of an ablation: a variant's mean, seeds and published figure must be drawn where they are."""

import json
import re

import pytest

from kd_rag.evaluation.ablation import write_tables
from kd_rag.evaluation.runs import read_run
from kd_rag.evaluation.variants import Variant

BY_EPOCH = {
    "base": {3.0: {"average": 97.25}, 0.5: {"average": 60.5}},
    "single": {},
    "broken": {1.5: {"average": 41.0}},
}


@pytest.fixture
def page(make_run, tmp_path):
    variants = []
    for name, wrong in {"base": [set(), set(range(5))], "single": [set(range(10))]}.items():
        runs = {}
        for seed, scenes in enumerate(wrong):
            folder = make_run(f"{name}-seed{seed}", set(), scenes)
            tasks = json.loads((folder / "metrics.json").read_text())["tasks"]
            lines = [{"epoch": e / 2, "tasks": tasks, "average_score": 60.0 + e + seed} for e in range(1, 5)]
            (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
            runs[seed] = read_run(folder)
        published = {"average": 83.98} if name == "base" else {}
        variants.append(Variant(name, runs, {} if name == "base" else {1: "out of memory"}, published, BY_EPOCH[name]))
    variants.append(Variant("broken", {}, {0: "no text"}, {}, BY_EPOCH["broken"]))
    write_tables(variants, "base", [0.5, 1], tmp_path)
    return (tmp_path / "ablation.html").read_text(encoding="utf-8")


def test_each_variant_has_mean_spread_seeds_and_its_published_figure(page):
    base, single, _ = re.findall(r"<tr><th.*?</tr>", page.split("<tbody>")[1].split("</tbody>")[0])
    assert base.count('class="seed"') == 3 * 2
    assert base.count('class="published"') == 1
    assert 'published-key">83.98<' in base
    assert "2 of 2 seeds" in base
    assert "1 of 2 seeds" in single
    assert "published" not in single


def test_there_is_a_chart_for_each_score_with_bands_over_the_seeds(page):
    """61 and 62 after half an epoch: mean 61.5, standard deviation 0.7."""
    charts = re.findall(r"<figure>.*?</figure>", page)
    assert [re.search("<figcaption>(.*?)<", chart)[1] for chart in charts] == ["intent", "image scene", "average"]
    assert "base: 61.5 [60.8, 62.2] at epoch 0.5<" in charts[2]
    assert charts[2].count('class="band"') == 2


def test_published_figures_by_epoch_are_marks_of_their_variant_wherever_they_lie(page):
    """Those beside the runs' own epochs and scores, and of a variant without a run, would fall out of the chart."""
    intent, _, average = re.findall(r"<figure>.*?</figure>", page)
    assert "published" not in intent
    mark = r'<g class="(s\d) d0" data-series="(\d)"><path d="M([\d.]+),([\d.]+)m[^"]+" class="published"><title>(.*?)<'
    found = re.findall(mark, average)
    assert [(colour, series, told) for colour, series, _, _, told in found] == [
        ("s0", "0", "base, published: 97.25 at epoch 3"),
        ("s0", "0", "base, published: 60.50 at epoch 0.5"),
        ("s2", "2", "broken, published: 41.00 at epoch 1.5"),
    ]
    epochs, scores = zip(*((float(x), float(y)) for _, _, x, y, _ in found), strict=True)
    assert 40 < epochs[1] < epochs[2] < epochs[0] < 348
    assert 12 < scores[0] < scores[1] < scores[2] < 190
    assert page.count('published-key diamond"></span> published figure of this setting') == 1


def test_headings_and_failures_are_there(page):
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", page) == ["Scores", "By epoch", "Comparison", "Failed or pruned"]
    assert "out of memory" in page
    assert "3 variants · 3 runs finished, 2 failed or pruned · base: base" in page
