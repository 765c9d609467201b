import json

import pytest

from kb_builder import sources
from kb_builder.readers import Reading
from kb_builder.sources import find_files
from kd_rag.types import InputError, Passage


def read_passages(files, **settings):
    return sources.read_passages(files, Reading(**settings))


GOOD = {"id": "a", "kind": "faq", "title": "Size", "text": "Small.", "metadata": {"price": 3, "tags": ["x"]}}


def write(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def jsonl(*entries):
    return "\n".join(json.dumps(entry) for entry in entries)


def test_jsonl_is_read_as_it_stands(tmp_path):
    path = write(
        tmp_path, "kb.jsonl", "\ufeff" + jsonl(GOOD) + "\r\n\r\n" + jsonl({"kind": "policy", "text": "您好\u2028。"})
    )
    first, second = read_passages([path])
    assert first == Passage("a", "faq", "Size", "Small.", {"price": 3, "tags": ["x"]})
    assert (second.kind, second.title, second.text, second.metadata) == ("policy", "", "您好\u2028。", {})
    assert second.id.startswith("policy-")


@pytest.mark.parametrize(("name", "mark"), [("kb.csv", ","), ("kb.TSV", "\t")])
def test_other_columns_of_a_table_become_metadata(tmp_path, name, mark):
    rows = ["kind,title,text,id,colour,size", 'faq,Coat,"Red, or\nblue ""both""",c1,red,', "faq,Hat,Warm.,,,"]
    if mark == "\t":
        rows = [row.replace(",", "\t").replace("Red\t", "Red,") for row in rows]
    coat, hat = read_passages([write(tmp_path, name, "\n".join(rows))])
    assert coat == Passage("c1", "faq", "Coat", 'Red, or\nblue "both"', {"colour": "red"})
    assert hat.metadata == {}
    assert hat.id.startswith("faq-")


def test_text_is_read_by_its_headings(tmp_path):
    text = "Before.\n# Returns #\n\n## Within 30 days\nSend it back.\n```\n# a comment\n```\n"
    text += "## Later\n\nNo.\n#hash\n```\n# open"
    passages = read_passages([write(tmp_path, "shop rules.md", text)])
    assert [(p.kind, p.title, p.text) for p in passages] == [
        ("policy", "shop rules", "Before."),
        ("policy", "Within 30 days", "Send it back.\n```\n# a comment\n```"),
        ("policy", "Later", "No.\n#hash\n```\n# open"),
    ]


def test_an_id_made_from_content_follows_the_content(tmp_path):
    """An id that depended on the place would store a moved passage twice."""
    before = write(tmp_path, "a.md", "# One\nfirst\n# Two\nsecond")
    after = write(tmp_path, "deeper/b.txt", "# Two\nsecond\n# One\nfirst")
    assert {p.id: p for p in read_passages([before])} == {p.id: p for p in read_passages([after])}
    changed = read_passages([write(tmp_path, "c.md", "# One\nfirst!\n# Two\nsecond")])
    assert len({p.id for p in changed} & {p.id for p in read_passages([before])}) == 1


def test_a_folder_is_read_whole_and_names_what_it_skips(tmp_path):
    write(tmp_path, "kb/b.jsonl", jsonl(GOOD))
    write(tmp_path, "kb/in/a.md", "# A\nx")
    write(tmp_path, "kb/photo.png", b"\x89PNG")
    write(tmp_path, "kb/.git/c.md", "# C\nx")
    files, skipped = find_files([tmp_path / "kb"])
    assert [f.name for f in files] == ["b.jsonl", "a.md"]
    assert [f.name for f in skipped] == ["photo.png"]


def test_a_title_alone_is_a_passage(tmp_path):
    """Real catalogues have products without a description."""
    (only,) = read_passages(
        [write(tmp_path, "kb.jsonl", jsonl({"kind": "product", "title": "Leather book", "text": ""}))]
    )
    assert (only.title, only.text) == ("Leather book", "")


def test_the_same_passage_twice_counts_once(tmp_path):
    paths = [write(tmp_path, name, jsonl(GOOD)) for name in ("a.jsonl", "b.jsonl")]
    assert len(read_passages(paths)) == 1


BAD_LINES = {
    "not json": ('{"id": "a",', "line 2: is not JSON"),
    "nested too deeply": ("[" * 100_000, r"line 2: is not JSON that can be read \(it is nested too deeply\)"),
    "a list": ("[1]", "line 2: is list; it must be an object"),
    "unknown field": (json.dumps({**GOOD, "titel": "x"}), "line 2: there is no field 'titel'"),
    "unknown kind": (json.dumps({**GOOD, "kind": "news"}), "line 2: kind is 'news'; it must be one of product, faq"),
    "no kind": (json.dumps({"text": "x"}), "line 2: kind is None"),
    "no text": (json.dumps({"kind": "faq"}), "line 2: title and text are both missing"),
    "blank text": (json.dumps({**GOOD, "title": "", "text": " \n"}), "line 2: title and text are both missing"),
    "text is a number": (json.dumps({**GOOD, "text": 3}), "line 2: text is 3; it must be text"),
    "id is a number": (json.dumps({**GOOD, "id": 3}), "line 2: id is 3; it must be text"),
    "metadata is a list": (json.dumps({**GOOD, "metadata": [1]}), r"line 2: metadata is \[1\]; it must be an object"),
    "infinite number": (
        '{"kind": "faq", "text": "x", "metadata": {"a": 1e999}}',
        "line 2: holds what cannot be stored",
    ),
    "half a character": (r'{"kind": "faq", "text": "\ud800"}', "line 2: holds what cannot be stored"),
    "not utf-8": (b"\xff\xfe", "line 2: is not UTF-8"),
    "same id": (json.dumps({**GOOD, "text": "other"}), "line 2: .*kb.jsonl: line 1 has the id 'a' as well"),
}


@pytest.mark.parametrize(("line", "message"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_is_named_with_what_would_be_right(tmp_path, line, message):
    line = line if isinstance(line, bytes) else line.encode()
    path = write(tmp_path, "kb.jsonl", jsonl(GOOD).encode() + b"\n" + line + b"\n")
    with pytest.raises(InputError, match=message) as caught:
        read_passages([path])
    assert str(caught.value).startswith(f"{path}: line 2: ")
    assert "\n" not in str(caught.value)


BAD_TABLES = {
    "no text column": ("kind,body\nfaq,x", "line 1: has no column 'text'; the columns are kind, body"),
    "a column twice": ("kind,text,text\nfaq,x,y", "line 1: names a column twice"),
    "too many cells": ("kind,text\nfaq,x,y", "line 2: has 3 cells; there are 2 columns"),
    "too few cells": ("kind,text\nfaq", "line 2: has 1 cells; there are 2 columns"),
    "open quote": ('kind,text\nfaq,x\nfaq,"y', "line 3: the row that begins here is not a table row"),
    "broken quote": ('kind,text\nfaq,"x" y', "line 2: the row that begins here is not a table row"),
    "a quote that swallows the rest": (
        'kind,text\nfaq,"x\nfaq,y\nfaq,z',
        r"line 2: .*\(unexpected end of data, line 4\)",
    ),
    "header alone": ("kind,text\n", "holds no passage"),
}


@pytest.mark.parametrize(("content", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_bad_table_is_named_with_its_line(tmp_path, content, message):
    path = write(tmp_path, "kb.csv", content)
    with pytest.raises(InputError, match=message) as caught:
        read_passages([path])
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("name", ["kb.jsonl", "kb.json", "kb.csv", "kb.md", "kb.txt"])
def test_an_empty_file_is_a_fault(tmp_path, name):
    with pytest.raises(InputError, match=f"{name}: holds no passage"):
        read_passages([write(tmp_path, name, "\n")])


def test_sources_that_cannot_be_read_are_named(tmp_path):
    write(tmp_path, "photos/photo.png", b"\x89PNG")
    for name, message in [
        ("absent.jsonl", "no such file or folder"),
        ("photos/photo.png", r"it reads \.jsonl, \.json, \.csv"),
        ("photos", "holds no file that ingest reads"),
    ]:
        with pytest.raises(InputError, match=message):
            find_files([tmp_path / name])
