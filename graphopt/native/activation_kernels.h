// GELU and its approximations, of X or of X + bias, for one instruction set.
//
// Included inside a namespace of its own for each instruction set, behind lanes.h.

// What is computed with in lanes of Real. A polynomial holds its coefficients from that of degree 0 on.
// power is 2^f for |f| <= 1/2: the minimax fit of the relative error, by Remez exchange. Phi is the
// normal distribution function; tail gives Phi(-a) for 0 <= a <= kFurthest.
template <typename Real>
struct Numbers;

template <>
struct Numbers<float> {
  using Word = uint32_t;
  static constexpr float kRounder = 0x1.8p23f;
  static constexpr int kMantissa = 23;
  // Beyond, a result is that of the number here, which is as good as zero.
  static constexpr float kFurthest = 8, kFurthestTanh = 9.9f, kFurthestQuick = 50;
  // -log2(2 Phi(-a)) / a as a function of a, weighted by what of it shows in a - a Phi(-a): 2e-8 of
  // that, and at most 2e-4 of Phi(-a) where that is small. It costs half of the fit below.
  static constexpr float kTail[] = {
      1.15110539f, 0.459207211f, 0.052493347f, -0.00704149914f, 9.36102031e-05f, 0.000226094765f,
      -5.84543405e-05f, 7.4992586e-06f, -5.06571761e-07f, 1.42551072e-08f};
  static constexpr float kPower[] = {
      1.0f, 0.693147206f, 0.240226469f, 0.0555032877f, 0.00961848907f, 0.00133999321f,
      0.000153457884f};
};

template <>
struct Numbers<double> {
  using Word = uint64_t;
  static constexpr double kRounder = 0x1.8p52;
  static constexpr int kMantissa = 52;
  static constexpr double kFurthest = 37, kFurthestTanh = 20.5, kFurthestQuick = 400;
  // exp(a^2 / 2) Phi(-a) as a function of t = (a - kPole) / (a + kPole), in which it is smooth.
  static constexpr double kPole = 5;
  static constexpr double kTail[] = {
      0.076919304975006292, -0.14345755526401199, 0.11606881188600329, -0.08088387726412638,
      0.047855352284169539, -0.023413900487727558, 0.0089913705506120285, -0.0023788443561276705,
      0.00021955073727772493, 0.00013427683833281082, -6.0427480140586513e-05,
      9.6133443282022137e-07, 6.6444100577142459e-06, -1.2701810432584989e-06,
      -6.7505358322393082e-07, 2.4360891002316033e-07, 7.7087787812325908e-08,
      -3.9602400176696454e-08, -1.1031977261532363e-08, 6.1495025065176628e-09,
      1.9336475700682407e-09, -8.5228278865332246e-10, -3.3638598181204542e-10,
      7.6532994537258101e-11, 3.7516416983353109e-11};
  static constexpr double kPower[] = {
      1.0, 0.69314718055994529, 0.24022650695910155, 0.055504108664819925, 0.0096181291075883336,
      0.0013333558146789801, 0.00015403530462516259, 1.52527334900691e-05, 1.3215433088993677e-06,
      1.0178197998487429e-07, 7.0741057060664003e-09, 4.4352850172076517e-10};
};

constexpr double kLog2E = 1.4426950408889634;
constexpr double kTwoRootsOfTwoOverPi = 1.5957691216057308;
constexpr double kCube = 0.044715;
constexpr double kQuick = 1.702;

// Vectors that are computed side by side: each step of a polynomial waits for the one before it, and a
// processor looks ahead no further than a vector or two. Six took a tenth less time than four, and eight
// no less than six (AVX2, where some of them wait in memory).
constexpr size_t kSideBySide = 6;

template <typename V>
struct Several {
  V parts[kSideBySide];
};

template <typename V, typename Function>
GRAPHOPT_INLINE auto each(const Several<V>& a, const Function& function) {
  Several<decltype(function(a.parts[0]))> result;
#pragma GCC unroll 8
  for (size_t i = 0; i < kSideBySide; ++i) result.parts[i] = function(a.parts[i]);
  return result;
}

