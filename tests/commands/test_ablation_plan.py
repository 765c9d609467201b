"""A plan that says one thing and trains another costs days; a wrong key must be told before the first run."""

import pytest

from kd_rag.commands._ablation_plan import read_plan
from kd_rag.types import InputError

BASE = "model: {path: x}\nocr: {name: none}\n"
SEARCH = "variants: {a: {}}, search: {space:"


@pytest.fixture
def plan(tmp_path):
    """Return a function that reads a plan with the given `ablation` section, in flow style."""
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "own.yaml").write_text("trainer: {epochs: 9, batch_size: 9}\n")

    def read(section, *overrides):
        (tmp_path / "a.yaml").write_text(f"ablation: {{configs: [{tmp_path}/base.yaml], {section}}}\n")
        return read_plan([str(tmp_path / "a.yaml")], overrides, tmp_path / "out")

    read.folder = tmp_path
    return read


def test_a_grid_is_every_combination_by_stable_names_for_each_seed_and_teachers_come_first(plan):
    grid = "grid: {distill.divergence.name: [forward_kl, reverse_kl], distill.temperature: [1, 2]}"
    found = plan(f"seeds: [0, 3], variants: {{KD: {{teacher: big one, {grid}}}, big one: {{set: {{lora.r: 4}}}}}}")
    assert list(found.variants) == [
        "KD, divergence=forward_kl, temperature=1",
        "KD, divergence=forward_kl, temperature=2",
        "KD, divergence=reverse_kl, temperature=1",
        "KD, divergence=reverse_kl, temperature=2",
        "big one",
    ]
    names = [job.name for job in found.jobs]
    assert len(names) == 10
    assert (names[0], names[5]) == ("big-one-seed0", "big-one-seed3")
    last = found.jobs[-1]
    assert last.name == "KD-divergence=reverse_kl-temperature=2-seed3"
    assert (last.command, last.teacher, last.config.run.seed) == ("distill", "big-one-seed3", 3)
    assert last.config.teacher["path"] == str(plan.folder / "out" / "runs" / "big-one-seed3")
    assert (last.config.distill.divergence["name"], last.config.distill.temperature) == ("reverse_kl", 2.0)
    assert (found.jobs[0].command, found.jobs[0].config.lora.r) == ("fit", 4)
    assert not hasattr(last.config, "ablation")


def test_keys_of_a_grid_that_end_alike_are_told_apart(plan):
    grid = "grid: {teacher.prompt.ocr: [false], student.prompt.ocr: [true], lora.r: [2]}"
    assert list(plan(f"variants: {{a: {{{grid}}}}}").variants) == [
        "a, teacher.prompt.ocr=false, student.prompt.ocr=true, r=2"
    ]


def test_overrides_win_over_a_variants_files_and_its_own_values_win_over_both(plan):
    variant = f"a: {{configs: [{plan.folder}/own.yaml], set: {{trainer.learning_rate: 0.5}}}}"
    trainer = plan(f"variants: {{{variant}}}", "trainer.epochs=2", "trainer.learning_rate=0.1").jobs[0].config.trainer
    assert (trainer.batch_size, trainer.epochs, trainer.learning_rate) == (9, 2.0, 0.5)


def test_parts_are_left_out_one_by_one_and_added_one_by_one(plan):
    lora = "lora: {present: {set: {lora.r: 2}}, absent: {set: {lora: null}}}"
    kd = "kd: {present: {teacher: t}, absent: {set: {distill.temperature: 7}}}"
    found = plan(f"variants: {{t: {{}}}}, parts: {{{lora}, {kd}}}, leave_one_out: true, add_one: true")
    jobs = {job.variant: job for job in found.jobs}
    told = {name: (job.command, job.config.lora and job.config.lora.r) for name, job in jobs.items()}
    assert told == {
        "t": ("fit", 16),
        "all parts": ("distill", 2),
        "without lora": ("distill", None),
        "without kd": ("fit", 2),
        "no part": ("fit", None),
        "lora alone": ("fit", 2),
        "kd alone": ("distill", None),
    }
    assert jobs["no part"].config.distill.temperature == 7


