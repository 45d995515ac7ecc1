#pragma once

#include <cstdint>
#include <cstring>

struct __half {
  uint16_t bits;
};

#if defined(__x86_64__)
#include <immintrin.h>  // with -mf16c
inline float __half2float(__half value) { return _cvtsh_ss(value.bits); }
inline __half __float2half_rn(float value) { return {_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT)}; }
#else
inline float __half2float(__half value) {
  __fp16 half;
  std::memcpy(&half, &value, sizeof half);
  return half;
}
inline __half __float2half_rn(float value) {
  const __fp16 half = value;
  __half result;
  std::memcpy(&result, &half, sizeof half);
  return result;
}
#endif
