"""Each guard stops on exactly the thing it watches, and all is well on models that read their pictures."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from PIL import Image

from kd_rag.losses.heads import with_answers
from kd_rag.losses.sides import Needs, Side, StateRows, TopRows
from kd_rag.models.qwen2_vl import Qwen2VL
from kd_rag.scoring.readout import read
from kd_rag.teachers import Source
from kd_rag.teachers.cached import Cached
from kd_rag.teachers.online import Online
from kd_rag.training import guards
from kd_rag.types import InputError
from tests.conftest import make_example


def with_pictures(example, *pictures):
    return replace(example, dialogue=replace(example.dialogue, pictures=pictures))


@pytest.fixture
def examples():
    wide = Image.linear_gradient("L").resize((140, 56)).convert("RGB")
    tall = Image.radial_gradient("L").resize((56, 112)).convert("RGB")
    return [
        with_pictures(make_example(texts=("one <image>",), pictures=1, name="one"), wide),
        with_pictures(make_example(texts=("two <image> and <image>, longer",), pictures=2, name="two"), tall, wide),
    ]


@pytest.fixture
def batch(collator, examples):
    return collator.micro_batches(examples, 2)[0]


@pytest.fixture
def student(load):
    return load("student").train()


@pytest.fixture(scope="module")
def knowing_weights(folders):
    """The weights of a teacher that has seen its answers a few times."""
    from kd_rag.config import PromptConfig, PromptParts
    from kd_rag.data.collator import Collator

    model = Qwen2VL(path=folders["teacher"], max_pixels=28 * 28 * 12)
    (batch,) = Collator(model.processor, PromptConfig(), PromptParts()).micro_batches([make_example()], 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(3):
        side, targets = read(model, batch, Needs(), {})
        torch.nn.functional.cross_entropy(side.answers.head(side.answers.states), targets).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.state_dict()


@pytest.fixture
def source(load, knowing_weights, tmp_path):
    def opened(path, quantised):
        model = load(path)
        model.load_state_dict(knowing_weights)
        return model

    return Source(
        load=opened,
        processor=lambda path: load(path).processor,
        identity=lambda path, quantised: {"path": path},
        student_ids=load("student").processor.id_digest(),
        trees={},
        temperature=2.0,
        cache_dir=tmp_path / "teachers",
        device=torch.device("cpu"),
    )


@pytest.fixture
def teacher(source):
    return Online(source, path="teacher")


def check(student, batch, teacher):
    """Return what the guards of both measure."""
    measured = guards.check_student(student, batch)
    told = batch.as_teacher()
    teacher.prepare(lambda: [batch], Needs(), lambda network: measured.update(guards.check_teacher(network, told)))
    return measured


def test_all_is_well_on_models_that_read_their_pictures(student, teacher, batch):
    """A false alarm would stop every run; the student's weights here were never trained."""
    measured = check(student, batch, teacher)
    assert measured["student_picture_tokens"] == measured["teacher_picture_tokens"] == 10 + (8 + 10)
    for side in ("student", "teacher"):
        for how in ("blanked", "swapped"):
            assert measured[f"{side}_{how}"] > 1e-4
    assert measured["teacher_cross_entropy"] < measured["uniform_cross_entropy"] - 0.5
    assert measured["uniform_cross_entropy"] == math.log(student.processor.vocabulary)
    assert student.training
    assert not teacher.model.training


def test_checks_leave_the_random_state_as_it_was(student, teacher, batch):
    """A draw here would shift dropout, and a run would depend on whether it was checked."""
    torch.manual_seed(3)
    check(student, batch, teacher)
    found = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(found, torch.rand(1))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_an_untrained_model_in_any_precision_passes(folders, batch, dtype, attention):
    """Rounding to bfloat16 must not hide what a picture changes."""
    model = Qwen2VL(path=folders["student"], dtype=dtype, attention=attention)
    assert guards.check_student(model, batch)["student_swapped"] > 0


def test_without_pictures_only_the_teacher_is_asked(student, teacher, collator):
    (batch,) = collator.micro_batches([make_example()], 1)
    measured = check(student, batch, teacher)
    assert measured.keys() == {"pictures", "teacher_cross_entropy", "uniform_cross_entropy"}
    assert measured["pictures"] == "none in the training data"


def test_pictures_of_one_colour_are_blanked_only(student, collator):
    """Their reverse is the same picture, and no model could tell."""
    (batch,) = collator.micro_batches([make_example(texts=("<image>",), pictures=1)], 1)
    measured = guards.check_student(student, batch)
    assert measured["student_blanked"] > 0
    assert "student_swapped" not in measured


