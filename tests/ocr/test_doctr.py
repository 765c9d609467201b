"""docTR with weights of our own (random: places are real, words are garbage), and without a network."""

import hashlib
import urllib.error

import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from kd_rag.ocr import _weights
from kd_rag.ocr.doctr import DocTr
from kd_rag.types import InputError

SMALL = {"detection": "db_mobilenet_v3_large", "recognition": "crnn_mobilenet_v3_small"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """State dicts of small models, saved as a user would; pages are shrunk to 256 pixels for speed."""
    from doctr.models import detection, recognition
    from doctr.models.detection.fast.pytorch import default_cfgs

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    models = {"detection": detection.fast_tiny, "recognition": recognition.crnn_mobilenet_v3_small}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(default_cfgs["fast_tiny"], "input_shape", (3, 256, 256))
        for part, build in models.items():
            torch.save(build(pretrained=False, pretrained_backbone=False).state_dict(), folder / f"{part}.pt")
        yield {
            "detection": "fast_tiny",
            "recognition": "crnn_mobilenet_v3_small",
            **{f"{part}_weights": str(folder / f"{part}.pt") for part in models},
        }


@pytest.fixture(scope="module")
def engine(weights):
    return DocTr(**weights, min_confidence=0.0)


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """docTR's cache folder, empty, on a machine that reaches nothing; the list of what was asked for."""
    asked = []

    def refuse(request, timeout):
        assert timeout <= 60, "a dead proxy must not hold the run for ever"
        asked.append(request.full_url)
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setenv("DOCTR_CACHE_DIR", str(tmp_path / "doctr"))
    return asked


def page():
    picture = Image.new("RGB", (320, 240), "white")
    ImageDraw.Draw(picture).text((20, 40), "Order 48213", fill="black", font=ImageFont.load_default(28))
    return picture


def test_local_weights_are_used(engine, weights, no_network):
    """Weights that are named and yet not loaded, or a download beside them."""
    lines = engine.read(page())
    assert lines == engine.read(page())
    assert lines
    assert all(line.text for line in lines)
    assert all(0 <= line.confidence <= 1 and 0 <= min(line.box) < max(line.box) <= 1 for line in lines)
    assert no_network == []
    model = engine._predictor.reco_predictor.model
    saved = torch.load(weights["recognition_weights"])
    assert torch.equal(model.linear.weight, saved["linear.weight"])


def test_uncertain_words_are_dropped(engine, monkeypatch):
    """Garbage that reaches the prompt although a threshold was set."""
    monkeypatch.setattr(engine, "_min_confidence", 1.0)
    assert engine.read(page()) == ()


@pytest.mark.parametrize("size", [(1, 1), (2, 900)])
def test_pictures_without_text_do_not_stop_a_run(engine, size):
    """One odd picture among thousands that ends a run."""
    lines = engine.read(Image.new("RGB", size, "white"))
    assert all(0 <= share <= 1 for line in lines for share in line.box)


def test_without_network_one_sentence_says_what_to_do(no_network, tmp_path):
    """A wait, a traceback, or an empty file that breaks the next run."""
    with pytest.raises(InputError) as fault:
        DocTr(**SMALL).read(page())
    message = str(fault.value)
    assert "\n" not in message
    for part in [
        str(tmp_path / "doctr" / "models"),
        "db_mobilenet_v3_large-21748dd0.pt",
        "crnn_mobilenet_v3_small_pt-3b919a02.pt",
        "ocr.detection_weights",
        "ocr.recognition_weights",
        "Name or service not known",
    ]:
        assert part in message
    assert len(no_network) == 1
    assert list((tmp_path / "doctr" / "models").iterdir()) == []


def address_of(content):
    digest = hashlib.sha256(content).hexdigest()[:8]
    return f"https://models.invalid/models?id=v1/model-{digest}.pt&src=0", f"model-{digest}.pt"


def test_file_in_the_cache_folder_is_used(no_network, tmp_path):
    """A machine without network whose user put the file where the message said."""
    address, name = address_of(b"weights")
    (tmp_path / "doctr/models").mkdir(parents=True)
    file = tmp_path / "doctr/models" / name
    file.write_bytes(b"weights")
    assert _weights.published_files({"detection": address}) == {"detection": file}
    file.write_bytes(b"")
    with pytest.raises(InputError, match=r"put model-\w+\.pt into"):
        _weights.published_files({"detection": address})
    assert no_network == [address]


@pytest.mark.parametrize("sent", [b"weights", b"<html>proxy login</html>"])
def test_download_is_kept_whole_or_not_at_all(monkeypatch, no_network, tmp_path, sent):
    """A proxy's page that is taken for a model."""
    import io

    address, name = address_of(b"weights")
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(sent))
    if sent == b"weights":
        file = _weights.published_files({"detection": address})["detection"]
        assert file == tmp_path / "doctr/models" / name
        assert file.read_bytes() == sent
    else:
        with pytest.raises(InputError, match="sent something else than"):
            _weights.published_files({"detection": address})
    left = [file.name for file in (tmp_path / "doctr/models").iterdir()]
    assert left == ([name] if sent == b"weights" else [])


def test_wrong_files_and_names_are_named(weights, tmp_path):
    """A traceback out of torch for a mistyped path."""
    with pytest.raises(InputError, match=r"ocr\.detection_weights: there is no file"):
        DocTr(detection_weights=str(tmp_path / "gone.pt"))
    with pytest.raises(InputError, match=r"ocr\.detection: docTR has no 'fast_bass'; it has .*fast_base"):
        DocTr(**{**weights, "detection": "fast_bass"}).read(page())
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"not weights")
    for file in (str(broken), weights["recognition_weights"]):
        with pytest.raises(InputError, match=r"ocr\.detection_weights: .* state dict of this FAST"):
            DocTr(**{**weights, "detection_weights": file}).read(page())


def test_other_weights_are_another_version(weights, tmp_path):
    """Text of replaced weights that comes out of the cache."""
    file = tmp_path / "detection.pt"
    versions = set()
    for content in (b"one", b"two"):
        file.write_bytes(content)
        versions.add(DocTr(**{**weights, "detection_weights": str(file)}).version)
    assert len(versions) == 2
