"""graphopt as a pass of Olive (olive-ai), Microsoft's tool for optimizing models.

``olive run --config CONFIG --package-config FILE`` finds the pass by the file that ``python -m
graphopt.olive_pass FILE`` writes; ``olive.workflows.run`` takes what :func:`package_config` gives.
"""

from __future__ import annotations

__all__ = ["GraphoptOptimize", "package_config"]

import json
import sys
from pathlib import Path
from typing import Any

from olive.hardware.accelerator import AcceleratorSpec
from olive.model import ONNXModelHandler
from olive.model.utils import resolve_onnx_path
from olive.package_config import OlivePackageConfig
from olive.passes import Pass
from olive.passes.pass_config import BasePassConfig, PassConfigParam

from graphopt.errors import UsageError
from graphopt.optimization import optimize
from graphopt.passes.choices import BASIS, FUSE, OPS, PROVIDER, TARGET, VARIANT, Choice

_PROVIDERS = {"CUDAExecutionProvider": "cuda"}
"""What graphopt calls the execution providers of Olive; it takes the others for the CPU."""


class GraphoptOptimize(Pass):
    """Removes the mean from LayerNorms, and verifies the result as ``graphopt optimize`` does.

    1. The parameters are the options of ``graphopt optimize``, with its defaults; the provider is
       that of Olive's accelerator.
    2. Nothing is written that differs from the input: the pass fails with graphopt's one line.
    3. It comes before the passes that quantize: a quantized weight cannot be recentred.
    """

    @classmethod
    def _default_config(cls, accelerator_spec: AcceleratorSpec) -> dict[str, PassConfigParam]:
        # None leaves a choice to the others, as on the command line.
        defaults: dict[Choice[Any], str | None] = {
            VARIANT: VARIANT.default,
            BASIS: None,
            OPS: None,
            TARGET: None,
        }
        parameters = {
            choice.name: PassConfigParam(
                type_=str,
                default_value=default,
                description=f"{choice.help} One of {', '.join(choice.values)}.",
            )
            for choice, default in defaults.items()
        }
        parameters["fuse"] = PassConfigParam(
            type_=bool, default_value=FUSE.default, description=FUSE.help
        )
        parameters["verify"] = PassConfigParam(
            type_=bool, default_value=True, description="Compare with the input in ONNX Runtime."
        )
        return parameters

    def _run_for_config(
        self, model: ONNXModelHandler, config: BasePassConfig, output_model_path: str
    ) -> ONNXModelHandler:
        if not isinstance(model, ONNXModelHandler):
            raise UsageError(
                f"graphopt takes ONNX models, not {type(model).__name__}: put a pass that exports, "
                "such as OnnxConversion, before it"
            )
        source = Path(model.model_path)
        output = Path(resolve_onnx_path(output_model_path, source.name))
        provider = _PROVIDERS.get(str(self.accelerator_spec.execution_provider), PROVIDER.default)
        names = ("variant", "basis", "ops", "target", "fuse", "verify")
        options = {name: getattr(config, name) for name in names}
        optimize(source, output=output, provider=provider, force=True, **options)
        return ONNXModelHandler(model_path=str(output.parent), onnx_file_name=output.name)


def package_config() -> dict[str, Any]:
    """Olive's own list of passes with this one in it: what it calls a package configuration."""
    path = Path(OlivePackageConfig.get_default_config_path())
    packages: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    packages["passes"][GraphoptOptimize.__name__] = {
        "module_path": f"graphopt.olive_pass.{GraphoptOptimize.__name__}",
        "supported_providers": ["*"],
        "supported_accelerators": ["*"],
        "supported_precisions": ["*"],
        "supported_algorithms": [],
        "supported_quantization_encodings": [],
    }
    return packages


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(package_config(), indent=2), encoding="utf-8")
