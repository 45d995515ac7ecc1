// The rows of every form for one instruction set. The including file names it in GRAPHOPT_ISA, the
// namespace of what it compiles, and has compiler flags of its own (build.py).

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "rows.h"

namespace graphopt::GRAPHOPT_ISA {

#include "lanes.h"

#include "activation_kernels.h"
#include "row_operands.h"

#include "layer_norm_rows.h"

template <ElementType kType, bool kCrms, bool kResidual, bool kBias, bool kGamma>
struct Row : RowOperands<kType, kResidual, kBias> {
  using Base = RowOperands<kType, kResidual, kBias>;
  using typename Base::L;
  using typename Base::Real;
  using typename Base::Reals;
  using typename Base::Stored;
  using Base::enter;
  using Base::gamma;
  using Base::head;
  using Base::keep;
  using Base::kCount;
  using Base::kStride;
  using Base::lanes;
  using Base::read;
  using Base::size;
  using Base::sum;
  using Base::y;

  struct Moments {
    Reals squares = {};
    Reals sum = {};
    GRAPHOPT_INLINE void add(Reals values) {
      squares += values * values;
      if constexpr (kCrms) sum += values;
    }
    GRAPHOPT_INLINE void add(const Moments& other) {
      squares += other.squares;
      if constexpr (kCrms) sum += other.sum;
    }
  };

  GRAPHOPT_INLINE Moments block(size_t begin, size_t end) const {
    Moments parts[kChains];
    size_t i = begin;
    for (; i + kStride <= end; i += kStride) {
      parts[0].add(enter(i));
      parts[1].add(enter(i + kCount));
      parts[2].add(enter(i + 2 * kCount));
      parts[3].add(enter(i + 3 * kCount));
    }
    for (; i + kCount <= end; i += kCount) parts[0].add(enter(i));
    parts[0].add(parts[1]);
    parts[2].add(parts[3]);
    parts[0].add(parts[2]);
    return parts[0];
  }

  // 1 / sqrt(sum(row^2) / divisor + epsilon), for CRMS of sum(row^2) + sum(row)^2. Keeps the row. The
  // ends of the row are read before the others, which overwrite a part of them where sum is the memory
  // of x or residual.
  GRAPHOPT_INLINE Real scale(double divisor, double epsilon) const {
    const size_t end = this->aligned_end();
    const Reals first = head > 0 ? read(0) : Reals{};
    const Reals last = end < size ? read(size - kCount) : Reals{};
    double squares = 0, sum = 0;
    size_t begin = head;
    for (; end - begin > kBlock; begin += kBlock) {
      const Moments part = block(begin, begin + kBlock);
      squares += add_lanes<Real, kCount>(part.squares);
      if constexpr (kCrms) sum += add_lanes<Real, kCount>(part.sum);
    }
    Moments part = block(begin, end);
    if (head > 0) part.add(lanes(keep(0, first), 0, head));
    if (end < size) part.add(lanes(keep(size - kCount, last), kCount - (size - end), kCount));
    squares += add_lanes<Real, kCount>(part.squares);
    if constexpr (kCrms) sum += add_lanes<Real, kCount>(part.sum);
    return 1 / __builtin_sqrt((squares + sum * sum) / divisor + epsilon);
  }

  GRAPHOPT_INLINE void write(size_t i, Reals values, Real scale) const {
    values *= scale;
    if constexpr (kGamma) values *= L::load(gamma + i);
    L::store(y + i, values);
  }

