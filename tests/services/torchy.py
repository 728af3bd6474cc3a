"""A service that tells how torch runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import torch
from pydantic import BaseModel

import mothlight
from mothlight import Step, batched, method, service, stepped


class Setting(BaseModel):
    device: str
    threads: int
    inference: bool
    channels_last: bool
    compiled: bool


class Trained(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x).relu()


@service
class Torchy:
    def __init__(self) -> None:
        assert not torch.is_inference_mode_enabled(), "weights are to stay trainable"
        self.model = Trained().to(mothlight.device()).eval()

    def setting(self) -> Setting:
        weight = self.model.layer.weight
        return Setting(
            device=str(weight.device),
            threads=torch.get_num_threads(),
            inference=torch.is_inference_mode_enabled(),
            channels_last=weight.is_contiguous(memory_format=torch.channels_last),
            compiled=self.model._compiled_call_impl is not None,
        )

    @method
    def alone(self) -> Setting:
        return self.setting()

    @batched(max_size=4)
    def together(self, xs: list[int]) -> list[Setting]:
        return [self.setting()] * len(xs)

    @method
    async def beside(self) -> Setting:
        return self.setting()

    @method
    def items(self) -> Iterator[Setting]:
        yield self.setting()

    @method
    async def items_beside(self) -> AsyncIterator[Setting]:
        yield self.setting()

    def start(self) -> bool:
        return torch.is_inference_mode_enabled()

    @stepped(start, max_size=4)
    def steps(self, states: list[bool]) -> list[Step[Setting]]:
        assert all(state == torch.is_inference_mode_enabled() for state in states)
        return [Step(self.setting(), done=True) for _ in states]

    @method
    def run(self, size: int) -> float:
        return float(self.model(torch.ones(1, 3, size, size)).sum())

    @batched(max_size=64)
    def large(self, sizes: list[int]) -> list[int]:
        "More than 8 do not fit."
        if len(sizes) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return [len(sizes)] * len(sizes)