def test_a_trial_is_the_base_with_other_values_for_each_seed(plan):
    variants = "variants: {t: {}, s: {teacher: t, set: {lora.r: 4, lora.alpha: 3}}}, base: s, seeds: [0, 7]"
    found = plan(f"{variants}, search: {{space: {{lora.r: {{low: 1, high: 8}}}}}}")
    jobs = found.trial(
        5, {"lora.r": 6, "distill.weights": {"ce": 0.25}, "trainer.learning_rate": 3.0000000000000004e-05}
    )
    assert [(job.name, job.teacher, job.command) for job in jobs] == [
        ("trial-5-seed0", "t-seed0", "distill"),
        ("trial-5-seed7", "t-seed7", "distill"),
    ]
    config = jobs[1].config
    assert (config.run.seed, config.lora.r, config.lora.alpha, config.distill.weights.ce) == (7, 6, 3, 0.25)
    assert config.trainer.learning_rate == 3.0000000000000004e-05


@pytest.mark.parametrize(
    ("section", "parts"),
    [
        ("variants: {a: {set: {trainer.learningrate: 1}}}", ["variant 'a'", "did you mean 'trainer.learning_rate'"]),
        ("variants: {a: {grid: {ocr.name: [none, nine]}}}", ["variant 'a, ocr=nine'", "there is no 'nine'"]),
        ("variants: {a: {teacher: b}}", ["ablation.variants.a.teacher", "found 'b'"]),
        ("variants: {a: {teacher: b}, b: {teacher: a}}", ["circle"]),
        ("variants: {a: {command: train}}", ["ablation.variants.a.command", "fit, distill", "'train'"]),
        ("variants: {a b: {}, a-b: {}}", ["'a b' and 'a-b' would share"]),
        ("variants: {a: {}}, base: b", ["ablation.base", "found 'b'"]),
        ("variants: {a: {}}, seeds: [1, 1]", ["ablation.seeds", "[1, 1]"]),
        ("split: test", ["ablation.variants"]),
        ("variants: {a: {sets: {}}}", ["sets", "did you mean"]),
        (f"{SEARCH} {{lora.q: [1]}}}}", ["lora.q=1", "'lora.q'"]),
        (f"{SEARCH} {{lora.r: [1, x]}}}}", ["lora.r=x", "int"]),
        (f"{SEARCH} {{lora.r: {{low: 1.5, high: 2}}}}}}", ["lora.r=1.5", "int"]),
        (f"{SEARCH} {{lora.r: [1, 1]}}}}", ["space.lora.r", "different choices"]),
        (f"{SEARCH} {{lora.r: 1}}}}", ["space.lora.r", "a list of choices or {low"]),
        (f"{SEARCH} {{lora.r: {{low: 1, hi: 2}}}}}}", ["space.lora.r", "low, hi"]),
        (f"{SEARCH} {{lora.r: {{low: one, high: 2}}}}}}", ["space.lora.r.low", "'one'"]),
        (f"{SEARCH} {{lora.r: {{low: 2, high: 2}}}}}}", ["low must be below high"]),
        (f"{SEARCH} {{lora.r: {{low: 0, high: 2, log: true}}}}}}", ["low must be above 0"]),
        (f"{SEARCH} {{lora.r: {{low: 1, high: 2, step: 3}}}}}}", ["space.lora.r.step", "at most 1"]),
        ("variants: {a: {}}, search: {sampler: grid}", ["ablation.search.sampler", "tpe, random", "'grid'"]),
        ("variants: {a: {}}, search: {prune: all}", ["ablation.search.prune", "median, none"]),
        ("variants: {trial 3: {}}, search: {space: {lora.r: [1]}}", ["trial 3", "rename it"]),
    ],
)
def test_what_is_wrong_is_named(plan, section, parts):
    with pytest.raises(InputError) as error:
        plan(section)
    assert all(part in str(error.value) for part in parts), str(error.value)