  // Reads the ends first too: y may be the memory of sum.
  GRAPHOPT_INLINE void apply(Real scale) const {
    const size_t end = this->aligned_end();
    const Reals first = L::load(sum), last = L::load(sum + size - kCount);
#pragma GCC unroll 4
    for (size_t i = head; i < end; i += kCount) write(i, L::load(sum + i), scale);
    if (head > 0) write(0, first, scale);
    if (end < size) write(size - kCount, last, scale);
  }
};

// Each loop in a function of its own, which has the registers for itself. The row goes by value: the
// compiler would take a row behind a pointer for memory that the stores may change.
template <typename R>
__attribute__((noinline)) typename R::Real scale_of(R row, double divisor, double epsilon) {
  return row.scale(divisor, epsilon);
}

template <typename R>
__attribute__((noinline)) void apply_to(R row, typename R::Real scale) {
  row.apply(scale);
}

// A row shorter than a vector, continued with zeros.
template <typename R>
void normalize_short(const R& row, double divisor, double epsilon) {
  typename R::Stored buffers[6][R::kCount] = {};
  const size_t bytes = row.size * sizeof(typename R::Stored);
  R padded = {};
  padded.x = buffers[0];
  padded.residual = buffers[1];
  padded.bias = buffers[2];
  padded.gamma = buffers[3];
  padded.sum = row.residual == nullptr ? buffers[0] : buffers[4];
  padded.y = buffers[5];
  padded.size = R::kCount;
  const auto read = [bytes](auto* to, const auto* from) {
    if (from != nullptr) __builtin_memcpy(to, from, bytes);
  };
  read(buffers[0], row.x);
  read(buffers[1], row.residual);
  read(buffers[2], row.bias);
  read(buffers[3], row.gamma);
  apply_to(padded, scale_of(padded, divisor, epsilon));
  if (row.residual != nullptr) __builtin_memcpy(row.sum, padded.sum, bytes);
  __builtin_memcpy(row.y, padded.y, bytes);
}

template <ElementType kType, bool kCrms, bool kResidual, bool kBias, bool kGamma>
void normalize_rows(const Rows& rows, size_t begin, size_t end) {
  using R = Row<kType, kCrms, kResidual, kBias, kGamma>;
  const double divisor = kCrms ? rows.size + 1.0 : rows.size;
  const auto at = [&rows](size_t row) { return row_at<R, kResidual>(rows, row); };
  if (rows.size < R::kCount) {
    for (size_t row = begin; row < end; ++row) normalize_short(at(row), divisor, rows.epsilon);
    return;
  }
  if (begin == end) return;
  // The next row is read before this one is written: that hides how long the scale takes.
  typename R::Real scale = scale_of(at(begin), divisor, rows.epsilon);
  for (size_t row = begin; row + 1 < end; ++row) {
    const typename R::Real next = scale_of(at(row + 1), divisor, rows.epsilon);
    apply_to(at(row), scale);
    scale = next;
  }
  apply_to(at(end - 1), scale);
}

// The forms that the operators have.
template <ElementType kType>
RowsFunction select_form(const Form& form) {
  if (!is_norm(form.function)) return select_activation<kType>(form);
  if (form.function == Function::kLayer) return select_layer_norm<kType>(form);
  if (form.function == Function::kCrms) {
    if (!form.residual) return normalize_rows<kType, true, false, false, false>;
    return form.bias ? normalize_rows<kType, true, true, true, false>
                     : normalize_rows<kType, true, true, false, false>;
  }
  if (form.residual) {
    return form.bias ? normalize_rows<kType, false, true, true, true>
                     : normalize_rows<kType, false, true, false, true>;
  }
  return form.gamma ? normalize_rows<kType, false, false, false, true>
                    : normalize_rows<kType, false, false, false, false>;
}

RowsFunction select(const Form& form) {
  switch (form.type) {
    case ElementType::kFloat:
      return select_form<ElementType::kFloat>(form);
    case ElementType::kFloat16:
      return select_form<ElementType::kFloat16>(form);
    case ElementType::kDouble:
      return select_form<ElementType::kDouble>(form);
    case ElementType::kBFloat16:
      return select_form<ElementType::kBFloat16>(form);
  }
  return nullptr;
}

}  // namespace graphopt::GRAPHOPT_ISA