template <typename V, typename W, typename Function>
GRAPHOPT_INLINE auto each(const Several<V>& a, const Several<W>& b, const Function& function) {
  Several<decltype(function(a.parts[0], b.parts[0]))> result;
#pragma GCC unroll 8
  for (size_t i = 0; i < kSideBySide; ++i) result.parts[i] = function(a.parts[i], b.parts[i]);
  return result;
}

#define GRAPHOPT_OPERATOR(sign)                                                                  \
  template <typename V>                                                                          \
  GRAPHOPT_INLINE Several<V> operator sign(const Several<V>& a, const Several<V>& b) {           \
    return each(a, b, [](V x, V y) { return x sign y; });                                        \
  }                                                                                              \
  template <typename V, typename Real>                                                           \
  GRAPHOPT_INLINE Several<V> operator sign(const Several<V>& a, Real b) {                        \
    return each(a, [b](V x) { return x sign b; });                                               \
  }
GRAPHOPT_OPERATOR(+)
GRAPHOPT_OPERATOR(-)
GRAPHOPT_OPERATOR(*)
GRAPHOPT_OPERATOR(/)
#undef GRAPHOPT_OPERATOR

template <ElementType kType, Function kFunction>
struct Activated {
  using L = Lanes<kType>;
  using Stored = typename L::Stored;
  using Real = typename L::Real;
  using Vec = typename L::Reals;
  using Reals = Several<Vec>;
  using N = Numbers<Real>;
  using Words = Vector<typename N::Word, L::kCount>;
  static constexpr size_t kCount = L::kCount * kSideBySide;

  template <size_t count>
  static GRAPHOPT_INLINE Reals polynomial(const Real (&coefficients)[count], const Reals& at) {
    Reals sum = at * coefficients[count - 1] + coefficients[count - 2];
#pragma GCC unroll 32
    for (size_t i = count - 2; i > 0; --i) sum = sum * at + coefficients[i - 1];
    return sum;
  }

  // 2^(x * factor + kShift), which is a normal number. The product stands twice, so that where
  // multiplication and addition are one instruction nothing of it is rounded away.
  template <int kShift = 0, typename F>
  static GRAPHOPT_INLINE Reals power(const Reals& x, const F& factor) {
    constexpr Real rounder = N::kRounder + kShift;
    const Reals shifted = x * factor + rounder;
    const Reals fraction = x * factor - (shifted - rounder);
    return each(polynomial(N::kPower, fraction), shifted, [](Vec p, Vec s) {
      return bit_cast<Vec>(bit_cast<Words>(p) + (bit_cast<Words>(s) << N::kMantissa));
    });
  }

  // NaN stays NaN.
  static GRAPHOPT_INLINE Reals at_least(const Reals& x, Real low) {
    return each(x, [low](Vec v) { return largest_of(Vec{} + low, v); });
  }
  static GRAPHOPT_INLINE Reals at_most(const Reals& x, Real high) {
    return each(x, [high](Vec v) { return least_of(Vec{} + high, v); });
  }

  // x Phi(x) = max(x, 0) - a Phi(-a), a = |x|: no difference of numbers that are nearly equal.
  static GRAPHOPT_INLINE Reals gelu(const Reals& x) {
    const Reals size = each(x, [](Vec v) {
      return bit_cast<Vec>(bit_cast<Words>(v) & ~bit_cast<Words>(-Vec{}));
    });
    const Reals a = at_most(size, N::kFurthest);
    return at_least(x, 0) - a * tail(a);
  }

  // Phi(-a)
  static GRAPHOPT_INLINE Reals tail(const Reals& a) {
    if constexpr (sizeof(Real) == sizeof(float)) {
      return power<-1>(polynomial(N::kTail, a), a * Real(-1));
    } else {
      const Reals t = (a - N::kPole) / (a + N::kPole);
      return polynomial(N::kTail, t) * power(a * a, Real(-kLog2E / 2));
    }
  }

