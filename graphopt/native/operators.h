// The operators of the domain "graphopt", version 1: names, operands, checks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ort_api.h"
#include "rows.h"

namespace graphopt {

enum Operand { kX, kResidual, kGamma, kBias };

struct Signature {
  const char* name;
  Activation activation;  // kNone in norms
  bool crms;
  size_t required_inputs;  // those behind them are optional
  size_t input_count;
  Operand inputs[4];
  size_t output_count;  // Y, and with a residual also the optional sum
};

// Only the last operand is optional: ONNX Runtime before 1.18 infers no types past an absent one.
//   RMSNorm(X, gamma?) -> Y
//   CRMSNorm(X) -> Y
//   SkipRMSNorm(X, residual, gamma, bias?) -> Y, sum?
//   SkipCRMSNorm(X, residual, bias?) -> Y, sum?
//   Gelu(X, bias?) -> Y, and likewise TanhGelu and QuickGelu
constexpr Signature kSignatures[] = {
    {"RMSNorm", Activation::kNone, false, 1, 2, {kX, kGamma}, 1},
    {"CRMSNorm", Activation::kNone, true, 1, 1, {kX}, 1},
    {"SkipRMSNorm", Activation::kNone, false, 3, 4, {kX, kResidual, kGamma, kBias}, 2},
    {"SkipCRMSNorm", Activation::kNone, true, 2, 3, {kX, kResidual, kBias}, 2},
    {"Gelu", Activation::kGelu, false, 1, 2, {kX, kBias}, 1},
    {"TanhGelu", Activation::kTanhGelu, false, 1, 2, {kX, kBias}, 1},
    {"QuickGelu", Activation::kQuickGelu, false, 1, 2, {kX, kBias}, 1},
};

// What is known of a node before it is called.
struct Node {
  Api api;
  const Signature* signature;
  ElementType type;
  double epsilon;
  int64_t lengths[4];  // of gamma and bias, by Operand, where they are constant; else 0
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
