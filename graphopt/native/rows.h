// The arithmetic of the operators on rows of one tensor, apart from how a runtime calls it.
#pragma once

#include <cstddef>

#include "ort_api.h"

namespace graphopt {

// What is computed. Of a row, which is x, or x + bias + residual where there is a residual:
//   RMS    y = row / sqrt(sum(row^2) / d + epsilon) * gamma,              d = size
//   CRMS   y = row / sqrt((sum(row^2) + sum(row)^2) / d + epsilon),       d = size + 1
//   layer  y = (row - mean) / sqrt(sum((row - mean)^2) / d + epsilon) * gamma + beta,
//          mean = sum(row) / d,                                           d = size
// Of each element v = x, or x + bias, where Phi is the normal distribution function:
//   Gelu       y = v Phi(v)
//   TanhGelu   y = v (1 + tanh(sqrt(2 / pi) (v + 0.044715 v^3))) / 2
//   QuickGelu  y = v / (1 + exp(-1.702 v))
enum class Function { kRms, kCrms, kLayer, kGelu, kTanhGelu, kQuickGelu };

constexpr bool is_norm(Function function) { return function <= Function::kLayer; }

// Function and operands. A layer norm has gamma and beta.
struct Form {
  ElementType type;
  Function function;
  bool residual;
  bool bias;
  bool gamma;
};

// The operands, contiguous. What Form does not name is null; sum may be null: then it is not kept.
struct Rows {
  const void* x;
  const void* residual;
  const void* bias;
  const void* gamma;
  void* y;
  void* sum;
  size_t size;
  double epsilon;
  const void* beta = nullptr;
};

// Computes the rows from begin up to end.
using RowsFunction = void (*)(const Rows& rows, size_t begin, size_t end);
using Select = RowsFunction (*)(const Form& form);

namespace baseline {
RowsFunction select(const Form& form);
}
namespace avx2 {
RowsFunction select(const Form& form);
}
namespace avx512 {
RowsFunction select(const Form& form);
}

// The functions for this processor, or the weaker ones that the environment variable
// GRAPHOPT_INSTRUCTION_SET names; null where it names what this processor has not.
struct InstructionSet {
  const char* name;
  Select select;
};
const InstructionSet* choose_instruction_set();

}  // namespace graphopt
