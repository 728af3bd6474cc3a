"""The Llama architecture over a ragged batch: each sequence brings its new tokens and its cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .gguf import Gguf


@dataclass(frozen=True)
class _Layer:
    """Weights, (out, in) each; projections that read the same input are one matrix."""

    attention_norm: Tensor
    query_key_value: Tensor
    output: Tensor
    feed_norm: Tensor
    gate_up: Tensor
    down: Tensor


class Cache:
    """Keys and values of one sequence: `capacity` positions, of which `length` are filled."""

    def __init__(self, llama: Llama, capacity: int) -> None:
        shape = (len(llama.layers), 2, llama.kv_heads, capacity, llama.head_size)
        self.tensor = torch.empty(shape)  # untouched pages cost nothing
        self.length = 0


class Llama:
    """A decoder with rotary, grouped-query attention and tied embeddings, in float32 on the CPU."""

    def __init__(self, file: Gguf, positions: int) -> None:
        get = file.metadata.__getitem__
        self.heads: int = get("llama.attention.head_count")
        self.kv_heads: int = get("llama.attention.head_count_kv")
        self.epsilon: float = get("llama.attention.layer_norm_rms_epsilon")
        self.head_size: int = get("llama.rope.dimension_count")
        self.hidden: int = get("llama.feed_forward_length")
        self.positions = min(positions, get("llama.context_length"))
        self.embedding = file.tensor("token_embd.weight")  # also the output
        self.norm = file.tensor("output_norm.weight")
        self.layers = [_layer(file, f"blk.{n}.") for n in range(get("llama.block_count"))]
        steps = torch.arange(0, self.head_size, 2) / self.head_size
        angles = torch.outer(
            torch.arange(self.positions).float(), get("llama.rope.freq_base") ** -steps
        )
        self.turns = torch.polar(torch.ones_like(angles), angles)  # (positions, head_size / 2)

    def logits(self, tokens: Sequence[Sequence[int]], caches: Sequence[Cache]) -> Tensor:
        """The scores of each sequence's next token, (B, vocabulary).

        `tokens[i]`, one or more, go behind what `caches[i]` holds, and into it. A sequence reads
        its own cache only.
        """
        counts = [len(new) for new in tokens]
        flat = torch.tensor([token for new in tokens for token in new])
        places = [
            torch.arange(cache.length, cache.length + count)
            for cache, count in zip(caches, counts, strict=True)
        ]
        turns = self.turns[torch.cat(places)].unsqueeze(1)  # (N, 1, head_size / 2)
        x = self.embedding[flat]  # (N, width): all sequences' new tokens in a row
        for index, layer in enumerate(self.layers):
            y = self._attend(self._normed(x, layer.attention_norm), index, counts, caches, turns)
            x = x + _times(y, layer.output)
            gate, up = _times(self._normed(x, layer.feed_norm), layer.gate_up).chunk(2, 1)
            x = x + _times(torch.nn.functional.silu(gate) * up, layer.down)
        for cache, count in zip(caches, counts, strict=True):
            cache.length += count
        last = torch.tensor(counts).cumsum(0) - 1
        return _times(self._normed(x[last], self.norm), self.embedding)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return torch.nn.functional.rms_norm(x, weight.shape, weight, self.epsilon)

    def _attend(
        self,
        x: Tensor,
        index: int,
        counts: Sequence[int],
        caches: Sequence[Cache],
        turns: Tensor,
    ) -> Tensor:
        """(N, width) -> (N, heads * head_size)."""
        size, heads, kv_heads = self.head_size, self.heads, self.kv_heads
        both = _times(x, self.layers[index].query_key_value).view(len(x), -1, size)
        turned = _turn(both[:, : heads + kv_heads], turns)
        query, key = turned[:, :heads], turned[:, heads:]
        value = both[:, heads + kv_heads :]
        out = torch.empty(len(x), heads * size)
        start = 0
        for count, cache in zip(counts, caches, strict=True):
            rows = slice(start, start + count)
            end = cache.length + count
            keys, values = cache.tensor[index, :, :, :end]  # (kv_heads, end, size) each
            keys[:, cache.length :] = key[rows].transpose(0, 1)
            values[:, cache.length :] = value[rows].transpose(0, 1)
            # The heads that share a key stand beside the rows: (kv_heads, group * count, size).
            asked = query[rows].view(count, kv_heads, -1, size).permute(1, 2, 0, 3)
            scores = asked.reshape(kv_heads, -1, size) @ keys.transpose(1, 2) * size**-0.5
            if count > 1:
                later = torch.ones(count, end, dtype=torch.bool).triu(cache.length + 1)
                scores = scores.view(kv_heads, -1, count, end).masked_fill(later, -torch.inf)
            read = scores.view(kv_heads, -1, end).softmax(2) @ values
            read = read.view(kv_heads, -1, count, size).permute(2, 0, 1, 3)
            out[rows] = read.reshape(count, -1)
            start += count
        return out


def _layer(file: Gguf, prefix: str) -> _Layer:
    def read(*names: str) -> Tensor:
        parts = [file.tensor(f"{prefix}{name}.weight") for name in names]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    return _Layer(
        attention_norm=read("attn_norm"),
        query_key_value=read("attn_q", "attn_k", "attn_v"),
        output=read("attn_output"),
        feed_norm=read("ffn_norm"),
        gate_up=read("ffn_gate", "ffn_up"),
        down=read("ffn_down"),
    )


def _times(x: Tensor, weight: Tensor) -> Tensor:
    """(N, in), (out, in) -> (N, out)."""
    if 1 < len(x) < 4:  # four rows take less time than two: 60 ms, not 98 (one thread, AMD EPYC)
        return (torch.nn.functional.pad(x, (0, 0, 0, 4 - len(x))) @ weight.T)[: len(x)]
    return x @ weight.T


def _turn(x: Tensor, turns: Tensor) -> Tensor:
    """Rotary positions: neighbours (2i, 2i + 1) are a complex number, in the order of GGUF."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turns).flatten(-2)
