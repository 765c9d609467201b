"""The page: a dialogue and a picture in; label probabilities, OCR boxes, passages, the prompt and the time out.

In: one answering model or several, by name. Out: a Gradio page that loads nothing from elsewhere and sends nothing
out. Outside text is shown escaped, and errors of the user are shown as one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio_client.utils import is_http_url_like

from kd_rag.types import InputError, Record, Role
from kd_rag.web import _html
from kd_rag.web.answer import Answer, Answering
from kd_rag.web.dialogue import record_of

MAX_UPLOAD = "20mb"
KEPT_SECONDS = 3600
"""For how long a picture that was sent is kept."""
EXAMPLE = "user: Where is my parcel? It should have come on Monday.\nagent: I will look it up for you."
SPEAKERS: dict[str, Role] = {"user": "user", "customer": "user", "用户": "user", "agent": "agent", "客服": "agent"}


def page(models: Mapping[str, Answering], tasks: Sequence[str]) -> Any:
    """Return the page for `models`, the first of which sets the order of labels; `tasks` may be chosen from."""
    with gr.Blocks(title="kd_rag", analytics_enabled=False, delete_cache=(KEPT_SECONDS, KEPT_SECONDS)) as blocks:
        gr.Markdown(f"# {' and '.join(models)}")
        with gr.Row():
            with gr.Column(scale=2):
                task = gr.Dropdown(list(tasks), value=tasks[0], label="Task")
                text = gr.Textbox(
                    EXAMPLE,
                    lines=6,
                    label="Dialogue",
                    info="A turn begins with user: or agent:, and <image> stands where the picture was sent.",
                    elem_id="dialogue",
                )
                sent = gr.File(label="Picture", file_types=["image"], type="filepath", height=120, elem_id="picture")
                ocr = gr.Checkbox(True, label="Text read from the picture (OCR)", elem_id="ocr")
                retrieval = gr.Checkbox(True, label="Passages from the knowledge base (RAG)", elem_id="rag")
                button = gr.Button("Answer", variant="primary", elem_id="go")
            with gr.Column(scale=3):
                outputs = [gr.HTML(elem_id=name) for name in ("time", "probabilities", "changes", "read", "passages")]
                prompt = gr.Textbox(label="Prompt", lines=12, max_lines=30, interactive=False, elem_id="prompt")
        inputs = [task, text, sent, ocr, retrieval]
        for block in inputs:
            _refuse_addresses(block)
        button.click(_answer(models), inputs, [*outputs, prompt], api_name="answer")
    return blocks


def _refuse_addresses(block: Any) -> None:
    """Take uploads alone: Gradio would download whatever an address in a file's place names, of any size."""
    move = block.async_move_resource_to_block_cache

    async def uploaded(path: str | None) -> Any:
        if is_http_url_like(path or ""):
            raise gr.Error("an address is not downloaded; upload the file", print_exception=False)
        return await move(path)

    block.async_move_resource_to_block_cache = uploaded


def serve(blocks: Any, host: str, port: int | None, wait: bool) -> str:
    """Start the page and return its address; with `wait` only once it was stopped."""
    _, address, _ = blocks.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=not wait,
        share=False,
        max_file_size=MAX_UPLOAD,
        # The defaults fetch fonts from the network.
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        css=_html.STYLE,
        ssr_mode=False,
        footer_links=[],
    )
    return str(address)


def _answer(models: Mapping[str, Answering]) -> Callable[..., list[str]]:
    def answer(task: str, text: str, sent: str | None, ocr: bool, retrieval: bool) -> list[str]:
        try:
            record = record_of(text, Path(sent) if sent else None, task, SPEAKERS)
            return _pieces(models, record, ocr, retrieval)
        except InputError as error:
            raise gr.Error(escape(str(error)), print_exception=False) from None  # shown as HTML

    return answer


def _pieces(models: Mapping[str, Answering], record: Record, ocr: bool, retrieval: bool) -> list[str]:
    """Return the page's parts, of the chosen switches and of each of them turned over."""

    def ask(ocr: bool, passages: bool) -> dict[str, Answer]:
        return {name: model(record, ocr=ocr, passages=passages) for name, model in models.items()}

    chosen = ask(ocr, retrieval)
    settings = {
        "as chosen": chosen,
        f"{'without' if ocr else 'with'} OCR": ask(not ocr, retrieval),
        f"{'without' if retrieval else 'with'} passages": ask(ocr, not retrieval),
    }
    first = next(iter(chosen.values()))
    times = "; ".join(
        f"{name}: {1000 * a.preparing_seconds:.0f} ms to prepare, {1000 * a.scoring_seconds:.0f} ms to score"
        for name, a in chosen.items()
    )
    lines = first.lines[0] if first.lines else ()
    return [
        f"<p>{escape(times)}</p>",
        _html.probabilities(chosen),
        _html.changes(settings),
        _html.picture(record.images[0] if record.images else None, lines),
        _html.passages(first),
        first.prompt,
    ]
