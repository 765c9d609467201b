"""The page in a real browser, with a real model and a real OCR engine, served by the command itself."""

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import sync_playwright

CHROMIUM = shutil.which("chromium")
SLOW_MACHINE_MS = 300_000
ARTEFACTS = Path(__file__).parents[2] / "artefacts"


@pytest.fixture(scope="module")
def address(tmp_path_factory, folders):
    """Serve two models on a free port; a secret lies in the folder that the command runs in."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "secret.txt").write_text("not for the page")
    tasks = {name: {"labels": ["order_page", "refund", "delivery_time"]} for name in ("intent", "image_scene")}
    config = {"tasks": tasks, "ocr": {"name": "rapidocr"}, "lora": None, "cache_dir": str(folder / "cache")}
    (folder / "app.yaml").write_text(json.dumps(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["app", "--model", folders["student"], "--config", "app.yaml", "--port", str(port)]
    process = subprocess.Popen([sys.executable, "-m", "kd_rag", *words], cwd=folder, stderr=subprocess.PIPE, text=True)
    address = f"http://127.0.0.1:{port}"
    while not answers(address):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.3)
    yield address
    process.terminate()
    process.wait()
    process.stderr.close()


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
def test_no_file_of_the_machine_is_read_through_the_page(address, tmp_path):
    files = f"{address}/gradio_api/file="
    for path in ("/etc/passwd", "secret.txt", "app.yaml", "../secret.txt"):
        assert status(files + path) in (403, 404), path
    stolen = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    body = json.dumps({"data": ["intent", "user: hello", stolen, True, True]}).encode()
    call = urllib.request.Request(f"{address}/gradio_api/call/answer", body, {"Content-Type": "application/json"})
    event = json.load(urllib.request.urlopen(call))["event_id"]
    said = urllib.request.urlopen(f"{address}/gradio_api/call/answer/{event}").read().decode()
    assert "event: error" in said
    assert "root:" not in said


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
def test_a_dialogue_and_a_picture_are_answered_in_a_browser(address, tmp_path):
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
        page.locator("#dialogue textarea").fill("user: Where is it? <img src=x onerror=alert(1)> ${alert(1)}")
        with page.expect_response("**/gradio_api/upload*") as uploaded:
            page.locator("#picture input[type=file]").set_input_files(tmp_path / "page.png")
        assert uploaded.value.ok
        page.locator("#picture .file-preview").wait_for()  # its name also shows while it is sent
        page.locator("#go button, button#go").first.click()
        page.locator("#read rect").first.wait_for()
        assert page.locator("#probabilities .bar").count() == 3
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
        page.locator("#go button, button#go").first.click()
        page.get_by_text("with OCR", exact=True).wait_for()
        assert "REFUND" not in page.locator("#prompt textarea").input_value()
        page.locator("#dialogue textarea").fill("user: <image> <image>")
        page.locator("#go button, button#go").first.click()
        page.get_by_text("2 <image> markers for 1 pictures").wait_for()
        browser.close()
    assert not faults
    assert not elsewhere


def is_elsewhere(url, address):
    return not url.startswith((address, "data:", "blob:", address.replace("http", "ws")))
