// The operands of one row, and the sum that is normalized. Included inside the namespace of an
// instruction set, behind lanes.h.

// So many elements are added up in the lanes of the type, and such blocks in double: the error does
// not grow with the length of the row.
constexpr size_t kBlock = 4096;

// Independent chains of additions, to hide the latency of one.
constexpr size_t kChains = 4;

template <ElementType kType, bool kResidual, bool kBias>
struct RowOperands {
  using L = Lanes<kType>;
  using Stored = typename L::Stored;
  using Real = typename L::Real;
  using Reals = typename L::Reals;
  using Integers = decltype(Reals{} == Reals{});
  static constexpr size_t kCount = L::kCount;
  static constexpr size_t kStride = kChains * kCount;
  static_assert(kBlock % kStride == 0);

  // sum holds what is normalized: x itself where there is no residual, y where it is not kept.
  const Stored* x;
  const Stored* residual;
  const Stored* bias;
  const Stored* gamma;
  const Stored* beta;
  Stored* sum;
  Stored* y;
  size_t size;
  // Elements before the first vector that is aligned. Rows of any size start anywhere; vectors across
  // cache lines are slow. So the vectors of the row are aligned, apart from one at each end that
  // overlaps its neighbour.
  size_t head;

  GRAPHOPT_INLINE size_t aligned_end() const { return size - (size - head) % kCount; }

  GRAPHOPT_INLINE Reals read(size_t i) const {
    Reals values = L::load(x + i);
    if constexpr (kBias) values += L::load(bias + i);
    if constexpr (kResidual) values += L::load(residual + i);
    return values;
  }

  // Returns the values as they are kept, rounded, so that y is the norm of sum exactly.
  GRAPHOPT_INLINE Reals keep(size_t i, Reals values) const {
    if constexpr (kResidual) return L::store(sum + i, values);
    return values;
  }

  GRAPHOPT_INLINE Reals enter(size_t i) const { return keep(i, read(i)); }

  // The lanes from begin up to end, zero in the others. Their bits are blanked: an infinite value times
  // zero would be NaN.
  static GRAPHOPT_INLINE Reals lanes(Reals values, size_t begin, size_t end) {
    Integers lane;
    for (size_t i = 0; i < kCount; ++i) lane[i] = i;
    using Integer = decltype(+lane[0]);
    const Integers inside =
        (lane >= static_cast<Integer>(begin)) & (lane < static_cast<Integer>(end));
    return bit_cast<Reals>(bit_cast<Integers>(values) & inside);
  }
};

// The row of a tensor.
template <typename R, bool kResidual>
GRAPHOPT_INLINE R row_at(const Rows& rows, size_t row) {
  using Stored = typename R::Stored;
  const size_t start = row * rows.size;
  R r;
  r.x = static_cast<const Stored*>(rows.x) + start;
  r.residual = kResidual ? static_cast<const Stored*>(rows.residual) + start : nullptr;
  r.bias = static_cast<const Stored*>(rows.bias);
  r.gamma = static_cast<const Stored*>(rows.gamma);
  r.beta = static_cast<const Stored*>(rows.beta);
  r.y = static_cast<Stored*>(rows.y) + start;
  r.sum = !kResidual            ? const_cast<Stored*>(r.x)
          : rows.sum != nullptr ? static_cast<Stored*>(rows.sum) + start
                                : r.y;
  r.size = rows.size;
  r.head = (R::kCount - reinterpret_cast<size_t>(r.x) / sizeof(Stored) % R::kCount) % R::kCount;
  return r;
}
