"""The three formats: what each says is understood, whatever the file is called."""

import io
import json
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd_rag.data._formats_json import split_items
from kd_rag.data._formats_mdsirc import END, START
from kd_rag.data.formats import read_entries
from kd_rag.types import InputError, TextLine, Turn

VALUES = st.none() | st.integers() | st.text('[]{},"\\\n :a', max_size=8) | st.sampled_from([[], {"a": ["],["]}])
LABELS = ["尺码", "发货", "退货"]


def entries(folder, content, name="records.txt"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return list(read_entries(path))


def draft(folder, value):
    (entry,) = entries(folder, [value])
    assert entry.faults == ()
    return entry.draft


def faults(folder, value):
    (entry,) = entries(folder, [value])
    return list(entry.faults)


def intent(dialogue, **changes):
    instruction = f"请判断意图。\n{START}\n{dialogue}\n{END}\n标签为：{json.dumps(LABELS, ensure_ascii=False)}\n"
    return {"id": "d1", "instruction": instruction, "input": "", "output": "尺码", "image": []} | changes


def scene(**changes):
    instruction = f"Picture 1: <image>\n请分类,标签:{json.dumps(LABELS, ensure_ascii=False)}。"
    return {"id": "s1", "instruction": instruction, "input": "", "output": "退货", "image": ["s1.jpg"]} | changes


def chat(*messages, **changes):
    return {"messages": [{"role": role, "content": content} for role, content in messages]} | changes


class TestContract:
    record: ClassVar = {
        "id": "a",
        "task": "intent",
        "turns": [{"role": "user", "text": "Where is it? <image>"}, {"role": "agent", "text": ""}],
        "images": ["a.jpg"],
        "label": "delivery",
        "metadata": {"source": "desk"},
    }

    def test_every_field_arrives(self, tmp_path):
        found = draft(tmp_path, self.record)
        assert (found.id, found.task, found.label) == ("a", "intent", "delivery")
        assert found.turns == (Turn("user", "Where is it? <image>"), Turn("agent", ""))
        assert found.images == ("a.jpg",)
        assert found.metadata == {"source": "desk"}

    def test_array_and_lines_say_the_same(self, tmp_path):
        other = self.record | {"id": "b"}
        lines = "\n".join(json.dumps(record) for record in (self.record, other))
        by_line, by_item = entries(tmp_path, lines), entries(tmp_path, [self.record, other])
        assert [entry.draft for entry in by_line] == [entry.draft for entry in by_item]
        assert [entry.place for entry in by_line] == ["line 1", "line 2"]
        assert [entry.place for entry in by_item] == ["item 1", "item 2"]

    def test_blank_lines_keep_the_numbers_of_an_editor(self, tmp_path):
        found = entries(tmp_path, f"\n{json.dumps(self.record)}\r\n\n{json.dumps(self.record)}\n")
        assert [entry.place for entry in found] == ["line 2", "line 4"]

    def test_line_separators_inside_a_text_do_not_cut_the_record(self, tmp_path):
        """str.splitlines cuts at U+2028, which would turn one good record into two malformed lines."""
        text = "one\u2028two\u0085three"
        record = self.record | {"turns": [{"role": "user", "text": text}]}
        (entry,) = entries(tmp_path, json.dumps(record, ensure_ascii=False))
        assert entry.draft.turns[0].text == text

    def test_byte_order_mark_is_no_fault(self, tmp_path):
        """Editors on Windows write one, and plain json refuses it."""
        (entry,) = entries(tmp_path, "\ufeff" + json.dumps(self.record))
        assert entry.draft.id == "a"

    def test_unlabelled_text_record_needs_no_empty_fields(self, tmp_path):
        found = draft(tmp_path, {"id": "a", "task": "intent", "turns": [{"role": "user", "text": "hi"}]})
        assert (found.images, found.label, found.metadata) == ((), None, {})


class TestChallenge:
    def test_dialogue_becomes_turns(self, tmp_path):
        found = draft(tmp_path, intent("用户: 这件偏大吗\n客服: 亲\n请看表\n客服: \n用户: <image>", image=["d1-0.jpg"]))
        assert found.task == "intent"
        assert found.turns == (
            Turn("user", "这件偏大吗"),
            Turn("agent", "亲\n请看表"),
            Turn("agent", ""),
            Turn("user", "<image>"),
        )
        assert found.metadata == {"labels": LABELS}
        assert found.label == "尺码"

    def test_scene_is_one_turn_with_the_picture(self, tmp_path):
        found = draft(tmp_path, scene())
        assert (found.task, found.turns, found.images) == ("image_scene", (Turn("user", "<image>"),), ("s1.jpg",))
        assert found.metadata == {"labels": LABELS}
        assert found.folders == ("images", "")

    def test_image_list_may_be_a_string(self, tmp_path):
        """The publisher's own export writes the list as text; taken as a name it would never be found."""
        assert draft(tmp_path, scene(image="['s1.jpg']")).images == ("s1.jpg",)
        assert draft(tmp_path, intent("用户: 在吗", image="[]")).images == ()

    @pytest.mark.parametrize("output", ["", None])
    def test_empty_output_is_no_label(self, tmp_path, output):
        assert draft(tmp_path, scene(output=output)).label is None

    def test_a_quoted_mark_inside_the_dialogue_does_not_end_it(self, tmp_path):
        found = draft(tmp_path, intent(f"用户: 什么是{END}\n客服: 没有"))
        assert [turn.text for turn in found.turns] == [f"什么是{END}", "没有"]

    @pytest.mark.parametrize(
        ("record", "expected"),
        [
            (scene(image="s1.jpg"), 'image: expected a list of names or a string that holds one, found "s1.jpg"'),
            (scene(image=[7]), "image[0]: expected a string, found 7"),
            (scene(input="more"), "input: expected an empty string; put its text into instruction"),
            (
                intent("", instruction="请分类"),
                "instruction: expected 'Picture 1: <image>' at its beginning, or a dial",
            ),
            (intent("你好\n用户: 在吗"), 'instruction: the dialogue begins with "你好" instead of 用户: or 客服:'),
            (scene(instruction='Picture 1: <image> ["a", b]'), "instruction: the label list is not a JSON list"),
            (scene(instruction=f'Picture 1: <image>["a",{"[" * 200_000}'), "instruction: the label list is not a JSON"),
            (
                scene(output="退贷"),
                "label: '退贷' is not one of the 3 labels that the record lists; the nearest is '退货'",
            ),
            (scene(outputs=""), "outputs: is not a key of this format; did you mean 'output'?"),
            ({"instruction": "Picture 1: <image>", "image": ["a.jpg"]}, "id: is missing; it holds a string"),
        ],
    )
    def test_faults(self, tmp_path, record, expected):
        (fault,) = faults(tmp_path, record)
        assert fault.startswith(expected)


def test_a_field_that_is_wrong_hides_no_contradiction_between_the_others(tmp_path):
    """A file to be checked as often as it has faults; and what cannot be told from half a record is not said."""
    record = {"id": "a", "task": "t", "turns": [{"role": "user", "text": "<image>"}], "label": "x "}
    listed = {"metadata": {"labels": ["x", "x"]}, "ocr": ["order"]}
    found = faults(tmp_path, record | listed | {"note": 1})
    begins = [
        "note: is not a key",
        "has 1 <image> marks",
        "ocr: has 1 entries for 0",
        "label: is",
        "metadata.labels: exp",
    ]
    assert [fault.startswith(begin) for fault, begin in zip(found, begins, strict=True)] == [True] * 5
    assert faults(tmp_path, record | {"label": 7, "images": "a.jpg"}) == [
        'images: expected a list, found "a.jpg"',
        "label: expected a string, found 7",
    ]


class TestShareGpt:
    def test_last_assistant_message_is_the_label(self, tmp_path):
        messages = [
            ("user", "<image>Late again"),
            ("assistant", "Sorry"),
            ("user", "Refund!"),
            ("assistant", "refund\n"),
        ]
        found = draft(tmp_path, chat(*messages, images=["a.jpg"]))
        assert found.turns == (Turn("user", "<image>Late again"), Turn("agent", "Sorry"), Turn("user", "Refund!"))
        assert (found.id, found.task, found.label, found.images) == (None, "intent", "refund", ("a.jpg",))

    def test_from_and_value_say_the_same_as_role_and_content(self, tmp_path):
        said = [{"from": "system", "value": "Be kind"}, {"from": "human", "value": "Hi"}, {"from": "gpt", "value": "x"}]
        found = draft(tmp_path, {"conversations": said, "id": "c1", "task": "image_scene"})
        assert found == draft(
            tmp_path, chat(("system", "Be kind"), ("user", "Hi"), ("assistant", "x"), id="c1", task="image_scene")
        )
        assert (found.id, found.task, found.metadata) == ("c1", "image_scene", {"system": "Be kind"})

    def test_a_chat_that_ends_with_the_user_has_no_label(self, tmp_path):
        found = draft(tmp_path, chat(("user", "Hi"), ("assistant", "Hello"), ("user", "Size?")))
        assert found.label is None
        assert len(found.turns) == 3

    @pytest.mark.parametrize(
        ("record", "expected"),
        [
            (chat(("bot", "Hi")), 'messages[0].role: expected user, human, assistant, gpt or system, found "bot"'),
            (chat(("user", "Hi"), ("system", "x")), "messages: only the first message may be the system's"),
            (chat(("user", ["Hi"])), 'messages[0].content: expected a string, found ["Hi"]'),
            (chat(("user", "Hi"), videos=["a.mp4"]), "videos: is not a key of this format; it has messages, "),
        ],
    )
    def test_faults(self, tmp_path, record, expected):
        (fault,) = faults(tmp_path, record)
        assert fault.startswith(expected)


class TestJson:
    @given(st.lists(VALUES, max_size=4), st.sampled_from([None, 2]))
    def test_an_array_is_cut_into_the_items_that_json_sees(self, values, indent):
        items = list(split_items(io.StringIO(json.dumps(values, indent=indent))))
        assert [item.value for item in items] == values
        assert [item.number for item in items] == list(range(1, len(values) + 1))

    @pytest.mark.parametrize(
        "text", ['[{"id": 1}', '[{"id": 1},', '[{"id": 1},]', '[{"id": 1} {}]', "[", '[{"id": 1}] 5']
    )
    def test_a_broken_array_is_a_fault_and_ends(self, text):
        """A download that broke off must not pass as a shorter data set."""
        assert "is not JSON" in list(split_items([text]))[-1].faults[0]

    @pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 100_000])
    def test_deep_nesting_is_a_fault_and_no_crash(self, text):
        assert "nested too deeply" in next(split_items([text])).faults[0]

    @given(st.text(max_size=30))
    def test_any_line_gives_a_value_or_a_fault(self, line):
        for item in split_items(["x" + line]):
            assert item.faults or item.value is not None

    def test_lines_are_read_as_they_come_and_an_array_may_begin_below_blank_ones(self):
        """A file of millions of records has to fit into no memory."""
        lines = iter(["\n", '{"id": 1}\n', '{"id": 2\n', "never read"])
        items = split_items(lines)
        assert (next(items).place, next(lines)) == ("line 2", '{"id": 2\n')
        broken = next(split_items(['{"id": 2\n']))
        assert broken.faults[0].startswith("is not JSON (column 9: ")
        (item,) = split_items([" \n", "\t[{\n", '"id": 1}]\n'])
        assert (item.place, item.value) == ("item 1", {"id": 1})

    def test_text_in_another_encoding_is_named_with_its_line(self, tmp_path):
        path = tmp_path / "gb.jsonl"
        path.write_bytes(b'{"id": "a"}\n' + "尺码".encode("gb18030"))
        with pytest.raises(InputError, match=r"gb\.jsonl: line 2: is not UTF-8; save the file in that encoding"):
            list(read_entries(path))