def blind(model, see):
    """Let `model` see `see(pixel_values)` instead of its pictures."""
    whole = model.forward
    model.forward = lambda inputs, tree=None: whole(replace(inputs, pixel_values=see(inputs.pixel_values)), tree)
    return model


HALF_BLIND = {"blanked": torch.zeros_like, "swapped": lambda pixels: pixels.sort(dim=0).values}
"""A model that ignores pictures, and one that has lost the order of their patches."""


@pytest.mark.parametrize("how", HALF_BLIND)
def test_a_student_that_is_blind_is_stopped(student, batch, how):
    """Picture tokens without pictures train to answer from the text, at a loss that falls as usual."""
    with pytest.raises(
        InputError, match=rf"with pictures {how} the student answers as before on the records 'one', 'two'"
    ):
        guards.check_student(blind(student, HALF_BLIND[how]), batch)


@pytest.mark.parametrize("how", HALF_BLIND)
def test_a_teacher_that_is_blind_is_stopped(student, teacher, batch, how):
    blind(teacher.model, HALF_BLIND[how])
    with pytest.raises(InputError, match=rf"with pictures {how} the teacher answers as before"):
        check(student, batch, teacher)


def test_only_the_blind_record_is_named(student, batch):
    """The last picture of a batch cut off: the first record still reads its own."""
    patches = 4 * 10
    pixels = batch.inputs.pixel_values
    blind(student, lambda seen: torch.cat([seen[:patches], pixels[patches:]]))
    with pytest.raises(InputError, match=r"on the records 'two';"):
        guards.check_student(student, batch)


def test_a_picture_token_too_few_is_found(student, collator, examples):
    """transformers refuses a total that is off; two prompts whose errors cancel it accepts, one picture shifted."""
    whole = collator.processor.pictures

    def uneven(images):
        pixels, grids, counts = whole(images)
        return pixels, grids, [counts[0] - 1, *counts[1:]] if len(counts) == 1 else [counts[0] + 1, *counts[1:]]

    collator.processor.pictures = uneven
    (batch,) = collator.micro_batches(examples, 2)
    assert batch.inputs.mm_token_type_ids.sum() * 4 == len(batch.inputs.pixel_values)
    message = r"the student's prompt of record 'one' has 9 picture tokens, its pictures' grids say 10"
    with pytest.raises(InputError, match=message):
        guards.check_student(student, batch)


def test_the_teachers_own_prompts_are_counted(student, teacher, batch):
    inputs = replace(batch.inputs, input_ids=batch.inputs.input_ids.where(batch.inputs.mm_token_type_ids == 0, 1))
    with pytest.raises(InputError, match="the teacher's prompt of record 'one' has 0 picture tokens"):
        check(student, replace(batch, teacher_inputs=inputs), teacher)


def test_patches_must_be_those_of_the_grids(student, batch):
    short = replace(batch.inputs, pixel_values=batch.inputs.pixel_values[:-4])
    with pytest.raises(InputError, match="the student's pictures have 108 patches, their grids say 112"):
        guards.check_student(student, replace(batch, inputs=short))


def test_token_types_must_mark_the_picture_tokens(student, batch):
    """Positions are made from the types; without marks pictures are read as lines of text."""
    unmarked = replace(batch.inputs, mm_token_type_ids=torch.zeros_like(batch.inputs.mm_token_type_ids))
    with pytest.raises(InputError, match="mm_token_type_ids mark other tokens of the student's prompts"):
        guards.check_student(student, replace(batch, inputs=unmarked))


def counted(inputs):
    return inputs.attention_mask.cumsum(dim=1).sub(1).clamp(min=0).expand(3, -1, -1)


def uneven_text(model, inputs):
    positions = Qwen2VL.positions(model, inputs).clone()
    positions[2, :, -1] += 1
    return positions


@pytest.mark.parametrize(
    "positions",
    [
        lambda model, inputs: counted(inputs),
        lambda model, inputs: counted(inputs)[:1],
        lambda model, inputs: Qwen2VL.positions(model, inputs)[[0, 2, 1]],
        uneven_text,
    ],
    ids=["a count on three equal axes", "one axis", "rows and columns exchanged", "axes differ on text"],
)
def test_positions_must_be_three_dimensional(student, batch, positions):
    """A running count trains as well, and the model no longer knows what stands above and below what."""
    student.positions = partial(positions, student)
    with pytest.raises(InputError, match="the student's positions are not three-dimensional"):
        guards.check_student(student, batch)


def test_a_single_picture_token_has_no_second_dimension(load, collator):
    """A picture of one merged token stands at one place; all axes are alike, and nothing is wrong."""
    collator.processor._size = {"shortest_edge": 28 * 28, "longest_edge": 28 * 28}
    (batch,) = collator.micro_batches([make_example(texts=("<image>",), pictures=1)], 1)
    assert guards.check_student(load("student"), batch)["student_picture_tokens"] == 1


