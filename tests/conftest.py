"""What tests of several rooms share: a tiny language model, an embedder without weights, and small tasks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eval.contracts import Document, Example, Kind, Task
from strategies.models.fake import HashingEmbedder

if TYPE_CHECKING:
    from strategies.models.transformers_lm import TransformersModel

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TOWNS = (
    *("Arvel", "Brone", "Cadra", "Delm", "Ester", "Fondy", "Gaul", "Hemd"),
    *("Ilsa", "Jorn", "Kelm", "Lund", "Morv", "Nerd", "Olst", "Pram"),
)
SENTENCES = (
    "You are given a message. Answer with exactly one of these labels: billing, billing dispute, outage.",
    "The bridge of Arvel was built in 1874 and crosses the river Lume. When was the bridge built?",
    'Answer with one JSON object. {"city": "Arvel", "guests": 2, "breakfast": true}',
    "um so I would like uh a table for two please. I would like a table for two, please.",
    "system user assistant context question input answer",
)


@dataclass(frozen=True)
class SmallTask:
    """A task with what a client would hand over."""

    task: Task
    examples: tuple[Example, ...]
    documents: tuple[Document, ...] = ()


def classification() -> SmallTask:
    """Three labels, two of which begin alike; 60 examples."""
    rows = []
    for i in range(20):
        rows += [
            (f"Why is invoice {i} about {i * 7} euros higher than last month?", "billing"),
            (f"I paid invoice {i} twice and want {i * 7} euros back!", "billing dispute"),
            (f"No power in Größe Street {i} since {i % 12} o'clock.", "outage"),
        ]
    task = Task("Sort the message of a customer.", Kind.CLASSIFICATION, "accuracy", "messages")
    return SmallTask(task, _examples(rows))


def answering() -> SmallTask:
    """48 questions over 16 short documents."""
    documents, rows = [], []
    for i, town in enumerate(TOWNS):
        text = (
            f"{town} is a town of {i + 2} thousand people. The bridge of {town} was built in {1800 + 7 * i}. "
            f"The mayor of {town} is {TOWNS[-1 - i]} Smith."
        )
        documents.append(Document(f"d{i}", text, town))
        rows += [
            (f"When was the bridge of {town} built?", f"{1800 + 7 * i}"),
            (f"Who is the mayor of {town}?", f"{TOWNS[-1 - i]} Smith"),
            (f"How many people live in {town}?", f"{i + 2} thousand"),
        ]
    return SmallTask(Task("Answer the question.", Kind.QA, "token_f1", "towns"), _examples(rows), tuple(documents))


def extraction() -> SmallTask:
    """48 bookings to JSON."""
    rows = []
    for i in range(48):
        city, guests, breakfast = ("Arvel", "Brone", "Cadra")[i % 3], i % 5 + 1, i % 2 == 0
        booking: dict[str, Any] = {"city": city, "guests": guests, "breakfast": breakfast}
        text = f"Booking {i}: {guests} guests in {city}, {'with' if breakfast else 'no'} breakfast"
        rows.append((text, json.dumps(booking)))
    task = Task("Write the booking as JSON.", Kind.EXTRACTION, "json_field_f1", "bookings")
    return SmallTask(task, _examples(rows))


def rewriting() -> SmallTask:
    """48 spoken sentences to clean ones, with documents that do not help."""
    rows = [
        (
            f"um so i want uh {i} tickets for the {i % 7} o clock show",
            f"I want {i} tickets for the {i % 7} o'clock show.",
        )
        for i in range(48)
    ]
    task = Task("Clean up the sentence.", Kind.GENERATION, "rougeL", "tickets")
    documents = (Document("show", "The show begins every hour. Tickets cost ten euros.", "Show"),)
    return SmallTask(task, _examples(rows), documents)


def _examples(rows: list[tuple[str, str]]) -> tuple[Example, ...]:
    return tuple(Example(f"{i:03}", text, (target,), i + 1) for i, (text, target) in enumerate(rows))


SMALL_TASKS: dict[Kind, Callable[[], SmallTask]] = {
    Kind.CLASSIFICATION: classification,
    Kind.QA: answering,
    Kind.EXTRACTION: extraction,
    Kind.GENERATION: rewriting,
}


@pytest.fixture(scope="session")
def small_tasks() -> dict[Kind, SmallTask]:
    """One small task of each kind."""
    return {kind: make() for kind, make in SMALL_TASKS.items()}


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers with a ChatML tokenizer, in Hugging Face format."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    byte_level = Tokenizer(models.BPE())
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_level.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    byte_level.train_from_iterator(SENTENCES, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_level,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
        pad_token="<|im_end|>",
        chat_template=CHATML,
    )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        network = LlamaForCausalLM(config).to(torch.bfloat16)
    folder = tmp_path_factory.mktemp("tiny-model")
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_embedder_folder(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of one layer that sentence-transformers loads, in its format."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=256,
        pad_token_id=tokenizer.pad_token_id,
    )
    bare, folder = tmp_path_factory.mktemp("tiny-bert"), tmp_path_factory.mktemp("tiny-embedder")
    with torch.random.fork_rng():
        torch.manual_seed(7)
        BertModel(config).save_pretrained(bare)
    tokenizer.save_pretrained(bare)
    words = Transformer(str(bare), max_seq_length=128)
    SentenceTransformer(modules=[words, Pooling(config.hidden_size)], device="cpu").save_pretrained(str(folder))
    return folder


def _load(folder: Path) -> TransformersModel:
    from strategies.models.transformers_lm import TransformersModel

    return TransformersModel.load(str(folder), folder, device="cpu")


@pytest.fixture(scope="session")
def tiny_model(tiny_model_folder: Path) -> TransformersModel:
    """The tiny model as it runs in earnest: bfloat16 on CPU."""
    return _load(tiny_model_folder)


@pytest.fixture(scope="session")
def exact_model(tiny_model_folder: Path) -> TransformersModel:
    """The tiny model in float32, for comparisons with straightforward computations."""
    model = _load(tiny_model_folder)
    model.network.float()
    return model


@pytest.fixture(scope="session")
def embedder() -> HashingEmbedder:
    """Bags of words: no weights needed."""
    return HashingEmbedder()
