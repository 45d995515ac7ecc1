// The choice among the instruction sets that the library was built with.

#include <cstdlib>
#include <cstring>

#include "rows.h"

namespace graphopt {

namespace {

#if defined(__x86_64__)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}
#endif

bool has_baseline() { return true; }

struct Candidate {
  InstructionSet set;
  bool (*is_available)();
};

// The fastest first.
const Candidate kCandidates[] = {
#if defined(__x86_64__)
    {{"avx512", avx512::select}, has_avx512},
    {{"avx2", avx2::select}, has_avx2},
#endif
    {{"baseline", baseline::select}, has_baseline},
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
