"""A gradient that several processes add up: the same sum whoever has which part, and nobody left waiting."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from mpt.learn.shared_gradient import SharedGradient, devices, stop_together
from mpt.util.errors import Diverged


def parameters():
    return [nn.Parameter(torch.zeros(3, 2)), nn.Parameter(torch.zeros(2))]


def episode(number: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(number)
    return [torch.randn(3, 2, generator=generator), torch.randn(2, generator=generator)]


def test_the_sum_is_weighted_handed_over_and_begun_anew():
    learned = parameters()
    shared = SharedGradient(learned)
    for number in range(2):
        shared.add(episode(number), 0.5)
    shared.hand_over()
    for weight, *parts in zip(learned, episode(0), episode(1), strict=True):
        torch.testing.assert_close(weight.grad, (parts[0] + parts[1]) / 2)
    shared.add(episode(2), 1.0)
    shared.hand_over()
    assert torch.equal(learned[0].grad, episode(2)[0])


def test_the_order_of_the_parts_does_not_show_in_float32():
    sums = []
    for order in (range(50), reversed(range(50))):
        learned = parameters()
        shared = SharedGradient(learned)
        for number in order:
            shared.add([1e3 * part if number % 7 else part for part in episode(number)], 1 / 50)
        shared.hand_over()
        sums.append(learned[0].grad)
    assert torch.equal(*sums)


def test_trouble_is_raised_and_no_trouble_is_not():
    stop_together(None, torch.device("cpu"))
    with pytest.raises(Diverged, match="it exploded"):
        stop_together("it exploded", torch.device("cpu"))


# Two processes -----------------------------------------------------------------------------------------------------


def rank(number: int, folder: Path, troubles: tuple[str | None, ...]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=number, world_size=2)
    learned = parameters()
    shared = SharedGradient(learned)
    said = None
    try:
        for own in (number, number + 2):  # two meta-batches of an episode each, of a step of four episodes
            shared.add(episode(own), 1 / 4)
            stop_together(troubles[number], torch.device("cpu"))
        shared.hand_over()
    except Diverged as error:
        said = str(error)
    torch.save(
        {"said": said, "devices": devices(), "grads": [weight.grad for weight in learned]}, folder / f"{number}.pt"
    )
    distributed.destroy_process_group()


def two_processes(folder: Path, *troubles: str | None) -> list[dict]:
    # Forked, since a fresh interpreter would import torch for seconds; gloo and one thread allow it.
    context = multiprocessing.get_context("fork")
    started = [context.Process(target=rank, args=(number, folder, troubles)) for number in range(2)]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
        if process.is_alive():
            process.kill()
            pytest.fail("one process waits for the other")
        assert process.exitcode == 0
    return [torch.load(folder / f"{number}.pt") for number in range(2)]


def test_two_processes_have_the_sum_of_one_to_the_bit(tmp_path):
    first, second = two_processes(tmp_path, None, None)
    learned = parameters()
    alone = SharedGradient(learned)
    for number in range(4):
        alone.add(episode(number), 1 / 4)
    alone.hand_over()
    assert first["devices"] == second["devices"] == 2 and devices() == 1
    for weight, one, two in zip(learned, first["grads"], second["grads"], strict=True):
        assert torch.equal(weight.grad, one) and torch.equal(weight.grad, two)


@pytest.mark.parametrize(
    ("troubles", "said"),
    [((None, "the second"), "the second"), (("the first", None), "the first"), (("the first", "too"), "the first")],
    ids=["second", "first", "both"],
)
def test_trouble_on_one_stops_both_with_its_sentence(troubles, said, tmp_path):
    assert [end["said"] for end in two_processes(tmp_path, *troubles)] == [said, said]
