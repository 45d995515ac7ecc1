"""Makes the directory of one client, with the client's own exporter; runs in its environment.

Usage: make_directories.py KIND DIRECTORY. Weights are random; no vector of them is ones or zeros.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

TEXT = "the norm of a residual stream has no mean to remove here"
WORDS = ["<pad>", "<unk>", "<s>", "</s>", *TEXT.split()]
VOCABULARY, WIDTH, HEADS, BLOCKS = 64, 32, 4, 2


def tokenizer() -> transformers.PreTrainedTokenizerFast:
    """One that knows a few words."""
    made = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
    )


def perturbed(model: torch.nn.Module) -> torch.nn.Module:
    """The model in evaluation, every vector of its weights moved: fresh ones hide mistakes."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
            else:
                parameter.copy_(0.2 * torch.randn_like(parameter))
    return model.eval()


def bert() -> transformers.PretrainedConfig:
    return transformers.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=BLOCKS,
        num_attention_heads=HEADS,
        intermediate_size=2 * WIDTH,
        max_position_embeddings=64,
        num_labels=3,
    )


def vit() -> transformers.PretrainedConfig:
    return transformers.ViTConfig(
        hidden_size=WIDTH,
        num_hidden_layers=BLOCKS,
        num_attention_heads=HEADS,
        intermediate_size=2 * WIDTH,
        image_size=32,
        patch_size=8,
        num_labels=3,
    )


def gpt2() -> transformers.PretrainedConfig:
    return transformers.GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=WIDTH,
        n_layer=BLOCKS,
        n_head=HEADS,
        n_positions=64,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
    )


def m2m_100() -> transformers.PretrainedConfig:
    return transformers.M2M100Config(
        vocab_size=VOCABULARY,
        d_model=WIDTH,
        encoder_layers=BLOCKS,
        decoder_layers=BLOCKS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=2 * WIDTH,
        decoder_ffn_dim=2 * WIDTH,
        max_position_embeddings=64,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
        decoder_start_token_id=3,
    )


def phi() -> transformers.PretrainedConfig:
    return transformers.PhiConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        num_hidden_layers=BLOCKS,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=128,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
    )


KINDS = {
    "text-classification": (bert, transformers.BertForSequenceClassification),
    "feature-extraction": (bert, transformers.BertModel),
    "image-classification": (vit, transformers.ViTForImageClassification),
    "text-generation-with-past": (gpt2, transformers.GPT2LMHeadModel),
    "text2text-generation-with-past": (m2m_100, transformers.M2M100ForConditionalGeneration),
    "genai": (phi, transformers.PhiForCausalLM),
}


def save(kind: str, directory: Path) -> None:
    """Write a model and what belongs to it, as transformers does."""
    configuration, model = KINDS[kind]
    perturbed(model(configuration())).save_pretrained(directory)
    if kind == "image-classification":
        size = {"height": 32, "width": 32}
        transformers.ViTImageProcessor(size=size).save_pretrained(directory)
    else:
        tokenizer().save_pretrained(directory)


def export(kind: str, source: Path, directory: Path) -> None:
    """Write ONNX files with optimum's exporter."""
    from optimum.exporters.onnx import main_export

    main_export(str(source), str(directory), task=kind, do_validation=False, no_post_process=True)


def export_sentences(source: Path, directory: Path) -> None:
    """Write a model of sentence-transformers with its ONNX backend."""
    from sentence_transformers import SentenceTransformer, models

    transformer = models.Transformer(str(source), backend="onnx", model_args={"export": True})
    pooling = models.Pooling(transformer.get_word_embedding_dimension())
    SentenceTransformer(modules=[transformer, pooling], backend="onnx").save_pretrained(
        str(directory)
    )


def export_genai(source: Path, directory: Path) -> None:
    """Write a model with onnxruntime-genai's builder."""
    builder = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
    with tempfile.TemporaryDirectory() as cache:
        options = ["-i", source, "-o", directory, "-p", "fp32", "-e", "cpu", "-c", cache]
        subprocess.run([*builder, *options], check=True)


def main(kind: str, directory: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        source = Path(made) / "source"
        if kind == "sentence-transformers":
            save("feature-extraction", source)
            export_sentences(source, directory)
        elif kind == "transformers.js":
            save("feature-extraction", source)
            export("feature-extraction", source, directory)
            (directory / "onnx").mkdir()
            shutil.move(directory / "model.onnx", directory / "onnx" / "model.onnx")
        elif kind == "genai":
            save(kind, source)
            export_genai(source, directory)
        else:
            save(kind, source)
            export(kind, source, directory)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
