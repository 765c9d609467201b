"""Steps that weigh by answer tokens, runs that resume to the bit, checkpoints that are whole."""

import json
import os
import signal
from itertools import count

import lightning as L  # noqa: N812
import pytest
import torch

from kd_rag.data.sampling import StepSampler
from kd_rag.losses.cross_entropy import CrossEntropy
from kd_rag.losses.objective import Objective
from kd_rag.training import callbacks, checkpoints, module
from kd_rag.training.checkpoints import load_weights
from kd_rag.training.trainer import evaluation_steps
from kd_rag.types import InputError


class StopAt(L.Callback):
    """Send a signal to this process at the end of a step, before the step's own end is noticed."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


class Losses(L.Callback):
    def __init__(self):
        self.values = {}

    def on_train_batch_end(self, trainer, *args):
        self.values[trainer.global_step] = trainer.callback_metrics["train/loss"].item()


class FirstGradients(L.Callback):
    def __init__(self):
        self.values = {}

    def on_before_optimizer_step(self, trainer, module, optimizer):
        if trainer.global_step == 0:
            named = module.model.named_parameters()
            self.values = {name: p.grad.clone() for name, p in named if p.grad is not None}


@pytest.mark.parametrize("micro_batch_size", [1, 3])
def test_micro_batches_give_the_gradient_of_one_big_batch(make_job, micro_batch_size):
    """A mean of means overweighs short answers, and the loss then depends on how memory was cut."""
    whole, parts = FirstGradients(), FirstGradients()
    for size, gradients in ((4, whole), (micro_batch_size, parts)):
        make_job(str(size), dropout=0.0, epochs=0.1, micro_batch_size=size, callbacks=[gradients]).run()
    assert whole.values.keys() == parts.values.keys()
    for name, gradient in whole.values.items():
        assert (parts.values[name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-8, name


def test_a_run_learns_and_writes_what_a_run_folder_has(make_job, tmp_path):
    losses = Losses()
    job = make_job(lora=False, epochs=4, val_check_interval=0.5, callbacks=[losses]).run()
    assert losses.values[12] < 0.5 * losses.values[1]
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3, 4, 6, 8, 9, 10, 12]
    assert [line["epoch"] for line in lines][:4] == [0.6667, 1.0, 1.3333, 2.0]
    assert {"tasks", "intent_score", "average_score"} <= lines[0].keys()
    folder = tmp_path / "run" / "checkpoints"
    best = max(lines, key=lambda line: (line["average_score"], -line["step"]))["step"]
    assert (folder / "last").resolve().name == "step-00000012"
    assert (folder / "best").resolve().name == f"step-{best:08d}"
    assert len(list(folder.glob("step-*"))) == len({12, best})
    assert list(tmp_path.glob("run/events.out.tfevents.*"))
    assert job.trainer.global_step == 12


def test_half_epochs_of_an_odd_number_of_steps_do_not_drift():
    """619 records in batches of 16: evaluations 20 steps apart would lie a third of an epoch off in the end."""
    sampler = StepSampler(619, 16, 7, seed=0)
    steps = evaluation_steps(0.5, sampler)
    assert [round(step / 39, 1) for step in steps] == [place / 2 for place in range(1, 15)]
    assert steps[-1] == sampler.total_steps == 273


def test_the_last_steps_are_evaluated_too(make_job, tmp_path):
    """What is trained behind the last evaluation would be in no checkpoint."""
    make_job(epochs=2, val_check_interval=4 / 3).run()
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 6]
    assert (tmp_path / "run" / "checkpoints" / "last").resolve().name == "step-00000006"


@pytest.mark.parametrize("epochs", [0.0, -1.0, float("nan")])
def test_an_interval_that_is_none_is_refused(make_job, epochs):
    with pytest.raises(InputError, match=r"trainer\.val_check_interval: expected a number of epochs above 0, found"):
        make_job(val_check_interval=epochs)


def folder_facts(folder):
    """Return what was evaluated in a run folder, and which step is the best."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return lines, (folder / "checkpoints" / "best").resolve().name


