// The arithmetic of the operators on rows of one tensor, apart from how a runtime calls it.
#pragma once

#include <cstddef>

#include "ort_api.h"

namespace graphopt {

// What is computed. A row is x, or x + bias + residual where there is a residual.
//   RMS    y = row / sqrt(sum(row^2) / d + epsilon) * gamma,              d = size
//   CRMS   y = row / sqrt((sum(row^2) + sum(row)^2) / d + epsilon),       d = size + 1
//   layer  y = (row - mean) / sqrt(sum((row - mean)^2) / d + epsilon) * gamma + beta,
//          mean = sum(row) / d,                                           d = size
struct Form {
  ElementType type;
  bool crms;
  bool residual;
  bool bias;
  bool gamma;
  bool layer = false;  // with gamma and beta
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
