"""The Pre-LN ViT and GPT of "Pre-RMSNorm and Pre-CRMSNorm Transformers" in plain PyTorch.

Standard Pre-LN blocks, x + f(LN(x)), with learned position embeddings, a final LayerNorm and a head
of its own (arXiv 2305.14858, section 3). Sizes are those of the paper's study.
"""

from __future__ import annotations

__all__ = ["PaperConfig", "PaperGPT", "PaperViT"]

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class PaperConfig:
    """Sizes of both models.

    Attributes:
        width: the feature dimension d of the stream.
        depth: number of blocks L.
        heads: attention heads.
        outputs: classes, or entries of the vocabulary.
        head_size: features of a head, 0 for width / heads.
        hidden: features inside the MLP, 0 for 4 * width.
        positions: the longest sequence of the GPT.
        image_size, patch_size, num_channels: the images of the ViT.
    """

    width: int
    depth: int
    heads: int
    outputs: int
    head_size: int = 0
    hidden: int = 0
    positions: int = 2048
    image_size: int = 224
    patch_size: int = 16
    num_channels: int = 3


class _Block(nn.Module):
    """Attention, then MLP, each on the normalized stream [batch, sequence, width]."""

    def __init__(self, config: PaperConfig, causal: bool) -> None:
        super().__init__()
        width = config.width
        mixed = config.heads * (config.head_size or width // config.heads)
        hidden = config.hidden or 4 * width
        self.heads, self.causal = config.heads, causal
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * mixed)
        self.projection = nn.Linear(mixed, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, stream: Tensor) -> Tensor:
        stream = stream + self._attend(self.attention_norm(stream))
        updated: Tensor = stream + self.mlp(self.mlp_norm(stream))
        return updated

    def _attend(self, normalized: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.query_key_value(normalized).chunk(3, dim=-1)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        attended: Tensor = self.projection(mixed.transpose(1, 2).flatten(2))
        return attended


class PaperViT(nn.Module):
    """Image classifier: patches, a class token, Pre-LN blocks, a head on the class token."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.config = config
        width, patch = config.width, config.patch_size
        patches = (config.image_size // patch) ** 2
        self.patches = nn.Conv2d(config.num_channels, width, kernel_size=patch, stride=patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, 1 + patches, width))
        self.blocks = nn.ModuleList(_Block(config, causal=False) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, config.outputs)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Map [batch, channels, side, side] to logits [batch, classes]."""
        tokens = self.patches(pixel_values).flatten(2).transpose(1, 2)
        class_token = self.class_token.expand(tokens.shape[0], -1, -1)
        stream = torch.cat([class_token, tokens], dim=1) + self.positions
        for block in self.blocks:
            stream = block(stream)
        logits: Tensor = self.head(self.norm(stream)[:, 0])
        return logits


class PaperGPT(nn.Module):
    """Language model: token and position tables, causal Pre-LN blocks, an untied head."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.outputs, config.width)
        self.positions = nn.Embedding(config.positions, config.width)
        self.blocks = nn.ModuleList(_Block(config, causal=True) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.outputs)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Map ids [batch, sequence] to logits [batch, sequence, vocabulary]."""
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        stream = self.tokens(input_ids) + self.positions(places)
        for block in self.blocks:
            stream = block(stream)
        logits: Tensor = self.head(self.norm(stream))
        return logits
