"""What each member that changes texts does to them, in words."""

import random
from pathlib import Path

import pytest

from kd_rag import registry
from kd_rag.types import Dialogue, InputError, Turn


def results(name, *texts, role="user", **options):
    """The texts of every turn in 200 views, as tuples."""
    member = registry.build("augmentations", {"name": name, "probability": 1.0, **options})
    turns = tuple(Turn("user" if i % 2 else role, text) for i, text in enumerate(texts))
    return {tuple(t.text for t in member(Dialogue(turns, ()), random.Random(s)).turns) for s in range(200)}


def test_clauses_change_places_and_punctuation_does_not():
    assert results("reorder_clauses", "收到了，坏的！<image>怎么退") == {
        ("收到了，坏的！<image>怎么退",),
        ("坏的，收到了！<image>怎么退",),
    }
    assert ("It broke. I paid 3.50, ok?",) not in results("reorder_clauses", "I paid 3.50, ok? It broke.")
    assert ("It broke, ok? I paid 3.50.",) in results("reorder_clauses", "I paid 3.50, ok? It broke.")


def test_swapped_words_are_neighbours():
    assert results("swap_words", "a b <http> c", share=0.5) == {
        (text,) for text in ("a b <http> c", "b a <http> c", "a c <http> b", "b c <http> a")
    }
    assert results("swap_words", "退款", share=1.0) == {("款退",)}


def test_a_key_word_goes_wherever_it_stands_and_function_words_stay():
    assert results("delete_key_words", "please refund the lamp, Refund") == {
        ("please the lamp, Refund".replace(" Refund", ""),),
        ("please refund the Refund",),
    }
    assert results("delete_key_words", "我的") == {("我的",)}
    assert results("delete_key_words", "退") == {("退",)}


def test_agent_turns_go_or_are_cut_behind_a_clause():
    found = results("agent_turns", "您好，请稍等。<ok", "退款", "您好，请稍等。", "好", role="agent")
    assert found == {("您好，请稍等。<ok", "退款", *middle, "好") for middle in [(), ("您好，",), ("您好，请稍等。",)]}
    assert results("agent_turns", "hello", role="agent") == {("hello",)}


def test_synonyms_are_whole_words_of_the_same_group(tmp_path):
    """A "cart" that becomes a "vehiclet", or a group's word that is replaced inside a longer one."""
    groups = tmp_path / "s.txt"
    groups.write_text("car\tvehicle\n退款,退钱\n退,还\n", encoding="utf-8")
    assert results("synonyms", "Car cart <car> 退款", file=str(groups), share=1.0) == {("vehicle cart <car> 退钱",)}


def test_our_own_list_serves_both_languages():
    ours = str(Path(__file__).parents[2] / "configs/synonyms.txt")
    assert ("啥时候寄出？",) in results("synonyms", "什么时候发货？", file=ours, share=1.0)
    assert results("synonyms", "Where is my refund", file=ours, share=1.0) == {("Where is my money back",)}
    words = [word for line in Path(ours).read_text(encoding="utf-8").splitlines() for word in line.split(",")]
    assert len(words) == len(set(words)) > 200, "a word of two groups would join what differs"


def test_letters_that_only_look_alike_in_capitals_are_no_key(tmp_path):
    """A dotted capital or a long s that ends the run."""
    groups = tmp_path / "s.txt"
    groups.write_text("is,was\nkit,set\n", encoding="utf-8")
    assert results("synonyms", "ıſ İS KİT ſet", file=str(groups), share=1.0) == {("ıſ İS KİT ſet",)}


@pytest.mark.parametrize(("content", "said"), [("a,b\nalone", "line 2: expected two words"), ("", "no group of words")])
def test_a_wrong_synonym_file_is_named(tmp_path, content, said):
    groups = tmp_path / "s.txt"
    groups.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        results("synonyms", "a", file=str(groups))
    with pytest.raises(InputError, match="cannot be read"):
        results("synonyms", "a", file=str(tmp_path / "absent.txt"))
