"""The page in a real browser, with a real model and a real OCR engine, served by the command itself."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import sync_playwright

from kd_rag.knowledge.embedder import load_embedder
from kd_rag.knowledge.store import add_passages
from kd_rag.types import Passage
from tests.commands.runs import make_run
from tests.knowledge.doubles import save_table

CHROMIUM = shutil.which("chromium")
SLOW_MACHINE_MS = 300_000
ARTEFACTS = Path(__file__).parents[2] / "artefacts"


LABELS = ["order_page", "refund", "delivery_time"]
REFUNDS = Passage("refunds", "policy", "Refunds", "A refund comes in nine days, and a refund of a gift does not.")
COATS = Passage("coats", "product", "Coats", "The bill of a coat is needed for its refund.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, folders):
    """Two runs and their knowledge base, where the command runs, beside a secret."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "secret.txt").write_text("not for the page")
    embedder = save_table(folder / "embedder")
    add_passages(folder / "kb", load_embedder(embedder), [REFUNDS, COATS])
    overrides = [
        *(f"tasks.{task}.labels=[{', '.join(LABELS)}]" for task in ("intent", "image_scene")),
        *("ocr.name=rapidocr", "retriever.name=bm25", f"knowledge.path={folder / 'kb'}"),
        *(f"knowledge.embedder={embedder}", f"cache_dir={folder / 'cache'}", "lora.r=2"),
    ]
    for name in ("student", "teacher"):
        run = Path(make_run(folder / f"{name}-run", folders[name], *overrides))
        (run / "run.json").write_text(json.dumps({"train_label_counts": {}}))
    return folder


@pytest.fixture(scope="module")
def process(folder):
    """Serve both runs on a free port; the end of the command must leave nothing of what was sent."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary = folder / "temporary"
    temporary.mkdir()
    words = ["app", "--run", "student-run", "--compare", "teacher-run", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "kd_rag", *words],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    process.address = f"http://127.0.0.1:{port}"
    while not answers(process.address):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.3)
    yield process
    assert list(temporary.glob("kd_rag-app-*/uploads/*/page.png"))
    process.terminate()
    process.wait()
    process.stderr.close()
    assert not list(temporary.glob("kd_rag-app-*"))


@pytest.fixture(scope="module")
def address(process):
    return process.address


def answers(address):
    try:
        return urllib.request.urlopen(address).status == 200
    except OSError:
        return False


def status(request):
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.slow
def test_only_this_machine_is_served(process):
    listening = [c for c in psutil.Process(process.pid).net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}


@pytest.mark.slow
def test_no_file_of_the_machine_is_read_through_the_page(address):
    files = f"{address}/gradio_api/file="
    for path in ("/etc/passwd", "secret.txt", "student-run/config.yaml", "../secret.txt"):
        assert status(files + path) in (403, 404), path
    said = called(address, ["intent", "user: hello", named("/etc/passwd"), True, True])
    assert "event: error" in said
    assert "root:" not in said


@pytest.mark.slow
def test_nothing_is_downloaded_for_a_caller(address):
    """An upload has a limit; what an address names has none, and may be what this machine alone can reach."""
    elsewhere = named("https://example.com/big.png")
    for place in range(5):
        data = ["intent", "user: hello", None, True, True]
        data[place] = elsewhere
        said = called(address, data)
        assert "event: error" in said
        assert "an address is not downloaded" in said


def named(path):
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def called(address, data):
    """Call the page's interface without a browser; return the events that it answers with."""
    body = json.dumps({"data": data}).encode()
    call = urllib.request.Request(f"{address}/gradio_api/call/answer", body, {"Content-Type": "application/json"})
    event = json.load(urllib.request.urlopen(call))["event_id"]
    return urllib.request.urlopen(f"{address}/gradio_api/call/answer/{event}").read().decode()


@pytest.mark.slow
def test_an_upload_has_a_limit(address):
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    body = head + b"\0" * 21_000_000 + b"\r\n--x--\r\n"
    request = urllib.request.Request(
        f"{address}/gradio_api/upload", body, {"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert status(request) == 413


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH; install Debian's package chromium")
def test_a_dialogue_and_a_picture_are_answered_in_a_browser(address, folder, tmp_path):
    picture = Image.new("RGB", (420, 200), "white")
    ImageDraw.Draw(picture).text((20, 60), "REFUND 4711", "black", font=ImageFont.load_default(48))
    picture.save(tmp_path / "page.png")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(SLOW_MACHINE_MS)
        faults, elsewhere = [], []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("request", lambda sent: elsewhere.append(sent.url) if is_elsewhere(sent.url, address) else None)
        page.goto(address)
        page.locator("#dialogue textarea").fill("user: The refund? <img src=x onerror=alert(1)> ${alert(1)}")
        with page.expect_response("**/gradio_api/upload*") as uploaded:
            page.locator("#picture input[type=file]").set_input_files(tmp_path / "page.png")
        assert uploaded.value.ok
        page.locator("#picture .file-preview").wait_for()  # its name also shows while it is sent
        page.locator("#go button, button#go").first.click()
        page.locator("#read rect").first.wait_for()
        assert page.locator("#probabilities .bar").count() == 2 * len(LABELS)
        heads = page.locator("#probabilities th").all_inner_texts()
        assert heads == ["label", "student-run", "teacher-run (compared)"]
        rows = page.locator("#passages tbody tr").all_inner_texts()
        found = [re.match(r"(\d\.\d{3})\s+(policy|product)\s", row).groups() for row in rows]
        assert {kind for _, kind in found} == {"policy", "product"}
        assert float(found[0][0]) > float(found[1][0]) > 0
        assert REFUNDS.text in page.locator("#prompt textarea").input_value()
        assert "ms to score" in page.locator("#time").inner_text()
        assert "without OCR" in page.locator("#changes").inner_text()
        prompt = page.locator("#prompt textarea").input_value()
        assert "onerror=alert(1)> ${alert(1)}" in prompt
        assert "REFUND" in prompt
        assert "4711" in page.locator("#read rect title").first.text_content()
        ARTEFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTEFACTS / "app.png", full_page=True)
        page.set_viewport_size({"width": 400, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        page.locator("#ocr input").uncheck()
        page.locator("#rag input").uncheck()
        page.locator("#go button, button#go").first.click()
        page.get_by_text("with OCR", exact=True).wait_for()
        assert "with passages" in page.locator("#changes").inner_text()
        prompt = page.locator("#prompt textarea").input_value()
        assert "REFUND" not in prompt
        assert REFUNDS.text not in prompt
        assert "No passages in this prompt" in page.locator("#passages").inner_text()
        page.locator("#dialogue textarea").fill("user: <image> <image>")
        page.locator("#go button, button#go").first.click()
        page.get_by_text("2 <image> markers for 1 pictures").wait_for()
        browser.close()
    assert not faults
    assert not elsewhere
    assert not (folder / "cache" / "ocr").exists(), "what was read from a customer's picture outlives the page"


def is_elsewhere(url, address):
    return not url.startswith((address, "data:", "blob:", address.replace("http", "ws")))
