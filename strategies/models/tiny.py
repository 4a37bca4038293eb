"""Random models of a few thousand weights in the usual formats, to try in seconds what takes minutes in earnest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SENTENCES = (
    "You are given a message. Answer with exactly one of these labels: billing, billing dispute, outage.",
    "The bridge of Arvel was built in 1874 and crosses the river Lume. When was the bridge built?",
    'Answer with one JSON object. {"city": "Arvel", "guests": 2, "breakfast": true}',
    "um so I would like uh a table for two please. I would like a table for two, please.",
    "system user assistant context question input answer",
)
"""What the tokenizer is trained on."""
SEED = 7


def make_language_model(folder: Path) -> Path:
    """Write a random Llama of two layers with a ChatML tokenizer to the folder, and return it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer()
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
        torch.manual_seed(SEED)
        LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_embedder(folder: Path) -> Path:
    """Write a random BERT of one layer, as sentence-transformers loads it, to the folder, and return it."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel

    tokenizer = _tokenizer()
    tokenizer.chat_template = None  # with one, texts would be embedded as turns of a chat
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=256,
        pad_token_id=tokenizer.pad_token_id,
    )
    bare = folder / "bare"
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        BertModel(config).save_pretrained(bare)
    tokenizer.save_pretrained(bare)
    words = Transformer(str(bare), max_seq_length=128)
    SentenceTransformer(modules=[words, Pooling(config.hidden_size)], device="cpu").save_pretrained(str(folder))
    return folder


def _tokenizer() -> Any:
    """Byte pairs, and the marks of ChatML."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

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
    return PreTrainedTokenizerFast(
        tokenizer_object=byte_level,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
        pad_token="<|im_end|>",
        chat_template=CHATML,
    )
