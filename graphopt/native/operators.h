// The operators of the domain "graphopt", version 1: names, operands, checks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ort_api.h"
#include "rows.h"

namespace graphopt {

enum Operand { kX, kResidual, kGamma, kBias, kBeta };
constexpr size_t kOperandCount = 5;

struct Signature {
  const char* name;
  Function function;
  size_t required_inputs;  // those behind them are optional
  size_t input_count;
  Operand inputs[kOperandCount];
  size_t output_count;  // Y, and with a residual also the optional sum
};

// Only the last operand is optional: ONNX Runtime before 1.18 infers no types past an absent one.
//   RMSNorm(X, gamma?) -> Y
//   CRMSNorm(X) -> Y
//   SkipRMSNorm(X, residual, gamma, bias?) -> Y, sum?
//   SkipCRMSNorm(X, residual, bias?) -> Y, sum?
//   LayerNorm(X, gamma, beta) -> Y
//   SkipLayerNorm(X, residual, gamma, beta, bias?) -> Y, sum?
//   Gelu(X, bias?) -> Y, and likewise TanhGelu and QuickGelu
constexpr Signature kSignatures[] = {
    {"RMSNorm", Function::kRms, 1, 2, {kX, kGamma}, 1},
    {"CRMSNorm", Function::kCrms, 1, 1, {kX}, 1},
    {"SkipRMSNorm", Function::kRms, 3, 4, {kX, kResidual, kGamma, kBias}, 2},
    {"SkipCRMSNorm", Function::kCrms, 2, 3, {kX, kResidual, kBias}, 2},
    {"LayerNorm", Function::kLayer, 3, 3, {kX, kGamma, kBeta}, 1},
    {"SkipLayerNorm", Function::kLayer, 4, 5, {kX, kResidual, kGamma, kBeta, kBias}, 2},
    {"Gelu", Function::kGelu, 1, 2, {kX, kBias}, 1},
    {"TanhGelu", Function::kTanhGelu, 1, 2, {kX, kBias}, 1},
    {"QuickGelu", Function::kQuickGelu, 1, 2, {kX, kBias}, 1},
};

// What is known of a node before it is called.
struct Node {
  Api api;
  const Signature* signature;
  ElementType type;
  double epsilon;
  int64_t lengths[kOperandCount];  // of gamma, bias and beta where they are constant; else 0
};

// What one call computes: read from the context and checked, with the outputs allocated.
struct Call {
  Form form;
  Rows rows;
  size_t row_count;
};

OrtStatus* read_node(const Api& api, const Signature& signature, ElementType type,
                     const OrtKernelInfo* info, Node* node);
OrtStatus* read_call(const Node& node, OrtKernelContext* context, Call* call);

// A status with a message in the manner of printf: an invalid argument unless a code says otherwise.
__attribute__((format(printf, 2, 3))) OrtStatus* refuse(const Api& api, const char* format, ...);
__attribute__((format(printf, 3, 4))) OrtStatus* refuse(const Api& api, ErrorCode code,
                                                        const char* format, ...);

}  // namespace graphopt