@pytest.mark.parametrize("harm", ["negated", "permuted"])
def test_a_teacher_whose_head_is_not_its_own_is_stopped(student, teacher, batch, harm):
    """Its soft targets are wrong, and a student follows them at a divergence that falls as usual."""
    weight = teacher.model.network.lm_head.weight
    weight.data = -weight if harm == "negated" else weight.roll(7, dims=0)
    with pytest.raises(InputError, match=r"the teacher's cross-entropy on the first answers is .* a uniform guess has"):
        check(student, batch, teacher)


HARMS = {
    "pictures blanked": (
        lambda model: blind(model, HALF_BLIND["blanked"]),
        "with pictures blanked the teacher answers",
    ),
    "pictures swapped": (
        lambda model: blind(model, HALF_BLIND["swapped"]),
        "with pictures swapped the teacher answers",
    ),
    "positions": (lambda model: deaf_to_place(model), "the teacher's positions are not three-dimensional"),
    "head": (lambda model: turned(model), "the teacher's cross-entropy on the first answers"),
}
"""Ways to spoil a teacher, and what is said of each."""


def deaf_to_place(model):
    model.positions = counted
    return model


def turned(model):
    weight = model.network.lm_head.weight
    weight.data = -weight
    return model


@pytest.mark.parametrize("harm", HARMS)
def test_a_spoilt_teacher_fills_no_cache(student, source, batch, tmp_path, harm):
    """Unseen, a blind teacher speaks for hours, and every later student learns from its rows."""
    spoil, message = HARMS[harm]
    spoilt = replace(source, load=lambda path, quantised: spoil(source.load(path, quantised)))
    with pytest.raises(InputError, match=message):
        check(student, batch, Cached(spoilt, path="teacher"))
    assert not list((tmp_path / "teachers").rglob("*.safetensors"))


def test_a_cached_teacher_is_checked_when_its_network_is_loaded(student, source, teacher, batch):
    assert check(student, batch, Cached(source, path="teacher")) == check(student, batch, teacher)
    again = check(student, batch, Cached(source, path="teacher"))
    assert not any(name.startswith("teacher") for name in again), "all rows are kept, and no network is loaded"


def top_side(batch, gold_kept, rest):
    """Return a side that keeps two ids a row, the gold one among them at a third, or else has `rest` for all others."""
    targets = batch.answers[batch.answers >= 0]
    first = targets if gold_kept else targets + 1
    kept = torch.stack([first, targets + 2], dim=1)
    probs = torch.tensor([1 / 3, 2 / 3 - rest, rest]).expand(len(targets), 3)
    return Side(TopRows(probs.log(), kept, temperature=2.0))


def test_top_k_targets_are_judged_by_what_they_kept(batch):
    """They hold at their own temperature only; a gold token that they lack has an even share of the rest."""
    assert guards.teacher_cross_entropy(top_side(batch, True, 0.1), batch, 1000) == pytest.approx(math.log(3))
    with pytest.raises(InputError, match=rf"is {math.log(998 / 0.1):.2f} nats a token, a uniform guess has 6\.91"):
        guards.teacher_cross_entropy(top_side(batch, False, 0.1), batch, 1000)


def test_a_uniform_teacher_is_stopped_and_long_answers_are_read_in_chunks(batch):
    long = replace(batch, answers=torch.zeros(2, 300, dtype=torch.long))
    shapes = []

    def head(states):
        shapes.append(tuple(states.shape))
        return states

    knowing = torch.zeros(600, 8)
    knowing[:, 0] = math.log(7)
    assert guards.teacher_cross_entropy(Side(StateRows(knowing, head)), long, 8) == pytest.approx(math.log(2))
    assert shapes == [(256, 8), (256, 8), (88, 8)]
    with pytest.raises(InputError, match=r"is 2\.08 nats a token, a uniform guess has 2\.08"):
        guards.teacher_cross_entropy(Side(StateRows(torch.zeros(600, 8), head)), long, 8)


def test_the_pass_that_is_checked_is_the_pass_that_trains(student, batch):
    """The guard reads the first answer's row; it must be the row that training reads."""
    first = replace(batch, answers=batch.answers[:, :1])
    student.eval()
    with torch.no_grad():
        found = guards._first_tokens(lambda b: read(student, b, Needs(), {})[0], first, student.processor.vocabulary)
        whole = student(with_answers(batch.inputs, batch.answers))
        last = batch.inputs.attention_mask.sum(1) - 1
        rows = student.logits(whole[range(len(last)), last])[:, : student.processor.vocabulary]
    torch.testing.assert_close(found, rows.log_softmax(1), rtol=0, atol=1e-5)
