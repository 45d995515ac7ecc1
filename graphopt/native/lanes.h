// Vectors in the extension of GCC and Clang: the same source serves SSE2, AVX2, AVX-512 and NEON. Only
// what packs and converts 16-bit types differs.
//
// Included inside a namespace of its own for each instruction set, so that the linker never takes a
// function of one for another.

// AVX-512 too works on 32 bytes, with its own instructions and twice the registers: the rows stream
// through the caches, and vectors of 64 bytes were 7 to 15% slower on Zen 4.
#if defined(__AVX2__)
constexpr size_t kVectorBytes = 32;
#else
constexpr size_t kVectorBytes = 16;
#endif

#define GRAPHOPT_INLINE inline __attribute__((always_inline))

template <typename T, size_t count>
struct VectorOf {
  typedef T type __attribute__((vector_size(sizeof(T) * count)));
};
template <typename T, size_t count>
using Vector = typename VectorOf<T, count>::type;

template <typename To, typename From>
GRAPHOPT_INLINE To bit_cast(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}

template <typename V>
GRAPHOPT_INLINE V load_vector(const void* from) {
  V to;
  __builtin_memcpy(&to, from, sizeof to);
  return to;
}

template <typename V>
GRAPHOPT_INLINE void store_vector(void* to, const V& from) {
  __builtin_memcpy(to, &from, sizeof from);
}

// Where mask is all ones, a, and where it is all zeros, b.
template <typename V>
GRAPHOPT_INLINE V choose(V mask, V a, V b) {
  return (mask & a) | (~mask & b);
}

// The least and the largest of two numbers, b where one of them is NaN: on x86 one instruction, which
// GCC does not find by itself.
template <typename V>
GRAPHOPT_INLINE V least_of(V a, V b) {
  return a < b ? a : b;
}
template <typename V>
GRAPHOPT_INLINE V largest_of(V a, V b) {
  return a > b ? a : b;
}
#if defined(__AVX2__)
GRAPHOPT_INLINE __m256 least_of(__m256 a, __m256 b) { return _mm256_min_ps(a, b); }
GRAPHOPT_INLINE __m256 largest_of(__m256 a, __m256 b) { return _mm256_max_ps(a, b); }
GRAPHOPT_INLINE __m256d least_of(__m256d a, __m256d b) { return _mm256_min_pd(a, b); }
GRAPHOPT_INLINE __m256d largest_of(__m256d a, __m256d b) { return _mm256_max_pd(a, b); }
#elif defined(__SSE2__)
GRAPHOPT_INLINE __m128 least_of(__m128 a, __m128 b) { return _mm_min_ps(a, b); }
GRAPHOPT_INLINE __m128 largest_of(__m128 a, __m128 b) { return _mm_max_ps(a, b); }
GRAPHOPT_INLINE __m128d least_of(__m128d a, __m128d b) { return _mm_min_pd(a, b); }
GRAPHOPT_INLINE __m128d largest_of(__m128d a, __m128d b) { return _mm_max_pd(a, b); }
#endif

template <typename T, size_t count>
GRAPHOPT_INLINE T add_lanes(Vector<T, count> v) {
  if constexpr (count == 1) {
    return v[0];
  } else {
    Vector<T, count / 2> halves[2];
    __builtin_memcpy(halves, &v, sizeof v);
    return add_lanes<T, count / 2>(halves[0] + halves[1]);
  }
}

// How one element type is stored, and computed with: lanes of Real.
template <ElementType type>
struct Lanes;

template <typename T>
struct NativeLanes {
  using Stored = T;
  using Real = T;
  static constexpr size_t kCount = kVectorBytes / sizeof(T);
  using Reals = Vector<T, kCount>;

  static GRAPHOPT_INLINE Reals load(const Stored* from) { return load_vector<Reals>(from); }
  // Returns the values as stored.
  static GRAPHOPT_INLINE Reals store(Stored* to, Reals values) {
    store_vector(to, values);
    return values;
  }
};

template <>
struct Lanes<ElementType::kFloat> : NativeLanes<float> {};
template <>
struct Lanes<ElementType::kDouble> : NativeLanes<double> {};

// 16-bit types are computed with in float.
struct NarrowLanes {
  using Stored = uint16_t;
  using Real = float;
  static constexpr size_t kCount = kVectorBytes / sizeof(float);
  using Reals = Vector<float, kCount>;
  using Words = Vector<uint32_t, kCount>;
  using Halfwords = Vector<uint16_t, kCount>;

  // unpack extends with zeros, pack takes the lower halves of words that are below 1 << 16. GCC makes
  // slow code of __builtin_convertvector here.
#if defined(__AVX2__)
  static GRAPHOPT_INLINE Words unpack(Halfwords half) {
    return bit_cast<Words>(_mm256_cvtepu16_epi32(bit_cast<__m128i>(half)));
  }
  static GRAPHOPT_INLINE Halfwords pack(Words words) {
    const __m256i both = bit_cast<__m256i>(words);
#if defined(__AVX512VL__)
    return bit_cast<Halfwords>(_mm256_cvtepi32_epi16(both));
#else
    return bit_cast<Halfwords>(
        _mm_packus_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1)));
