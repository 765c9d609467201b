"""A search that is killed must end with the same trials; what ended is not made again, nor scored otherwise."""

import json
from threading import Event

import pytest

from kd_rag.__main__ import COMMANDS
from kd_rag.cli import main
from kd_rag.commands import _ablation_plan
from kd_rag.commands import _search as searching
from kd_rag.commands._ablation_memory import Places
from kd_rag.commands._ablation_plan import read_plan
from kd_rag.training.checkpoints import verified
from kd_rag.types import InputError

SECTION = """
model: {path: x}
ocr: {name: none}
ablation:
  seeds: [0, 1]
  variants: {plain: {}}
  search:
    trials: 6
    startup: 2
    space: {trainer.learning_rate: {low: 0.001, high: 0.1, log: true}, lora.r: {low: 2, high: 64}}
"""


class Killed(BaseException):
    """What a kill looks like to the code that is under way."""


class Runs:
    """In place of processes: runs of three evaluations, whose score is the better the larger the rank."""

    def __init__(self, out, kill_at=None, broken=None, slow=None):
        self.out, self.kill_at, self.broken, self.made = out, kill_at, broken, []
        self.slow, self.ended = slow, [Event() for _ in range(10)]

    def __call__(self, job, out, split, places, stop=None):
        self.made.append(job.name)
        number = int(job.name.split("-")[1])
        if number % 2 == self.slow:  # it ends behind the trial beside it
            self.ended[number ^ 1].wait()
        try:
            return self.make(job, out, stop)
        finally:
            self.ended[number].set()

    def make(self, job, out, stop):
        if job.name == self.broken:
            return "fit exited with 1: boom"
        folder = out / "runs" / job.name
        folder.mkdir(parents=True, exist_ok=True)
        lines = ""
        for evaluation in (1, 2, 3):
            score = job.config.lora.r * evaluation / 100 + job.seed / 1000
            tasks = {"intent": {"weighted_f1": score, "weighted_f1_ci95": [0, 1]}}
            lines += json.dumps({"tasks": tasks, "average_score": 100 * score}) + "\n"
            (folder / "metrics.jsonl").write_text(lines + '{"torn')
            if self.kill_at == (job.name, evaluation):
                raise Killed
            if stop and stop():
                return "fit exited with 130: interrupted"
        return None


@pytest.fixture
def search(tmp_path, monkeypatch):
    """Return a function that runs a search in a folder, on runs of which one may be killed or broken."""
    (tmp_path / "s.yaml").write_text(SECTION)
    monkeypatch.setattr(_ablation_plan, "FAMILIES", ())  # no network is made, so its library need not be loaded

    def run(name, *overrides, at_once=1, refuse=None, **trouble):
        out = tmp_path / name
        out.mkdir(exist_ok=True)
        runs = Runs(out, **trouble)
        monkeypatch.setattr(searching, "make_run", runs)
        plan = read_plan([str(tmp_path / "s.yaml")], overrides, out)
        if refuse is not None:
            monkeypatch.setattr(type(plan), "trial", refusing(type(plan).trial, refuse))
        found = searching.Search(plan, out, Places(at_once))
        try:
            found.run()
        except Killed:
            return None, runs.made
        return found, runs.made

    return run


def refusing(trial, number):
    """Return `Plan.trial`, to which the values of one trial do not go together."""

    def refused(plan, n, values):
        if n == number:
            raise InputError(f"variant 'trial {n}': these do not go together")
        return trial(plan, n, values)

    return refused


def test_trials_are_drawn_scored_on_valid_over_the_seeds_and_pruned(search, tmp_path):
    found, made = search("whole")
    assert found.names == [f"trial {number}" for number in range(6)]
    states = [trial.state for trial in found.trials]
    assert states[:2] == ["done"] * 2
    assert set(states) == {"done", "pruned"}
    for number, trial in enumerate(found.trials):
        rank = trial.values["lora.r"]
        names = [name for name in made if name.startswith(f"trial-{number}-")]
        if trial.state == "done":
            assert trial.score == pytest.approx(3 * rank + 0.05)
            assert names == [f"trial-{number}-seed0", f"trial-{number}-seed1"]
        else:
            assert names == [f"trial-{number}-seed0"], "the other seeds of a pruned trial are not worth their time"
            assert trial.scores == pytest.approx([rank * n for n in range(1, len(trial.scores) + 1)])
            assert found.absent[f"trial-{number}-seed1"].startswith(f"pruned after evaluation {len(trial.scores)} at")
    best = max(range(6), key=lambda number: found.trials[number].score or 0)
    assert (found.best, found.failed) == (best, False)
    head, *rows = found.table()
    assert head == ["trial", "trainer.learning_rate", "lora.r", "average on valid", "ended"]
    assert [row[-1] for row in rows].count("best") == 1
    again, made = search("whole")
    assert (again.trials, again.absent) == (found.trials, found.absent)
    assert {name.split("-")[1] for name in made} == {str(n) for n, state in enumerate(states) if state == "done"}


@pytest.mark.parametrize("kill_at", [("trial-0-seed0", 2), ("trial-1-seed1", 1), ("trial-3-seed0", 1)])
def test_a_killed_search_ends_as_a_whole_one(search, tmp_path, kill_at):
    whole, _ = search("whole")
    assert search("killed", kill_at=kill_at)[0] is None
    resumed, _ = search("killed")
    assert resumed.table() == whole.table()
    files = [(tmp_path / name / "search.json").read_text() for name in ("whole", "killed")]
    assert files[0] == files[1]