class TestOcr:
    def lines(self, tmp_path, ocr, images=1):
        record = {"id": "a", "task": "t", "turns": [], "images": ["a.jpg"] * images, "ocr": ocr}
        return draft(tmp_path, record).ocr

    def test_text_lines_and_objects_say_the_same(self, tmp_path):
        first, second = TextLine("订单", 1.0, (0.0, 0.0, 1.0, 0.5)), TextLine("已发货", 1.0, (0.0, 0.5, 1.0, 1.0))
        for page in ("订单\n已发货", ["订单", "已发货"], [{"text": "订单"}, {"text": "已发货"}]):
            assert self.lines(tmp_path, [page]) == ((first, second),)
        exact = {"text": "订单", "confidence": 0.5, "box": [0.1, 0.2, 0.3, 0.4]}
        assert self.lines(tmp_path, [[exact], None], 2) == ((TextLine("订单", 0.5, (0.1, 0.2, 0.3, 0.4)),), ())

    def test_blank_lines_are_no_lines_and_keep_the_others_in_place(self, tmp_path):
        assert self.lines(tmp_path, ["a\n\n", ""], 2) == ((TextLine("a", 1.0, (0.0, 0.0, 1.0, 1 / 3)),), ())

    def test_every_format_brings_it(self, tmp_path):
        line = TextLine("退货", 1.0, (0.0, 0.0, 1.0, 1.0))
        for record in (scene(ocr=["退货"]), chat(("user", "x"), images=["a.jpg"], ocr=["退货"])):
            assert draft(tmp_path, record).ocr == ((line,),)
        assert draft(tmp_path, scene()).ocr is None

    @pytest.mark.parametrize(
        ("ocr", "expected"),
        [
            ("text", 'ocr: expected a list, found "text"'),
            ([3], "ocr[0]: expected the text, a list of lines or null, found 3"),
            ([[3]], "ocr[0][0]: expected a string or an object, found 3"),
            ([[{}]], "ocr[0][0].text: is missing; it holds a string"),
            ([[{"text": "a", "confidence": "x"}]], 'ocr[0][0].confidence: expected a number, found "x"'),
            ([[{"text": "a", "confidence": 2}]], "ocr[0][0].confidence: expected a number from 0 to 1, found 2"),
            ([[{"text": "a", "box": [0, 0, 2, 1]}]], "ocr[0][0].box: expected [left, top, right, bottom] as shares"),
            ([[{"text": "a", "box": [0, 0]}]], "ocr[0][0].box: expected [left, top, right, bottom] as shares"),
            ([[{"text": "a", "bbox": []}]], "ocr[0][0].bbox: is not a key of this format; did you mean 'box'?"),
            (["a", "b"], "ocr: has 2 entries for 1 images; give each one, null for no text"),
        ],
    )
    def test_faults(self, tmp_path, ocr, expected):
        found = faults(tmp_path, {"id": "a", "task": "t", "turns": [], "images": ["a.jpg"], "ocr": ocr})
        assert len(found) == 1
        assert found[0].startswith(expected)


class TestReasons:
    @pytest.mark.parametrize("record", [TestContract.record, scene(), intent("用户:a"), chat(("user", "x"))])
    def test_every_format_may_bring_them(self, tmp_path, record):
        assert draft(tmp_path, record | {"reasons": " 1. Asks.\n2. Shows.\n"}).reasons == "1. Asks.\n2. Shows."
        assert draft(tmp_path, record | {"reasons": None}).reasons is None
        assert draft(tmp_path, record).reasons is None

    @pytest.mark.parametrize(
        ("reasons", "expected"),
        [
            (" ", "reasons: is empty; write why the record has its label, or null for none"),
            (["1. Asks."], 'reasons: expected a string, found ["1. Asks."]'),
        ],
    )
    def test_faults(self, tmp_path, reasons, expected):
        assert faults(tmp_path, TestContract.record | {"reasons": reasons}) == [expected]
