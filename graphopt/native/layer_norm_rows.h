// LayerNorm of rows. Included inside the namespace of an instruction set, behind row_operands.h.
//
// A row is read three times, out of the cache but for the first: its mean; the spread around it; the
// result. A mean of squares minus the square of a mean would cancel where the mean is far from zero.

template <ElementType kType, bool kResidual, bool kBias>
struct LayerRow : RowOperands<kType, kResidual, kBias> {
  using Base = RowOperands<kType, kResidual, kBias>;
  using typename Base::L;
  using typename Base::Real;
  using typename Base::Reals;
  using typename Base::Stored;
  using Base::enter;
  using Base::head;
  using Base::keep;
  using Base::kCount;
  using Base::kStride;
  using Base::lanes;
  using Base::read;
  using Base::size;
  using Base::sum;

  // What y is computed with: ((row - mean) * scale + shift) * gamma + beta. The shift makes up for what
  // the mean was rounded by.
  struct Spread {
    Real mean;
    Real scale;
    Real shift;
  };

  // The mean, rounded. Keeps the row. The ends of the row are read before the others, which overwrite a
  // part of them where sum is the memory of x or residual.
  GRAPHOPT_INLINE Real mean() const {
    const size_t end = this->aligned_end();
    const Reals first = head > 0 ? read(0) : Reals{};
    const Reals last = end < size ? read(size - kCount) : Reals{};
    double total = 0;
    size_t begin = head;
    for (; end - begin > kBlock; begin += kBlock) {
      total += add_lanes<Real, kCount>(total_of(begin, begin + kBlock));
    }
    Reals part = total_of(begin, end);
    if (head > 0) part += lanes(keep(0, first), 0, head);
    if (end < size) part += lanes(keep(size - kCount, last), kCount - (size - end), kCount);
    return (total + add_lanes<Real, kCount>(part)) / size;
  }

  // Of the row that mean() has kept.
  GRAPHOPT_INLINE Spread spread(Real mean, double epsilon) const {
    const size_t end = this->aligned_end();
    double squares = 0, rest = 0;
    size_t begin = head;
    for (; end - begin > kBlock; begin += kBlock) {
      const Moments part = moments(begin, begin + kBlock, mean);
      squares += add_lanes<Real, kCount>(part.squares);
      rest += add_lanes<Real, kCount>(part.sum);
    }
    Moments part = moments(begin, end, mean);
    if (head > 0) part.add(lanes(L::load(sum) - mean, 0, head));
    if (end < size) {
      part.add(lanes(L::load(sum + size - kCount) - mean, kCount - (size - end), kCount));
    }
    squares += add_lanes<Real, kCount>(part.squares);
    rest += add_lanes<Real, kCount>(part.sum);
    rest /= size;
    const double scale = 1 / __builtin_sqrt(squares / size - rest * rest + epsilon);
    return {mean, static_cast<Real>(scale), static_cast<Real>(-rest * scale)};
  }

  // Reads the ends first too: y may be the memory of sum.
  GRAPHOPT_INLINE void apply(Spread spread) const {
    const size_t end = this->aligned_end();
    const Reals first = L::load(sum), last = L::load(sum + size - kCount);
#pragma GCC unroll 4
    for (size_t i = head; i < end; i += kCount) write(i, L::load(sum + i), spread);
    if (head > 0) write(0, first, spread);
    if (end < size) write(size - kCount, last, spread);
  }

  // The row in double, one element after the other: for rows that are shorter than a vector, and for
  // those of which a sum in lanes is not finite. Keeps the row where it is not kept yet.
  void normalize_slowly(double epsilon, bool is_kept) const {
    double mean = 0, squares = 0, rest = 0;
    for (size_t i = 0; i < size; ++i) {
      if (kResidual && !is_kept) sum[i] = stored(total(i));
      mean += real(sum + i);
    }
    mean /= size;
    for (size_t i = 0; i < size; ++i) {
      const double centred = real(sum + i) - mean;
      squares += centred * centred;
      rest += centred;
    }
    rest /= size;
    const double scale = 1 / __builtin_sqrt(squares / size - rest * rest + epsilon);
    for (size_t i = 0; i < size; ++i) {
      const double centred = real(sum + i) - mean - rest;
      this->y[i] = stored(centred * scale * real(this->gamma + i) + real(this->beta + i));
    }
  }

