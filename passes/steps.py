"""The steps of the pipeline, in order."""

from __future__ import annotations

from graphopt.passes.canonicalize_norms import CanonicalizeNorms
from graphopt.passes.clean_up import CleanUp
from graphopt.passes.compose_transposes import ComposeTransposes
from graphopt.passes.compress import Compress
from graphopt.passes.convert_norms import ConvertNorms
from graphopt.passes.drop_idle_masks import DropIdleMasks
from graphopt.passes.drop_nan_guards import DropNanGuards
from graphopt.passes.fold_affine import FoldAffine
from graphopt.passes.fold_layer_scale import FoldLayerScale
from graphopt.passes.fold_scales import FoldScales
from graphopt.passes.fold_transposes import FoldTransposes
from graphopt.passes.fuse_attention import FuseAttention
from graphopt.passes.fuse_biases import FuseBiases
from graphopt.passes.fuse_custom_norms import FuseCustomNorms
from graphopt.passes.fuse_gelus import FuseGelus
from graphopt.passes.fuse_kept_norms import FuseKeptNorms
from graphopt.passes.fuse_key_transposes import FuseKeyTransposes
from graphopt.passes.fuse_skip_norms import FuseSkipNorms
from graphopt.passes.infer_shapes import ForgetShapes, InferShapes
from graphopt.passes.inline_functions import InlineFunctions
from graphopt.passes.join_heads import JoinHeads
from graphopt.passes.list_constants import ListConstants, UnlistConstants
from graphopt.passes.lower_custom_norms import LowerCustomNorms
from graphopt.passes.lower_norms import LowerNorms
from graphopt.passes.make_plan import MakePlan
from graphopt.passes.merge_equal_nodes import MergeEqualNodes
from graphopt.passes.merge_twins import MergeTwins
from graphopt.passes.move_nan_guards import MoveNanGuards
from graphopt.passes.recentre import Recentre
from graphopt.passes.restore_norms import RestoreNorms
from graphopt.passes.settle_sizes import SettleSizes
from graphopt.passes.settle_types import SettleTypes
from graphopt.passes.step import Step
from graphopt.passes.targets import CPU, PROVIDERS
from graphopt.passes.unfuse_custom_norms import UnfuseCustomNorms
from graphopt.passes.unfuse_skip_norms import UnfuseSkipNorms

__all__ = ["FUSING", "STEPS"]


_WITH_ALL_KERNELS = tuple(row.name for row in PROVIDERS.values() if row.has_all_kernels)