  static GRAPHOPT_INLINE Reals activate(const Reals& x) {
    if constexpr (kFunction == Function::kGelu) return gelu(x);
    constexpr bool is_tanh = kFunction == Function::kTanhGelu;
    constexpr Real furthest = is_tanh ? N::kFurthestTanh : N::kFurthestQuick;
    const Reals above = at_least(x, -furthest);
    const Reals inside = at_most(above, furthest);
    if constexpr (is_tanh) {
      // (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u))
      const Reals factor = inside * inside * Real(-kLog2E * kTwoRootsOfTwoOverPi * kCube) -
                           Real(kLog2E * kTwoRootsOfTwoOverPi);
      return above / (power(inside, factor) + Real(1));
    } else {
      return above / (power(inside, Real(-kLog2E * kQuick)) + Real(1));
    }
  }

  static GRAPHOPT_INLINE Reals load(const Stored* from) {
    Reals to;
#pragma GCC unroll 8
    for (size_t i = 0; i < kSideBySide; ++i) to.parts[i] = L::load(from + i * L::kCount);
    return to;
  }
  static GRAPHOPT_INLINE void store(Stored* to, const Reals& from) {
#pragma GCC unroll 8
    for (size_t i = 0; i < kSideBySide; ++i) L::store(to + i * L::kCount, from.parts[i]);
  }
};

// So many elements of a row of any length; y may be the memory of x.
template <typename A, bool kBias>
GRAPHOPT_INLINE void activate_run(const typename A::Stored* x, const typename A::Stored* bias,
                                  typename A::Stored* y, size_t count) {
  const auto step = [](const auto* x, const auto* bias, auto* y) {
    auto values = A::load(x);
    if constexpr (kBias) values = values + A::load(bias);
    A::store(y, A::activate(values));
  };
  size_t i = 0;
  for (; i + A::kCount <= count; i += A::kCount) step(x + i, kBias ? bias + i : bias, y + i);
  if (i == count) return;
  // The rest, continued with zeros.
  typename A::Stored buffers[3][A::kCount] = {};
  const size_t bytes = (count - i) * sizeof(typename A::Stored);
  __builtin_memcpy(buffers[0], x + i, bytes);
  if constexpr (kBias) __builtin_memcpy(buffers[1], bias + i, bytes);
  step(buffers[0], buffers[1], buffers[2]);
  __builtin_memcpy(y + i, buffers[2], bytes);
}

// The rows from begin up to end: without a bias one long row.
template <ElementType kType, Function kFunction, bool kBias>
void activate_rows(const Rows& rows, size_t begin, size_t end) {
  using A = Activated<kType, kFunction>;
  using Stored = typename A::Stored;
  const Stored* x = static_cast<const Stored*>(rows.x);
  const Stored* bias = static_cast<const Stored*>(rows.bias);
  Stored* y = static_cast<Stored*>(rows.y);
  const size_t size = rows.size;
  if constexpr (kBias) {
    for (size_t row = begin; row < end; ++row) {
      activate_run<A, true>(x + row * size, bias, y + row * size, size);
    }
  } else {
    activate_run<A, false>(x + begin * size, nullptr, y + begin * size, (end - begin) * size);
  }
}

template <ElementType kType>
RowsFunction select_activation(const Form& form) {
  switch (form.function) {
    case Function::kGelu:
      return form.bias ? activate_rows<kType, Function::kGelu, true>
                       : activate_rows<kType, Function::kGelu, false>;
    case Function::kTanhGelu:
      return form.bias ? activate_rows<kType, Function::kTanhGelu, true>
                       : activate_rows<kType, Function::kTanhGelu, false>;
    case Function::kQuickGelu:
      return form.bias ? activate_rows<kType, Function::kQuickGelu, true>
                       : activate_rows<kType, Function::kQuickGelu, false>;
    default:
      return nullptr;
  }
}