def test_trials_beside_each_other_are_the_same_whichever_is_faster(search, tmp_path):
    """A table that hangs on which process was quicker is another one after each kill."""
    tables = [search(f"slow {slow}", "ablation.search.trials=10", at_once=2, slow=slow)[0].table() for slow in (0, 1)]
    assert tables[0] == tables[1]
    assert any("pruned" in row[-1] for row in tables[0])
    known = [trial["known"] for trial in json.loads((tmp_path / "slow 0" / "search.json").read_text())["trials"]]
    assert known == [0, *range(9)]


def test_values_that_are_wrong_together_fail_one_trial_alone(search):
    """Each value is checked before the first trial, combinations cannot be."""
    found, made = search("out", "ablation.search.trials=2", refuse=0)
    assert found.absent["trial-0-seed0"] == "variant 'trial 0': these do not go together"
    assert [trial.state for trial in found.trials] == ["failed", "done"]
    assert {name.split("-")[1] for name in made} == {"1"}


def test_what_was_stopped_is_not_trained_on_before_it_is_told_pruned(search, tmp_path):
    """A kill between the stop of a run and the note of it."""
    found, _ = search("whole")
    number = next(n for n, trial in enumerate(found.trials) if trial.state == "pruned")
    path = tmp_path / "whole" / "search.json"
    kept = json.loads(path.read_text())
    del kept["trials"][number + 1 :]
    kept["trials"][number] |= {"state": "open", "scores": []}
    path.write_text(json.dumps(kept))
    again, made = search("whole")
    assert f"trial-{number}-seed0" not in made
    assert again.trials == found.trials


def test_a_failed_trial_is_shown_counts_for_nothing_and_is_tried_again(search):
    broken, _ = search("out", "ablation.search.trials=2", broken="trial-1-seed1")
    assert broken.failed
    assert broken.absent["trial-1-seed0"] == "fit exited with 1: boom"
    assert broken.trials[1].score is None
    mended, made = search("out", "ablation.search.trials=2")
    assert "trial-1-seed1" in made
    assert not mended.failed
    assert mended.trials[1].values == broken.trials[1].values


def test_more_trials_go_on_and_other_settings_are_refused(search):
    search("out", "ablation.search.trials=2")
    found, _ = search("out", "ablation.search.trials=4")
    assert [len(found.trials), len(search("out", "ablation.search.trials=1")[0].trials)] == [4, 4]
    with pytest.raises(InputError, match=r"ablation.search.startup: is 5, but .*search.json was begun with 2"):
        search("out", "ablation.search.startup=5")
    with pytest.raises(InputError, match=r"trainer.epochs is 9.0, but .*trial-0-seed0 was begun with 3.0"):
        search("out", "trainer.epochs=9")
    with pytest.raises(InputError, match=r"ablation.search.metric: expected intent, average, found 'scene'"):
        search("other", "ablation.search.metric=scene")


RECIPE = """
tasks: {intent: {labels: [order_page, refund]}}
model: {path: STUDENT, min_pixels: 3136, max_pixels: 6272}
ocr: {name: none}
trainer: {accelerator: cpu, batch_size: 4, micro_batch_size: 4, epochs: 1, val_check_interval: 1}
evaluation: {bootstrap_samples: 20}
ablation:
  split: valid
  variants: {short: {}}
  search: {trials: 1, space: {trainer.epochs: [300]}}
"""


@pytest.mark.slow
def test_a_run_that_falls_behind_is_stopped_in_order_and_shown_as_pruned(tmp_path, folders, monkeypatch, capsys):
    """A run that is killed instead of stopped loses its state; one that goes on makes pruning useless."""
    for split in ("train", "valid"):
        rows = [
            {"id": f"{split}{i}", "task": "intent", "turns": [{"role": "user", "text": f"Where is {i}?"}]}
            | {"images": [], "label": ("order_page", "refund")[i % 2]}
            for i in range(8)
        ]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "s.yaml").write_text(RECIPE.replace("STUDENT", folders["student"]))
    monkeypatch.setattr(searching, "pruned_after", lambda search, others, scores: 2 if len(scores) >= 2 else None)
    words = ["ablate", "--config", str(tmp_path / "s.yaml"), "--out", str(tmp_path / "out")]
    data = [f"data.{split}={tmp_path / split}.jsonl" for split in ("train", "valid")]
    assert main("kd_rag", COMMANDS, [*words, *data, f"cache_dir={tmp_path / 'cache'}"]) == 0
    folder = tmp_path / "out" / "runs" / "trial-0-seed0"
    assert 2 <= len((folder / "metrics.jsonl").read_text().splitlines()) < 300
    assert verified(folder / "checkpoints" / "last")
    assert "interrupted" in (tmp_path / "out" / "logs" / "trial-0-seed0.log").read_text()
    tables = (tmp_path / "out" / "ablation.md").read_text()
    assert "| trial 0 | 0 of 1 |" in tables
    assert "| trial 0 | 0 | pruned after evaluation 2 at " in tables
    assert "pruned after evaluation 2 at " in (tmp_path / "out" / "ablation.html").read_text()
    assert "best:" not in capsys.readouterr().out
