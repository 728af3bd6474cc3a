"""Train the sentiment model, or test the shipped one.

    python -m mothlight.demo.train_sentiment              # minutes on one core; writes demo/data/
    python -m mothlight.demo.train_sentiment --evaluate   # held-out accuracy of the shipped weights

The model is chosen by its accuracy on the validation split, epoch by epoch; `--evaluate` alone
reads the test split.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import save
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn

from .reviews import DOMAINS, Rated, lexicon, rated
from .sentiment import SentimentModel, TextCNN, encode, load, padded

DATA = Path(__file__).parent / "data"
VOCABULARY = 16_000
EPOCHS = 8
DROPOUT = 0.4
WORDS_DROPPED = 0.05  # so that no single word decides alone
SIGN = 0.5  # weight of the sign's cross-entropy beside the rating's own error
BATCH = 64
NEGATIONS = ("not", "isn't", "wasn't", "never", "don't", "no", "not very", "not at all", "hardly")
NEGATED = -0.74  # a negated word's valence per its own: measured by Hutto & Gilbert (2014)


def main() -> None:
    """Train, or with `--evaluate` test."""
    parser = argparse.ArgumentParser(description="Train the sentiment model, or test it.")
    parser.add_argument("--evaluate", action="store_true", help="test the shipped weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=DATA)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.evaluate:
        evaluate(load(), [item for item in rated() if item.split == "test" and item.judged])
    else:
        train(options.out, options.seed)


def evaluate(model: SentimentModel, items: Sequence[Rated]) -> float:
    """Print and return the accuracy, by domain and over all."""
    scores = model.score([item.text for item in items])
    right = [(score > 0.5) == (item.rating > 0) for item, score in zip(items, scores, strict=True)]
    for domain in DOMAINS:
        own = [ok for ok, item in zip(right, items, strict=True) if item.domain == domain]
        print(f"{domain:8} {sum(own) / len(own):.3f}  of {len(own)}")
    accuracy = sum(right) / len(right)
    print(f"{'all':8} {accuracy:.3f}  of {len(right)}")
    return accuracy


def train(out: Path, seed: int) -> None:
    """Train on the training split, choose by the validation split, write the files into `out`."""
    torch.manual_seed(seed)
    dice = random.Random(seed)
    items = rated()
    learn = [item for item in items if item.split == "train"]
    check = [item for item in items if item.split == "validation" and item.judged]
    words = lexicon()
    vocabulary = out / "sentiment-tokenizer.json"
    if vocabulary.exists():  # tokenizers breaks ties by chance: another vocabulary each time
        print(f"keeping the vocabulary in {vocabulary}: remove it for a new one")
        tokenizer = Tokenizer.from_file(str(vocabulary))
    else:
        tokenizer = build_tokenizer([item.text for item in learn], words)
    texts = encode(tokenizer, [item.text for item in learn])
    ratings = [item.rating for item in learn]
    network = TextCNN(tokenizer.get_vocab_size(), dropout=DROPOUT)
    nn.init.normal_(network.embedding.weight, std=0.1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02)
    average = copy.deepcopy(network).eval()  # of the weights over steps: steadier than the last
    best, kept = 0.0, average.state_dict()
    start = time.monotonic()
    for epoch in range(EPOCHS):
        extra, valences = word_samples(words, dice)
        samples = texts + encode(tokenizer, extra)
        targets = ratings + valences
        network.train()
        total = 0.0
        for ids, target in batches(samples, targets, dice):
            valence = network(drop_words(ids))
            loss = nn.functional.smooth_l1_loss(valence, target)
            loss = loss + SIGN * sign_loss(valence, target)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item()
            with torch.no_grad():
                for mean, now in zip(average.parameters(), network.parameters(), strict=True):
                    mean.lerp_(now, 0.005)
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 - (epoch + 1) / EPOCHS)
        accuracy = _accuracy(average, tokenizer, check)
        print(
            f"epoch {epoch + 1}/{EPOCHS}  loss {total * BATCH / len(samples):.4f}  "
            f"validation {accuracy:.4f}  {time.monotonic() - start:.0f} s",
            flush=True,
        )
        if accuracy >= best:
            best, kept = accuracy, copy.deepcopy(average.state_dict())
    network.load_state_dict(kept)
    write(network, tokenizer, calibrate(network, tokenizer, check), out)


def build_tokenizer(texts: Sequence[str], words: dict[str, float]) -> Tokenizer:
    """A lower-case WordPiece vocabulary of the training texts and the lexicon."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Split(Regex(r"\p{So}"), "isolated")]
    )
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["[PAD]", "[UNK]", "[CLS]"],
        limit_alphabet=1_000,
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, *words], trainer)
    return tokenizer