STEPS = (
    # Read: every way to write a thing becomes one.
    Step("unlist-constants", "below IR version 4, read listed constants", UnlistConstants),
    Step("unfuse-custom-norms", "read graphopt's own operators back", UnfuseCustomNorms),
    Step("inline-functions", "inline model-local functions", InlineFunctions),
    Step("infer-shapes", "infer symbolic shapes", InferShapes),
    Step("settle-types", "name the types in graphopt's own operators", SettleTypes),
    Step(
        "unfuse-skip-norms",
        "split SkipLayerNormalization into Add and LayerNormalization",
        UnfuseSkipNorms,
        given=("provider",),
    ),
    Step(
        "canonicalize-norms",
        "rewrite every spelling of LayerNorm to LayerNormalization",
        CanonicalizeNorms,
    ),
    Step(
        "fold-transposes",
        "store transposed weights instead of transposing them",
        FoldTransposes,
        optional=True,
    ),
    Step(
        "fold-layer-scale",
        "fold LayerScale factors into the linear maps before them",
        FoldLayerScale,
        optional=True,
    ),
    # Clean up what exporters write around attention.
    Step(
        "drop-idle-masks",
        "remove masks that mask nothing",
        DropIdleMasks,
        optional=True,
        fuses=True,
    ),
    Step(
        "drop-nan-guards",
        "remove guards behind Softmax that can never act",
        DropNanGuards,
        optional=True,
        fuses=True,
    ),
    Step(
        "settle-sizes",
        "make the sizes of Reshape constant, and drop what changes no shape",
        SettleSizes,
        optional=True,
        fuses=True,
    ),
    Step(
        "compose-transposes",
        "transpose the keys of attention once",
        ComposeTransposes,
        optional=True,
        fuses=True,
    ),
    Step(
        "fold-scales",
        "fold the scale of attention scores into the projection of the queries",
        FoldScales,
        optional=True,
        fuses=True,
    ),
    # Decide, and do what was decided.
    Step(
        "plan",
        "decide what to centre, convert and compress: a minimum cut",
        MakePlan,
        given=("variant", "basis", "provider", "max_growth", "skip"),
    ),
    Step("recentre", "centre what writes the residual stream", Recentre, given=("plan",)),
    Step(
        "fold-affine",
        "fold beta (and gamma of twin norms) into the linear maps that read it",
        FoldAffine,
        given=("plan",),
        optional=True,
    ),
    Step(
        "compress",
        "compress what is centred to d - 1 features",
        Compress,
        given=("plan",),
        variants=("crms",),
    ),
    Step(
        "convert-norms",
        "turn norms of centred values into RMSNorms",
        ConvertNorms,
        given=("plan",),
    ),
    Step("merge-twins", "merge norms that compute the same thing", MergeTwins, optional=True),
    # Before anything is lowered: ONNX Runtime fuses no norm that shares a part of its spelling.
    Step(
        "merge-equal-nodes",
        "compute once what every layer computes anew",
        MergeEqualNodes,
        optional=True,
        fuses=True,
    ),
    Step(
        "move-nan-guards",
        "move guards behind Softmax that may act to where there is less to guard",
        MoveNanGuards,
        optional=True,
        fuses=True,
    ),
    # Lower: write it in the operators of the target.
    Step(
        "fuse-kept-norms",
        "fuse a residual Add and the LayerNorm behind it that stays",
        FuseKeptNorms,
        optional=True,
        ops=("custom",),
        providers=_WITH_ALL_KERNELS,
        fuses=True,
    ),
    Step("restore-norms", "give the norms that stay their spelling back", RestoreNorms),
    Step(
        "fuse-skip-norms",
        "fuse a residual Add and the norm behind it",
        FuseSkipNorms,
        optional=True,
        ops=("ort",),
        providers=tuple(row.name for row in PROVIDERS.values() if row.fuses_skip_norms),
    ),
    Step(
        "lower-custom-norms",
        "write RMSNorms in operators of the domain graphopt",
        LowerCustomNorms,
        ops=("custom",),
    ),
    Step(
        "fuse-custom-norms",
        "fuse a residual Add and the graphopt.RMSNorm behind it",
        FuseCustomNorms,
        optional=True,
        ops=("custom",),
    ),
    Step(
        "fuse-gelus",
        "fuse a bias and the GELU behind it",
        FuseGelus,
        optional=True,
        ops=("custom",),
        providers=_WITH_ALL_KERNELS,
        fuses=True,
    ),
    Step("lower-norms", "write RMSNorms in the target's operators", LowerNorms, given=("ops",)),
    # With what was measured on the CPU.
    Step(
        "fuse-biases",
        "let the multiplication add the bias where a Reshape follows",
        FuseBiases,
        optional=True,
        providers=("cpu",),
        fuses=True,
    ),
    Step(
        "fuse-attention",
        "write attention as MultiHeadAttention",
        FuseAttention,
        given=("provider",),
        optional=True,
        ops=("custom", "ort"),
        fuses=True,
    ),
    Step(
        "join-heads",
        "let Attention take the heads as they lie",
        JoinHeads,
        optional=True,
        providers=(CPU.name,),
        fuses=True,
    ),
    Step(
        "fuse-key-transposes",
        "let the multiplication take the keys as they lie",
        FuseKeyTransposes,
        optional=True,
        ops=("custom", "ort"),
        fuses=True,
    ),
    Step("clean-up", "remove what nothing reads", CleanUp),
    Step("forget-shapes", "give every value the shape that the file declared", ForgetShapes),
    Step(
        "list-constants",
        "below IR version 4, list the constants among the inputs again",
        ListConstants,
    ),
)

FUSING = frozenset(step.name for step in STEPS if step.fuses)
"""The names of the steps about what stands beside the norms."""
