import pytest

from kb_builder.readers import Reading
from kb_builder.readers.json_lines import read_json_lines
from kb_builder.readers.tables import read_table
from kd_rag.types import InputError

COLUMNS = {"text": "description", "title": "name", "id": "sku"}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_columns_with_other_names_are_mapped_and_the_rest_is_metadata(tmp_path, suffix):
    path = tmp_path / f"shop{suffix}"
    line = '{"sku": "c1", "name": "Coat", "description": "Warm.", "colour": "red", "size": ""}'
    path.write_text("sku,name,description,colour,size\nc1,Coat,Warm.,red,\n" if suffix == ".csv" else line)
    read = read_table if suffix == ".csv" else read_json_lines
    (entry,) = read(path, Reading(COLUMNS, kind="product"))
    assert entry.fields == {"id": "c1", "title": "Coat", "text": "Warm.", "metadata": {"colour": "red"}}


@pytest.mark.parametrize(
    ("columns", "kind", "message"),
    [
        ({}, None, r"line 1: has no column 'text'; .*are name, body: say .*knowledge\.columns\.text=COLUMN"),
        ({"text": "body"}, None, r"line 1: has no column 'kind'; .*or set knowledge\.kind"),
        ({"text": "boddy"}, "faq", r"line 1: has no column 'boddy'"),
        ({"text": "body", "id": "sku"}, "faq", r"line 2: has no 'sku', which knowledge\.columns\.id names"),
    ],
)
def test_a_column_that_is_not_there_is_named(tmp_path, columns, kind, message):
    path = tmp_path / "shop.csv"
    path.write_text("name,body\nCoat,Warm.\n")
    with pytest.raises(InputError, match=message):
        list(read_table(path, Reading(columns, kind)))


def test_a_cell_may_be_longer_than_the_csv_modules_limit(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("text\n" + "word " * 100_000 + "\n")
    (entry,) = read_table(path, Reading(kind="faq"))
    assert len(entry.fields["text"]) == 500_000
