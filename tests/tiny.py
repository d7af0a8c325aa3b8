"""A tiny model with a real tokenizer, both made here from seeds; nothing is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lockstitch import Engine

TEXTS = [
    '{"name": "Bob", "age": 34, "tags": ["new", null, true], "city": "Zürich"}',
    "The quick brown fox jumps over the lazy dog. 0123456789 -1.5e10",
    "naïve café 北京 🐲🙂 — “quoted” text, and some more words to merge.",
]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
)


def tiny_tokenizer() -> Any:
    """A byte-level BPE tokenizer of some 400 tokens with two end tokens and one other special."""
    inner = Tokenizer(BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = [AddedToken(name, special=True) for name in ("<|im_end|>", "<|end|>", "<|im_start|>")]
    trainer = BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(TEXTS * 3, trainer)
    make: Any = PreTrainedTokenizerFast
    return make(tokenizer_object=inner, eos_token="<|im_end|>", chat_template=TEMPLATE)


def tiny_engine(seed: int = 0, context: int = 512, **options: Any) -> Engine:
    """An engine over a random model that has no favourite end: a fair adversary."""
    tokenizer = tiny_tokenizer()
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer) + 7,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=context,
        bos_token_id=None,
        pad_token_id=None,
        eos_token_id=[0, 1],
        initializer_range=0.4,
    )
    model: Any = LlamaForCausalLM(config)
    return Engine.from_pretrained(model.eval(), tokenizer, **options)


def tiny_adapters(root: Path) -> dict[str, Path]:
    """Save two adapters of the tiny model, far from doing nothing; needs peft."""
    import peft

    found = {}
    for seed, name in enumerate(("first", "second")):
        plain = tiny_engine().model
        torch.manual_seed(seed)
        config = peft.LoraConfig(
            r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
        )
        model: Any = peft.get_peft_model(plain, config)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data *= 8
        model.save_pretrained(root / name)
        found[name] = root / name
    return found
