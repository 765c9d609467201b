import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd_rag.augmentations.delete_words import delete_words
from kd_rag.types import Dialogue, Turn

TEXTS = st.text(st.sampled_from("<> ab\n\t我要.,/"), max_size=40)


def deleted(text, seed=0, share=0.3, role="user"):
    dialogue = Dialogue((Turn(role, text),), ())
    return delete_words(dialogue, random.Random(seed), probability=1.0, share=share).turns[0].text


@given(TEXTS, st.integers())
def test_markup_survives_and_none_is_made(text, seed):
    """Words whose deletion joins `<im` and `age>` to a marker, or a marker that goes with its neighbour."""
    assert re.findall("<[^<>]*>", deleted(text, seed)) == re.findall("<[^<>]*>", text)


@given(TEXTS, st.integers())
def test_what_stays_is_in_order(text, seed):
    """Text that the customer did not write."""
    left = iter(text)
    assert all(character in left for character in deleted(text, seed))


def test_share_of_words_and_characters():
    english, chinese = " ".join(f"w{i}" for i in range(2000)), "我要退款" * 500
    assert len(deleted(english, share=0.2).split()) == pytest.approx(1600, abs=60)
    assert len(deleted(chinese, share=0.2)) == pytest.approx(1600, abs=60)


def test_words_go_whole_and_lines_stay_apart():
    """Halves of words, double blanks, and lines that run into one."""
    results = {deleted("cancel my order\nplease <http> soon", seed) for seed in range(200)}
    assert "cancel order\nplease <http> soon" in results
    words = {"cancel", "my", "order", "please", "<http>", "soon"}
    for result in results:
        assert set(result.split()) <= words
        assert "  " not in result
        assert re.search("(cancel|my|order)[^\n]*please", result) is None


@pytest.mark.parametrize("text", ["refund", "a b", "我", "<image>\nwhy?", "<image>", "", "  \n "])
def test_no_turn_is_emptied(text):
    """A record that asks nothing and still has a label."""
    result = deleted(text, share=1.0)
    words = re.sub("<[^<>]*>", "", text).split()
    assert bool(re.sub("<[^<>]*>", "", result).split()) == bool(words)
    assert result == text or words


def test_agent_turns_stay():
    assert deleted("how may I help you", share=0.9, role="agent") == "how may I help you"