 private:
  struct Moments {
    Reals squares = {};
    Reals sum = {};
    GRAPHOPT_INLINE void add(Reals centred) {
      squares += centred * centred;
      sum += centred;
    }
    GRAPHOPT_INLINE void add(const Moments& other) {
      squares += other.squares;
      sum += other.sum;
    }
  };

  GRAPHOPT_INLINE Reals total_of(size_t begin, size_t end) const {
    Reals parts[kChains] = {};
    size_t i = begin;
    for (; i + kStride <= end; i += kStride) {
      parts[0] += enter(i);
      parts[1] += enter(i + kCount);
      parts[2] += enter(i + 2 * kCount);
      parts[3] += enter(i + 3 * kCount);
    }
    for (; i + kCount <= end; i += kCount) parts[0] += enter(i);
    return (parts[0] + parts[1]) + (parts[2] + parts[3]);
  }

  GRAPHOPT_INLINE Moments moments(size_t begin, size_t end, Real mean) const {
    Moments parts[kChains];
    size_t i = begin;
    for (; i + kStride <= end; i += kStride) {
      parts[0].add(L::load(sum + i) - mean);
      parts[1].add(L::load(sum + i + kCount) - mean);
      parts[2].add(L::load(sum + i + 2 * kCount) - mean);
      parts[3].add(L::load(sum + i + 3 * kCount) - mean);
    }
    for (; i + kCount <= end; i += kCount) parts[0].add(L::load(sum + i) - mean);
    parts[0].add(parts[1]);
    parts[2].add(parts[3]);
    parts[0].add(parts[2]);
    return parts[0];
  }

  GRAPHOPT_INLINE void write(size_t i, Reals values, Spread spread) const {
    values = (values - spread.mean) * spread.scale + spread.shift;
    L::store(this->y + i, values * L::load(this->gamma + i) + L::load(this->beta + i));
  }

  static Real real(const Stored* from) {
    const Stored buffer[kCount] = {*from};
    return L::load(buffer)[0];
  }

  static Stored stored(Real value) {
    Stored buffer[kCount];
    L::store(buffer, Reals{} + value);
    return buffer[0];
  }

  Real total(size_t i) const {
    Real value = real(this->x + i);
    if constexpr (kBias) value += real(this->bias + i);
    if constexpr (kResidual) value += real(this->residual + i);
    return value;
  }
};

// Each loop in a function of its own, as those of the other norms.
template <typename R>
__attribute__((noinline)) typename R::Real mean_of(R row) {
  return row.mean();
}

template <typename R>
__attribute__((noinline)) typename R::Spread spread_of(R row, typename R::Real mean, double epsilon) {
  return row.spread(mean, epsilon);
}

template <typename R>
__attribute__((noinline)) void write_row(R row, typename R::Spread spread, double epsilon) {
  // Not a number, infinite or zero, where a sum was: the scale tells.
  if (spread.scale - spread.scale == 0 && spread.scale > 0) {
    row.apply(spread);
  } else {
    row.normalize_slowly(epsilon, true);
  }
}

template <ElementType kType, bool kResidual, bool kBias>
void layer_normalize_rows(const Rows& rows, size_t begin, size_t end) {
  using R = LayerRow<kType, kResidual, kBias>;
  const auto at = [&rows](size_t row) { return row_at<R, kResidual>(rows, row); };
  if (rows.size < R::kCount) {
    for (size_t row = begin; row < end; ++row) at(row).normalize_slowly(rows.epsilon, false);
    return;
  }
  if (begin == end) return;
  // Two rows are under way before one is written: that hides how long the mean and the scale take.
  typename R::Real mean = mean_of(at(begin));
  typename R::Spread spread = spread_of(at(begin), mean, rows.epsilon);
  if (begin + 1 < end) mean = mean_of(at(begin + 1));
  for (size_t row = begin; row < end; ++row) {
    const typename R::Real after = row + 2 < end ? mean_of(at(row + 2)) : 0;
    const typename R::Spread next =
        row + 1 < end ? spread_of(at(row + 1), mean, rows.epsilon) : typename R::Spread{};
    write_row(at(row), spread, rows.epsilon);
    mean = after;
    spread = next;
  }
}

template <ElementType kType>
RowsFunction select_layer_norm(const Form& form) {
  if (!form.residual) return layer_normalize_rows<kType, false, false>;
  return form.bias ? layer_normalize_rows<kType, true, true>
                   : layer_normalize_rows<kType, true, false>;
}
