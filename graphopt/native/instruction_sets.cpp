// The choice among the instruction sets that the library was built with.

#include <cstdlib>
#include <cstring>

#include "rows.h"

// build.py names in GRAPHOPT_ONLY_... the one instruction set that a library is built with, where it is
// not built with all.
#if !defined(GRAPHOPT_ONLY_AVX512) && !defined(GRAPHOPT_ONLY_AVX2) && !defined(GRAPHOPT_ONLY_BASELINE)
#define GRAPHOPT_ALL 1
#else
#define GRAPHOPT_ALL 0
#endif

namespace graphopt {

namespace {

#if defined(__x86_64__)
[[maybe_unused]] bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

[[maybe_unused]] bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}
#endif

[[maybe_unused]] bool has_baseline() { return true; }

struct Candidate {
  InstructionSet set;
  bool (*is_available)();
};

// The fastest first.
const Candidate kCandidates[] = {
#if defined(__x86_64__) && (GRAPHOPT_ALL || defined(GRAPHOPT_ONLY_AVX512))
    {{"avx512", avx512::select}, has_avx512},
#endif
#if defined(__x86_64__) && (GRAPHOPT_ALL || defined(GRAPHOPT_ONLY_AVX2))
    {{"avx2", avx2::select}, has_avx2},
#endif
#if GRAPHOPT_ALL || defined(GRAPHOPT_ONLY_BASELINE)
    {{"baseline", baseline::select}, has_baseline},
#endif
};

}  // namespace

const InstructionSet* choose_instruction_set() {
#if defined(__x86_64__)
  __builtin_cpu_init();
#endif
  const char* wanted = std::getenv("GRAPHOPT_INSTRUCTION_SET");
  for (const Candidate& candidate : kCandidates) {
    const bool is_wanted = wanted == nullptr || std::strcmp(wanted, candidate.set.name) == 0;
    if (is_wanted && candidate.is_available()) return &candidate.set;
  }
  return nullptr;
}

}  // namespace graphopt
