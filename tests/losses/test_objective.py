"""Terms that add up: temperature reaches the gradient, chunks and micro-batches equal one big batch, weights move."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from kd_rag import registry
from kd_rag.losses import objective as objective_module
from kd_rag.losses.cross_entropy import CrossEntropy
from kd_rag.losses.divergences import forward_kl
from kd_rag.losses.heads import log_probabilities, with_rest
from kd_rag.losses.objective import Objective
from kd_rag.losses.sides import Needs, Side, StateRows, TopRows, together
from kd_rag.losses.terms import HiddenStates, LabelKD, TokenKD, VisualTokens
from kd_rag.types import IGNORED, Batch, InputError, Inputs
from tests.losses.doubles import FixedTeacher

VOCABULARY = 11


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


EMPTY = torch.zeros(1, 1, dtype=torch.long)


def batch_of(answers, records=2, sampled=False):
    """A batch with so many answer tokens, all of its first record, and three picture tokens."""
    ids = torch.full((records, answers), IGNORED)
    ids[0] = 0
    inputs = Inputs(EMPTY, EMPTY, torch.ones(1, 3, dtype=torch.long))
    example = SimpleNamespace(record=SimpleNamespace(task="t", label="x"))
    return Batch(examples=(example,) * records, inputs=inputs, answers=ids, sampled=sampled)


def side(logits, **more):
    """A side whose states are its logits."""
    return Side(StateRows(logits, lambda rows: rows), **more)


def run(
    student, teacher=None, *, weights, targets=None, divergence=forward_kl, temperature=2.0, batch=None, progress=0.0
):
    """Return the terms of a batch that is a whole step."""
    rows = {"ce": CrossEntropy(VOCABULARY), "token_kd": TokenKD(divergence, temperature, VOCABULARY)}
    whole = Objective(
        {name: term for name, term in rows.items() if name in weights},
        {},
        {name: (w, w) if isinstance(w, float) else w for name, w in weights.items()},
        VOCABULARY,
        FixedTeacher(side(teacher)) if teacher is not None else None,
    )
    batch = batch or batch_of(len(student))
    targets = torch.arange(len(student)) % VOCABULARY if targets is None else targets
    return whole(batch, targets, side(student), whole.counts(batch), progress)


def test_cross_entropy_is_the_mean_over_the_shared_ids():
    logits, targets = draw(4, 13), torch.tensor([1, 10, 0, 5])
    found = run(logits, weights={"ce": 1.0}, targets=targets)
    torch.testing.assert_close(found["loss"], cross_entropy(logits[:, :VOCABULARY], targets))


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_terms_are_mixed_by_weight(weight):
    teacher, student, targets = draw(4, 14), draw(4, 12, seed=1), torch.tensor([1, 10, 0, 5])
    terms = run(student, teacher, weights={"ce": 1 - weight, "token_kd": weight}, targets=targets)
    ce = cross_entropy(student[:, :VOCABULARY], targets)
    soft = [(logits[:, :VOCABULARY] / 2).log_softmax(1) for logits in (teacher, student)]
    kd = 4 * (soft[0].exp() * (soft[0] - soft[1])).sum() / 4
    torch.testing.assert_close(terms["ce"], ce)
    torch.testing.assert_close(terms["token_kd"], kd)
    torch.testing.assert_close(terms["loss"], (1 - weight) * ce + weight * kd)


def test_a_weight_moves_linearly_over_the_run():
    student = draw(4, 11)
    ce = run(student, weights={"ce": (1.0, 0.0)})["ce"]
    for progress, weight in ((0.0, 1.0), (0.25, 0.75), (1.0, 0.0)):
        terms = run(student, weights={"ce": (1.0, 0.0)}, progress=progress)
        torch.testing.assert_close(terms["loss"], weight * ce)


def test_temperature_squared_reaches_the_gradient():
    """Scaling only the reported loss by T^2 leaves the gradient T^2 times too small."""
    teacher, sizes = draw(4, 11), []
    for temperature in (50.0, 100.0):
        student = draw(4, 11, seed=1).requires_grad_()
        run(student, teacher, weights={"token_kd": 1.0}, temperature=temperature)["loss"].backward()
        sizes.append(student.grad.norm().item())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)


@pytest.mark.parametrize("name", registry.names("divergences"))
def test_chunks_of_long_answers_change_neither_loss_nor_gradient(name, monkeypatch):
    divergence, teacher = registry.find("divergences", name), draw(23, 14)
    results = []
    for rows in (256, 5):
        monkeypatch.setattr(objective_module, "CHUNK_ROWS", rows)
        student = draw(23, 12, seed=1).requires_grad_()
        terms = run(student, teacher, weights={"ce": 0.4, "token_kd": 0.6}, divergence=divergence)
        terms["loss"].backward()
        results.append((terms, student.grad))
    (whole, gradient), (parts, other) = results
    for term in whole:
        torch.testing.assert_close(parts[term], whole[term])
    torch.testing.assert_close(other, gradient)


def test_the_head_sees_one_chunk_at_a_time(monkeypatch):
    """Logits of a whole chain of thought would be gigabytes."""
    monkeypatch.setattr(objective_module, "CHUNK_ROWS", 5)
    shapes, weight = [], draw(VOCABULARY, 6)

    def head(rows):
        shapes.append(len(rows))
        return rows @ weight.T

    term = Objective({"ce": CrossEntropy(VOCABULARY)}, {}, {"ce": (1.0, 1.0)}, VOCABULARY)
    states, batch = draw(12, 6).requires_grad_(), batch_of(12)
    loss = term(batch, torch.zeros(12, dtype=torch.long), Side(StateRows(states, head)), term.counts(batch), 0.0)[
        "loss"
    ]
    assert shapes == [5, 5, 2]
    loss.backward()
    assert sorted(shapes) == [2, 2, 5, 5, 5, 5]  # made anew for the backward pass, not kept


def test_parts_of_a_step_add_up_to_the_whole():
    teacher, student, targets = draw(6, 11), draw(6, 11, seed=1), torch.arange(6)
    weights = {"ce": (0.5, 0.5), "token_kd": (0.5, 0.5)}
    rows = {"ce": CrossEntropy(VOCABULARY), "token_kd": TokenKD(forward_kl, 2.0, VOCABULARY)}

    def shares(chosen, counts):
        part = Objective(rows, {}, weights, VOCABULARY, FixedTeacher(side(teacher[chosen])))
        return part(batch_of(len(targets[chosen])), targets[chosen], side(student[chosen]), counts, 0.0)

    counts = torch.tensor([6, 6])
    whole = shares(slice(0, 6), counts)
    parts = [shares(s, counts) for s in (slice(0, 1), slice(1, 6))]
    for name, value in whole.items():
        torch.testing.assert_close(sum(part[name] for part in parts), value)


def test_drawn_answers_are_no_gold():
    """Cross-entropy on what the student said itself would only make it surer of its faults."""
    teacher, student = draw(4, 11), draw(4, 11, seed=1)
    terms = run(student, teacher, weights={"ce": 0.5, "token_kd": 0.5}, batch=batch_of(4, sampled=True))
    assert terms["ce"] == 0
    assert terms["token_kd"] > 0


def test_a_teacher_that_kept_few_ids_is_followed_on_these_and_the_rest():
    teacher, student = draw(4, 11), draw(4, 11, seed=1)
    p, q = (log_probabilities(logits, VOCABULARY, 2.0) for logits in (teacher, student))
    kept = p.topk(3).indices
    top = TopRows(with_rest(p, kept), kept, 2.0)
    term = Objective(
        {"token_kd": TokenKD(forward_kl, 2.0, VOCABULARY)},
        {},
        {"token_kd": (1.0, 1.0)},
        VOCABULARY,
        FixedTeacher(Side(top)),
    )
    batch = batch_of(4)
    found = term(batch, torch.arange(4), side(student), term.counts(batch), 0.0)["loss"]
    torch.testing.assert_close(found, 4 * forward_kl(with_rest(p, kept), with_rest(q, kept)).mean())


def test_top_k_targets_hold_for_one_temperature():
    with pytest.raises(InputError, match=r"hold for temperature 2\.0, not for 1\.0"):
        TopRows(draw(1, 3), torch.zeros(1, 2, dtype=torch.long), 2.0).outcomes(slice(0, 1), VOCABULARY, 1.0)


def test_label_kd_is_the_divergence_of_the_posteriors():
    teacher, student = (draw(3), draw(5)), (draw(3, seed=1), draw(5, seed=1))
    found = LabelKD(forward_kl, 2.0)(side(draw(1, 1), label_scores=student), side(draw(1, 1), label_scores=teacher))
    expected = 0.0
    for t, s in zip(teacher, student, strict=True):
        p, q = (t.double() / 2).softmax(0), (s.double() / 2).softmax(0)
        expected += 4 * (p * (p / q).log()).sum()
    torch.testing.assert_close(found.double(), expected)
    assert LabelKD(forward_kl, 2.0).count(batch_of(7, records=2)) == 2


@pytest.mark.parametrize("distance", ["cosine", "mse"])
def test_hidden_states_are_projected_and_compared_layer_by_layer(distance):
    torch.manual_seed(0)
    term = HiddenStates({0: 2, 1: 4}, 3, 5, distance)
    own = {layer: draw(6, 3, seed=layer) for layer in (0, 1)}
    others = {layer: draw(6, 5, seed=layer) for layer in (2, 4)}
    found = term(side(draw(1, 1), hidden=own), side(draw(1, 1), hidden=others))
    far = []
    for projection, student, teacher in zip(term.projections, own.values(), others.values(), strict=True):
        moved = student @ projection.weight.T
        far.append(1 - cosine_similarity(moved, teacher) if distance == "cosine" else (moved - teacher).pow(2).mean(1))
    torch.testing.assert_close(found, (far[0].sum() + far[1].sum()) / 2)
    assert (term.needs.layers, term.teacher_needs.layers) == ((0, 1), (2, 4))


def test_visual_tokens_are_compared_token_by_token():
    torch.manual_seed(0)
    term = VisualTokens(3, 5, "mse")
    own, others = draw(4, 3), draw(4, 5, seed=1)
    found = term(side(draw(1, 1), pictures=own), side(draw(1, 1), pictures=others))
    torch.testing.assert_close(found, (own @ term.projection.weight.T - others).pow(2).mean(1).sum())
    assert term(side(draw(1, 1)), side(draw(1, 1))) == 0


def test_no_term_carries_the_teacher_into_a_checkpoint():
    term = Objective({}, {"v": VisualTokens(3, 5)}, {"v": (1.0, 1.0)}, VOCABULARY, FixedTeacher(torch.nn.Linear(2, 2)))
    assert list(term.state_dict()) == ["projections.v.projection.weight"]


def test_needs_are_joined():
    joined = together([Needs(labels=True), Needs(layers=(3, 1)), Needs(layers=(1,), pictures=True)])
    assert joined == Needs(labels=True, layers=(1, 3), pictures=True)