def word_samples(words: dict[str, float], dice: random.Random) -> tuple[list[str], list[float]]:
    """Each word of the lexicon as a text, some of them negated."""
    texts, ratings = [], []
    for word, rating in words.items():
        if dice.random() < 0.25 and word.isalpha():
            texts.append(f"{dice.choice(NEGATIONS)} {word}")
            ratings.append(NEGATED * rating)
        else:
            texts.append(word)
            ratings.append(rating)
    return texts, ratings


def batches(
    samples: Sequence[list[int]], targets: Sequence[float], dice: random.Random
) -> Iterator[tuple[Tensor, Tensor]]:
    """Every sample once, in random order, of like lengths together."""
    order = list(range(len(samples)))
    dice.shuffle(order)
    pool = 32 * BATCH
    groups = []
    for start in range(0, len(order), pool):
        rows = sorted(order[start : start + pool], key=lambda i: len(samples[i]))
        groups += [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]
    dice.shuffle(groups)
    for rows in groups:
        yield padded([samples[i] for i in rows]), torch.tensor([targets[i] for i in rows])


def sign_loss(valence: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of the sign, weighted by how clear it is."""
    return nn.functional.binary_cross_entropy_with_logits(
        2 * valence, target.gt(0).float(), weight=target.abs().clamp(max=1)
    )


def drop_words(ids: Tensor) -> Tensor:
    """Replace some word pieces by `[UNK]` (1)."""
    dropped = (torch.rand(ids.shape) < WORDS_DROPPED) & ids.gt(2)
    return ids.masked_fill(dropped, 1)


def calibrate(
    network: TextCNN, tokenizer: Tokenizer, items: Sequence[Rated]
) -> tuple[float, float]:
    """Slope and offset (Platt scaling) that make the valence a probability of `rating > 0`."""
    valence = _valences(network, tokenizer, items).double()
    positive = torch.tensor([float(item.rating > 0) for item in items], dtype=torch.float64)
    line = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([line], max_iter=100)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = nn.functional.binary_cross_entropy_with_logits(
            line[0] * valence + line[1], positive
        )
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    slope, offset = line.detach().tolist()
    return slope, offset


def write(
    network: TextCNN, tokenizer: Tokenizer, calibration: tuple[float, float], out: Path
) -> None:
    """`sentiment.safetensors` (float16; the calibration in float32) and the vocabulary."""
    tensors = {name: tensor.half() for name, tensor in network.state_dict().items()}
    tensors["calibration"] = torch.tensor(calibration)
    out.mkdir(parents=True, exist_ok=True)
    (out / "sentiment.safetensors").write_bytes(save(tensors))
    tokenizer.save(str(out / "sentiment-tokenizer.json"))
    for name in ("sentiment.safetensors", "sentiment-tokenizer.json"):
        content = (out / name).read_bytes()
        print(f"{hashlib.sha256(content).hexdigest()}  {name}  {len(content):,} bytes")


def _valences(network: TextCNN, tokenizer: Tokenizer, items: Sequence[Rated]) -> Tensor:
    network.eval()
    ids = encode(tokenizer, [item.text for item in items])
    with torch.inference_mode():
        return torch.cat([network(padded(ids[at : at + 64])) for at in range(0, len(ids), 64)])


def _accuracy(network: TextCNN, tokenizer: Tokenizer, items: Sequence[Rated]) -> float:
    valence = _valences(network, tokenizer, items)
    positive = torch.tensor([item.rating > 0 for item in items])
    return (valence.gt(0) == positive).float().mean().item()


if __name__ == "__main__":
    main()