@pytest.mark.parametrize("stop_in", [2, 3, 5, 6])
def test_a_stopped_run_resumes_to_the_bit(make_job, tmp_path, stop_in):
    """Lightning alone repeats some records, leaves out others, and draws other dropout.

    It also leaves out the evaluation that is due after steps 3 and 6, so that the best model may be lost.
    """
    whole = Losses()
    expected = make_job("whole", callbacks=[whole]).run().weights()
    first = Losses()
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        make_job(callbacks=[first, StopAt(stop_in - 1)]).run()
    second = Losses()
    job = make_job(callbacks=[second])
    torch.manual_seed(99)  # the random state must come from the checkpoint
    resumed = job.run(resume=str(tmp_path / "run" / "checkpoints" / "last"))
    assert first.values | second.values == whole.values
    assert list(second.values) == list(range(stop_in + 1, 7))
    for name, weight in expected.items():
        assert torch.equal(resumed.weights()[name], weight), name
    assert folder_facts(tmp_path / "run") == folder_facts(tmp_path / "whole")


def test_a_kill_between_the_two_links_does_not_lose_the_best_model(make_job, tmp_path, monkeypatch):
    """A resumed run knows the best score from `last` and would never point `best` at the step that reached it."""
    monkeypatch.setattr(module, "score", lambda *_: {"average_score": next(scores), "tasks": {}})

    def link(*arguments):
        if next(links) == 3:
            raise SystemError
        checkpoints.link(*arguments)

    scores, links = count(), count()
    monkeypatch.setattr(callbacks, "link", link)
    with pytest.raises(SystemError):
        make_job().run()
    scores, links = count(1), count(4)
    make_job().run(resume=str(tmp_path / "run" / "checkpoints" / "last"))
    assert folder_facts(tmp_path / "run")[1] == "step-00000006"


def test_a_run_that_resumes_deletes_the_checkpoints_that_a_kill_kept(make_job, tmp_path):
    """Killed before it had deleted them, behind its last step, a run would keep them for ever."""
    make_job(epochs=0.4).run()
    folder = tmp_path / "run" / "checkpoints"
    for name in ("step-00000001", ".step-00000003.partial"):
        (folder / name).mkdir()
        (folder / name / "weights.safetensors").write_bytes(b"half")
    make_job(epochs=0.4).run(resume=str(folder / "last"))
    assert sorted(path.name for path in folder.iterdir()) == ["best", "last", "step-00000002"]


def test_a_checkpoint_holds_trainable_weights_only_and_no_pickled_code(make_job, tmp_path):
    job = make_job(epochs=0.4).run()
    folder = (tmp_path / "run" / "checkpoints" / "last").resolve()
    weights = load_weights(folder)
    assert weights.keys() == job.weights().keys()
    assert all("lora" in name for name in weights)
    assert torch.load(folder / "trainer.pt", weights_only=True)["global_step"] == 2


@pytest.mark.parametrize("damage", ["truncate", "flip", "delete", "manifest"])
def test_a_damaged_checkpoint_is_refused_by_name(make_job, tmp_path, damage):
    make_job(epochs=0.4).run()
    folder = tmp_path / "run" / "checkpoints" / "last"
    target = folder / ("manifest.json" if damage == "manifest" else "weights.safetensors")
    data = target.read_bytes()
    if damage == "delete":
        target.unlink()
    else:
        target.write_bytes(
            {"truncate": data[:-10], "flip": data[:-1] + bytes([data[-1] ^ 1]), "manifest": b"{"}[damage]
        )
    with pytest.raises(InputError, match=r"manifest\.json" if damage == "manifest" else r"weights\.safetensors"):
        make_job().run(resume=str(folder))


def test_weights_of_another_shape_are_refused(make_job, tmp_path):
    """strict=False loads an adapter of another base without a word, and the model answers nonsense."""
    make_job(epochs=0.4).run()
    with pytest.raises(InputError):
        make_job("other", lora=False).run(resume=str(tmp_path / "run" / "checkpoints" / "last"))


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_records(make_job):
    class Broken(Objective):
        def forward(self, *args):
            return {"loss": super().forward(*args)["loss"] * float("nan")}

    def broken(model, trees):
        vocabulary = model.processor.vocabulary
        return Broken({"ce": CrossEntropy(vocabulary)}, {}, {"ce": (1.0, 1.0)}, vocabulary)

    with pytest.raises(FloatingPointError, match=r"step 0: the loss is nan on records 'r\d"):
        make_job(objective=broken).run()
