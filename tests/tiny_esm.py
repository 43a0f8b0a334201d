"""A tiny ESM-2 of our own making, as the hub has it."""

from __future__ import annotations

from pathlib import Path


def save_esm(folder: Path, *, width: int = 64, layers: int = 2, heads: int = 4, inner: int = 128) -> Path:
    """Random weights, always the same, in ESM-2's shape and without dropout, as ESM-2 has none; needs transformers."""
    import torch
    from transformers import EsmConfig, EsmForMaskedLM

    torch.manual_seed(0)
    config = EsmConfig(
        vocab_size=33, pad_token_id=1, mask_token_id=32, hidden_size=width, num_hidden_layers=layers,
        num_attention_heads=heads, intermediate_size=inner, position_embedding_type="rotary", token_dropout=True,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    EsmForMaskedLM(config).save_pretrained(folder)
    return folder
