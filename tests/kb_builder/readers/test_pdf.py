import pytest

from kb_builder.readers import Reading
from kb_builder.readers.pdf import read_pdf
from kd_rag.types import InputError
from tests.kb_builder.documents import save_scan, text_pdf


def entries(path, **settings):
    return list(read_pdf(path, Reading(**settings)))


def test_each_page_with_text_is_a_passage_that_knows_its_page(tmp_path):
    path = tmp_path / "guide.pdf"
    path.write_bytes(text_pdf("Wash at 30 degrees.", "", "Do not tumble dry.", title="Care"))
    first, second = entries(path)
    assert (first.place, second.place) == ("page 1", "page 3")
    assert first.fields == {
        "kind": "policy",
        "title": "Care",
        "text": "Wash at 30 degrees.",
        "metadata": {"page": 1},
    }
    path.write_bytes(text_pdf("Wash."))
    assert entries(path, kind="faq")[0].fields["title"] == "guide"
    assert entries(path, kind="faq")[0].fields["kind"] == "faq"


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", text_pdf("x")[:200]], ids=["empty", "html", "cut"])
def test_a_pdf_that_is_none_is_named(tmp_path, content):
    path = tmp_path / "broken.pdf"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.pdf: cannot be read as a PDF: it is damaged or no PDF") as caught:
        entries(path)
    assert "\n" not in str(caught.value)


def test_a_scanned_page_without_an_engine_is_named_with_its_page(tmp_path):
    """Its text would be missing from the knowledge base, and nothing would say so."""
    save_scan(tmp_path / "scan.pdf", "Returns within 30 days")
    with pytest.raises(InputError, match=r"scan\.pdf: page 1: is a picture without text; .* ocr\.name=rapidocr"):
        entries(tmp_path / "scan.pdf")


def test_a_scanned_page_goes_through_the_ocr_family_once(tmp_path):
    """Ingested again, the same page must not be read again: it is the slowest thing that ingest does."""
    save_scan(tmp_path / "scan.pdf", "Returns within 30 days")
    (tmp_path / "log").mkdir()
    engine = {"name": "tests.ocr.stub_engine:SizeReader", "log": str(tmp_path / "log")}
    for name in ("scan.pdf", "copy.pdf"):
        (tmp_path / "copy.pdf").write_bytes((tmp_path / "scan.pdf").read_bytes())
        (entry,) = entries(tmp_path / name, ocr=engine, cache_dir=tmp_path)
        assert (entry.fields["text"], entry.fields["metadata"]) == ("1001 x 302 像素", {"page": 1})
    assert len(list((tmp_path / "log").iterdir())) == 1


@pytest.mark.slow
def test_rapidocr_reads_a_scanned_page(tmp_path):
    save_scan(tmp_path / "scan.pdf", "Returns within 30 days")
    (entry,) = entries(tmp_path / "scan.pdf", ocr={"name": "rapidocr"}, cache_dir=tmp_path)
    assert entry.fields["text"] == "Returns within 30 days"
