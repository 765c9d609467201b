"""A table of an ablation that is wrong by a row or a column decides for the wrong variant."""

import dataclasses
import json

import pytest

from kd_rag.evaluation.ablation import epoch_table, score_table, write_tables
from kd_rag.evaluation.runs import read_run
from kd_rag.evaluation.variants import Variant


def line(epoch, intent, scene):
    scores = {"intent": intent, "image_scene": scene}
    tasks = {n: {"weighted_f1": f1, "weighted_f1_ci95": [f1 - 0.1, f1 + 0.1]} for n, f1 in scores.items()}
    return json.dumps({"epoch": epoch, "tasks": tasks, "average_score": 50 * (intent + scene)}) + "\n"


@pytest.fixture
def variant(make_run):
    """Return a function that makes a variant of two seeds, whose wrong image scenes are given."""

    def make(name, wrong, published=(), failed=(), by_epoch=()):
        runs = {}
        for seed, scenes in enumerate(wrong):
            folder = make_run(f"{name}-seed{seed}", set(), scenes)
            curve = line(0.5128, 0.4 + 0.2 * seed, 0.2) + line(1.0, 0.5, 0.7)
            (folder / "metrics.jsonl").write_text(curve)
            runs[seed] = read_run(folder)
        return Variant(name, runs, dict(failed), dict(published), dict(by_epoch))

    return make


def test_scores_are_mean_and_sample_deviation_over_the_seeds_beside_published_figures(variant):
    """Five of ten carts taken for chats: F1 2/3 of the cart, 4/5 of the chat; each has half of the records."""
    one = variant("one", [set(), set(range(5))], {"average": 83.98})
    two = variant("two", [set()], failed={1: "fit exited with 1: out of memory"})
    three = Variant("three", {}, {0: "a", 1: "b"}, {}, {})
    half = 100 * (2 / 3 + 4 / 5) / 2
    mean, spread = (100 + half) / 2, (100 - half) / 2**0.5
    assert score_table([one, two, three]) == [
        ["variant", "seeds", "intent", "image_scene", "average", "average, published"],
        [
            "one",
            "2 of 2",
            "100.00 ± 0.00",
            f"{mean:.2f} ± {spread:.2f}",
            f"{(100 + mean) / 2:.2f} ± {spread / 2:.2f}",
            "83.98",
        ],
        ["two", "1 of 2", "100.00", "100.00", "100.00", "–"],
        ["three", "0 of 2", "–", "–", "–", "–"],
    ]


def test_columns_by_epoch_are_means_over_seeds_at_the_nearest_evaluation(variant):
    one = variant("one", [set(), set()])
    assert epoch_table([one], []) == [
        ["variant", "score", "0.51", "1"],
        ["one", "intent", "50.00", "50.00"],
        ["one", "image_scene", "20.00", "70.00"],
        ["one", "average", "35.00", "60.00"],
    ]
    assert epoch_table([one], [0.5, 1, 1.5])[1] == ["one", "intent", "50.00", "50.00", "–"]


def test_figures_that_others_published_by_epoch_stand_behind_the_variant_they_are_of(variant):
    one = variant("one", [set()], by_epoch={1.0: {"intent": 88.28, "average": 80.0}, 1.5: {"intent": 88.07}})
    other = variant("other", [set()])
    rows = epoch_table([one, other], [0.5, 1, 1.5])
    assert [row[0] for row in rows] == ["variant", *["one"] * 3, *["one, published"] * 2, *["other"] * 3]
    assert rows[4:6] == [
        ["one, published", "intent", "–", "88.28", "88.07"],
        ["one, published", "average", "–", "80.00", "–"],
    ]


def test_a_variant_is_compared_with_the_base_on_shared_seeds_and_failures_stay_in(variant, tmp_path):
    """A table without its failures reads as if they had never been tried."""
    worse = variant("worse", [set(range(10)), set(range(10))])
    base = variant("base", [set()], failed={1: "fit exited with 1: boom | <b>"})
    assert "| worse | 2 of 2 |" in write_tables([worse, base], "base", [], tmp_path)
    found = json.loads((tmp_path / "ablation.json").read_text())["variants"]
    compared = found["worse"]["compared_with_base"]["image_scene"]
    assert compared["verdict"] == "worse"
    assert compared["only_first"] == 10
    assert compared["difference"] == pytest.approx(1 / 3 - 1)
    assert found["worse"]["compared_with_base"]["average"]["difference"] == pytest.approx((1 / 3 - 1) / 2)
    assert found["base"]["compared_with_base"] is None
    assert found["worse"]["std"]["average"] == 0
    page = (tmp_path / "ablation.html").read_text()
    assert "fit exited with 1: boom | &lt;b&gt;" in page
    assert "worse" in page
    assert "| base | 1 | fit exited with 1: boom \\| &lt;b> |" in (tmp_path / "ablation.md").read_text()


def test_a_variant_on_one_task_alone_is_compared_on_that_task_and_the_tables_are_whole(variant, tmp_path):
    """Joint against single-task training is a common study; one InputError would take every variant's figures."""
    base, joint = variant("base", [set()]), variant("joint", [set()])
    run = joint.runs[0]
    intents = [p for p in run.predictions if p.task == "intent"]
    metrics = {**run.metrics, "tasks": {"intent": run.metrics["tasks"]["intent"]}}
    single = Variant("single", {0: dataclasses.replace(run, predictions=intents, metrics=metrics)}, {}, {}, {})
    write_tables([base, joint, single], "base", [], tmp_path)
    found = json.loads((tmp_path / "ablation.json").read_text())["variants"]
    assert list(found["joint"]["compared_with_base"]) == ["intent", "image_scene", "average"]
    assert list(found["single"]["compared_with_base"]) == ["intent"]
    assert list(found["single"]["not_compared"]) == ["image_scene"]
    sentence = "Not compared: single, image_scene: record &#x27;image_scene-00&#x27; was not scored in all runs."
    assert sentence in (tmp_path / "ablation.html").read_text()
    assert sentence.replace("&#x27;", "'") in (tmp_path / "ablation.md").read_text()
