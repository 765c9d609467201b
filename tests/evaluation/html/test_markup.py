"""Nothing that comes from outside may become an element or an attribute."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from kd_rag.evaluation.html.markup import Markup, join, tag


class Reader(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, attributes))

    def handle_data(self, data):
        self.text += data


def test_children_and_attributes_are_written_as_html_reads_them():
    assert tag("p", "a < b & ", 2, None, [" c", tag("br")], class_="x", data_run=3, hidden=True, id=None) == (
        '<p class="x" data-run="3" hidden>a &lt; b &amp; 2 c<br></p>'
    )
    assert tag("i", 1.5, 2.0, 1 / 3, name="n") == '<i name="n">1.520.33</i>'
    assert isinstance(join("<"), Markup)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_a_parser_reads_back_the_same_text_in_one_element(text, attribute):
    """`</script>` in a turn, or a quote in a label, would let a record run code in the reader's browser."""
    found = Reader(tag("p", text, title=attribute))
    assert found.tags == [("p", [("title", attribute)])]
    assert found.text == text
