import pytest

from kb_builder.readers import Reading
from kb_builder.readers.html import read_html
from kd_rag.types import InputError

PAGE = """<!DOCTYPE html><html><head><title>Shop
help</title><style>p {color: red}</style></head><body><nav>Home | Cart</nav>
<p>Welcome.</p><!-- draft -->
<h2>Returns <em>and</em> refunds</h2><div><p>Send it <b>back</b>
within 30&nbsp;days.</p><ul><li>Unworn</li><li>With tags</li></ul></div>
<script>track("<h2>no</h2>")</script>
<h3>Empty</h3><h2>Sizes</h2><table><tr><th>EU</th><th>UK</th></tr><tr><td>38</td><td>5</td></tr></table></body></html>
"""


def entries(path, **settings):
    return [(e.place, e.fields["title"], e.fields["text"]) for e in read_html(path, Reading(**settings))]


def test_a_page_is_read_by_its_headings_without_scripts_and_navigation(tmp_path):
    path = tmp_path / "help.html"
    path.write_text(PAGE)
    assert entries(path) == [
        ("line 1", "Shop help", "Welcome."),
        ("line 4", "Returns and refunds", "Send it back within 30 days.\nUnworn\nWith tags"),
        ("line 7", "Sizes", "EU UK\n38 5"),
    ]


def test_a_page_in_another_encoding_says_so_itself(tmp_path):
    path = tmp_path / "help.htm"
    path.write_bytes('<meta charset="gb2312"><h1>退货</h1><p>三十天内可以退货。</p>'.encode("gb2312"))
    assert entries(path) == [("line 1", "退货", "三十天内可以退货。")]


def test_a_page_nested_ten_thousand_deep_is_read(tmp_path):
    path = tmp_path / "deep.html"
    path.write_text("<h1>Deep</h1>" + "<div>" * 10_000 + "text")
    assert entries(path) == [("line 1", "Deep", "text")]


def test_a_file_without_elements_is_no_page(tmp_path):
    (tmp_path / "a.html").write_text("plain words")
    with pytest.raises(InputError, match=r"a\.html: line 1: is not HTML"):
        entries(tmp_path / "a.html")
