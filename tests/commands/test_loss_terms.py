"""`distill` on every term at once: layers and vision towers of a real pair, and a curve for each."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.commands.test_training import arguments, command, shop  # noqa: F401 (fixtures)

pytestmark = pytest.mark.slow


def test_each_term_has_a_curve_and_the_loss_is_what_their_weights_make_of_them(shop, arguments, folders):  # noqa: F811
    """A term that is not in the loss, or a weight that stops short of its end, would show in no other number."""
    runs = shop / "runs"
    assert command("fit", *arguments, f"model.path={folders['teacher']}", "run.name=teacher", "lora=null") == 0
    constant = {"token_kd": 0.5, "label_kd": 0.5, "hidden_states": 0.5, "visual_tokens": 0.25}
    taught = [*arguments, f"model.path={folders['student']}", f"teacher.path={runs / 'teacher'}", "run.name=student"]
    taught += [f"distill.weights.{name}={weight}" for name, weight in constant.items()]
    taught += ["distill.weights.ce=[1,0]", "distill.hidden.layers=[[0,1]]", "lora.vision=true"]
    assert command("distill", *taught) == 0
    events = EventAccumulator(str(runs / "student")).Reload()
    curves = {tag: [e.value for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    weights = {"ce": [1, 2 / 3, 1 / 3, 0], **{name: [weight] * 4 for name, weight in constant.items()}}
    assert curves["weight/ce"] == pytest.approx(weights["ce"])
    assert all(max(curves[f"train/{name}"]) > 0 for name in weights)
    losses = [sum(weights[name][step] * curves[f"train/{name}"][step] for name in weights) for step in range(4)]
    assert curves["train/loss"] == pytest.approx(losses, rel=1e-4)