#endif
  }
#elif defined(__SSE2__)
  static GRAPHOPT_INLINE Words unpack(Halfwords half) {
    const __m128i low = _mm_cvtsi64_si128(bit_cast<long long>(half));
    return bit_cast<Words>(_mm_unpacklo_epi16(low, _mm_setzero_si128()));
  }
  static GRAPHOPT_INLINE Halfwords pack(Words words) {
    // The only pack of SSE2 saturates signed numbers, so the sign is extended first.
    const __m128i extended = _mm_srai_epi32(bit_cast<__m128i>(words << 16), 16);
    return bit_cast<Halfwords>(_mm_cvtsi128_si64(_mm_packs_epi32(extended, extended)));
  }
#else
  static GRAPHOPT_INLINE Words unpack(Halfwords half) { return __builtin_convertvector(half, Words); }
  static GRAPHOPT_INLINE Halfwords pack(Words words) {
    return __builtin_convertvector(words, Halfwords);
  }
#endif
};

template <>
struct Lanes<ElementType::kBFloat16> : NarrowLanes {
  static GRAPHOPT_INLINE Reals load(const Stored* from) {
    return bit_cast<Reals>(unpack(load_vector<Halfwords>(from)) << 16);
  }
  static GRAPHOPT_INLINE Reals store(Stored* to, Reals values) {
    const Words bits = bit_cast<Words>(values);
    const Words is_nan = bit_cast<Words>(values != values);
    // To nearest, ties to even; a NaN keeps its upper bits and becomes quiet.
    const Words rounded = bits + 0x7fff + ((bits >> 16) & 1);
    const Words upper = choose<Words>(is_nan, bits | 0x400000, rounded) >> 16;
    store_vector(to, pack(upper));
    return bit_cast<Reals>(upper << 16);
  }
};

template <>
struct Lanes<ElementType::kFloat16> : NarrowLanes {
#if defined(__F16C__)
  static GRAPHOPT_INLINE Reals widen(Halfwords half) {
    return bit_cast<Reals>(_mm256_cvtph_ps(bit_cast<__m128i>(half)));
  }
  static GRAPHOPT_INLINE Halfwords narrow(Reals values) {
    return bit_cast<Halfwords>(_mm256_cvtps_ph(bit_cast<__m256>(values), _MM_FROUND_TO_NEAREST_INT));
  }
#elif defined(__aarch64__)
  static GRAPHOPT_INLINE Reals widen(Halfwords half) {
    return bit_cast<Reals>(vcvt_f32_f16(bit_cast<float16x4_t>(half)));
  }
  static GRAPHOPT_INLINE Halfwords narrow(Reals values) {
    return bit_cast<Halfwords>(vcvt_f16_f32(bit_cast<float32x4_t>(values)));
  }
#else
  static GRAPHOPT_INLINE Reals widen(Halfwords half) {
    const Words bits = unpack(half);
    const Words magnitude = (bits & 0x7fff) << 13;
    // The product moves the exponent from one bias to the other, also of subnormal numbers.
    const Words finite = bit_cast<Words>(bit_cast<Reals>(magnitude) * 0x1p112f);
    const Words is_special = bit_cast<Words>(bit_cast<Signed>(magnitude) >= 0x7c00 << 13);
    return bit_cast<Reals>(choose<Words>(is_special, magnitude | 0x7f800000, finite) |
                           ((bits & 0x8000) << 16));
  }
  static GRAPHOPT_INLINE Halfwords narrow(Reals values) {
    const Words bits = bit_cast<Words>(values);
    const Words magnitude = bits & 0x7fffffff;
    const Signed order = bit_cast<Signed>(magnitude);
    // To nearest, ties to even. Adding 1/2 leaves a subnormal result in the lowest bits.
    const Words normal = (magnitude - (112u << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
    const Words subnormal = bit_cast<Words>(bit_cast<Reals>(magnitude) + 0.5f) - 0x3f000000;
    Words half = choose<Words>(bit_cast<Words>(order < 0x38800000), subnormal, normal);
    half = choose<Words>(bit_cast<Words>(order >= 0x477ff000), Words{} + 0x7c00, half);
    half = choose<Words>(bit_cast<Words>(order > 0x7f800000), Words{} + 0x7e00, half);
    return pack(half | ((bits >> 16) & 0x8000));
  }
  // Compared as signed numbers: SSE2 has no other comparison.
  using Signed = Vector<int32_t, kCount>;
#endif
  static GRAPHOPT_INLINE Reals load(const Stored* from) {
    return widen(load_vector<Halfwords>(from));
  }
  static GRAPHOPT_INLINE Reals store(Stored* to, Reals values) {
    const Halfwords half = narrow(values);
    store_vector(to, half);
    return widen(half);
  }
};
