"""Two processes with micro-batches of their own take the step that one process takes on one big batch."""

import subprocess
import sys

import pytest
import torch


@pytest.mark.slow
def test_two_processes_give_the_loss_and_the_step_of_one_big_batch(folders, tmp_path):
    """A mean of two processes' means overweighs the one with fewer answer tokens."""
    results = []
    for processes, micro_batch_size in ((1, 5), (2, 2)):
        out = tmp_path / f"{processes}.pt"
        command = [sys.executable, "-m", "tests.training.two_processes", folders["teacher"], folders["student"]]
        subprocess.run([*command, str(processes), str(micro_batch_size), str(out)], check=True, capture_output=True)
        results.append(torch.load(out, weights_only=True))
    one, two = results
    for name, loss in one["losses"].items():
        assert two["losses"][name] == pytest.approx(loss, rel=1e-4), name
    for name, weight in one["weights"].items():
        torch.testing.assert_close(two["weights"][name], weight, rtol=1e-3, atol=2e-5)
