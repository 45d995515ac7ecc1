// One kernel reads a row, adds bias and residual, normalizes and writes it, so that each element of X,
// residual, sum and Y crosses the memory bus once.
//
// A row of up to 128 vectors of 16 bytes is the work of a warp, a longer one of a block. A thread keeps
// its first vectors in registers, which holds rows of up to 4096 vectors (32768 elements of 16 bits),
// and reads others again.

#include "cuda_rows.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

namespace graphopt {

namespace {

constexpr unsigned kWarp = 32;
// Of a block. They fit with 64 registers a thread, which the compiler then keeps to: of small blocks too,
// a multiprocessor has as many threads under way.
constexpr unsigned kMaxThreads = 1024;
constexpr unsigned kKept = 4;  // vectors that a thread keeps in registers
// Where each warp has a row of its own. Small blocks fill what others leave free at the end.
constexpr unsigned kWarpsOfBlock = 4;
constexpr size_t kVectorBytes = 16;

struct Work {
  Rows rows;
  size_t count;
  bool crms;
};

// What a stored type is computed with.
template <typename T>
struct Computed {
  using Real = float;
};
template <>
struct Computed<double> {
  using Real = double;
};

__device__ float widen(float value) { return value; }
__device__ double widen(double value) { return value; }
__device__ float widen(__half value) { return __half2float(value); }
__device__ float widen(__nv_bfloat16 value) { return __bfloat162float(value); }

__device__ void narrow(float value, float& to) { to = value; }
__device__ void narrow(double value, double& to) { to = value; }
__device__ void narrow(float value, __half& to) { to = __float2half_rn(value); }
__device__ void narrow(float value, __nv_bfloat16& to) { to = __float2bfloat16_rn(value); }

__device__ float square_root(float value) { return sqrtf(value); }
__device__ double square_root(double value) { return sqrt(value); }

// kCount elements that are read or written in one access: one, or a vector. Registers hold a vector as
// bits: as numbers, those of 16-bit types would take twice as many.
template <typename T, unsigned kCount>
using Pack = std::conditional_t<kCount == 1, T, uint4>;

template <typename T, typename P>
constexpr unsigned kCountOf = sizeof(P) / sizeof(T);

template <typename T, typename P>
__device__ void load(const T* from, P& to) {
  to = *reinterpret_cast<const P*>(from);
}

template <typename T, typename P>
__device__ void store(T* to, const P& from) {
  *reinterpret_cast<P*>(to) = from;
}

template <typename T, typename P, unsigned kCount, typename Real>
__device__ void widen(const P& pack, Real (&to)[kCount]) {
  T values[kCount];
  static_assert(sizeof values == sizeof pack);
  std::memcpy(values, &pack, sizeof values);
#pragma unroll
  for (unsigned k = 0; k < kCount; ++k) to[k] = widen(values[k]);
}

template <typename T, typename P, unsigned kCount, typename Real>
__device__ void narrow(const Real (&from)[kCount], P& pack) {
  T values[kCount];
  static_assert(sizeof values == sizeof pack);
#pragma unroll
  for (unsigned k = 0; k < kCount; ++k) narrow(from[k], values[k]);
  std::memcpy(&pack, values, sizeof pack);
}

template <typename Real>
struct Moments {
  Real squares = 0;
  Real sum = 0;
};

// Adds up over the threads of a row; each of them gets the total.
template <typename Real>
__device__ Moments<Real> total(Moments<Real> part) {
  for (unsigned distance = kWarp / 2; distance > 0; distance /= 2) {
    part.squares += __shfl_xor_sync(0xffffffffu, part.squares, distance);
    part.sum += __shfl_xor_sync(0xffffffffu, part.sum, distance);
  }
  if (blockDim.x == kWarp) return part;
  // A block has at most as many warps as a warp has threads.
  __shared__ Real squares[kWarp], sums[kWarp];
  if (threadIdx.x % kWarp == 0) {
    squares[threadIdx.x / kWarp] = part.squares;
    sums[threadIdx.x / kWarp] = part.sum;
  }
  __syncthreads();
  part = {};
  for (unsigned warp = 0; warp < blockDim.x / kWarp; ++warp) {
    part.squares += squares[warp];
    part.sum += sums[warp];
  }
  return part;
}

// One row. kSize elements are a vector. kPeeled: rows start at any element, so the vectors begin at the
// first aligned one, and the few elements before and behind them go one by one.
//
// An index counts from the first element of the tensor: it then serves every operand, where a pointer
// to the row in each would take more registers.
template <typename T, unsigned kSize, bool kPeeled>
struct Row {
  using Real = typename Computed<T>::Real;

  const T* x;
  const T* residual;
  const T* bias;
  const T* gamma;
  T* y;
  T* sum;  // y where it is not kept
  size_t start;
  size_t head;
  size_t vectors;
  size_t singles;

  __device__ Row(const Rows& rows, size_t number) {
    x = static_cast<const T*>(rows.x);
    residual = static_cast<const T*>(rows.residual);
    bias = static_cast<const T*>(rows.bias);
    gamma = static_cast<const T*>(rows.gamma);
    y = static_cast<T*>(rows.y);
    sum = static_cast<T*>(rows.sum == nullptr ? rows.y : rows.sum);
    start = number * rows.size;
    head = kPeeled ? min((kSize - start % kSize) % kSize, rows.size) : 0;
    vectors = (rows.size - head) / kSize;
    singles = rows.size - vectors * kSize;
  }

  __device__ size_t vector_at(size_t number) const { return start + head + number * kSize; }
  __device__ size_t single_at(size_t number) const {
    return start + (number < head ? number : number + vectors * kSize);
  }

  // What bias or gamma has for the elements from index on. Their memory is never that of an
  // output, so that they may be read ahead of writes. Their vectors are not those of a
  // peeled row.
  template <typename P>
  __device__ void load_column(const T* column, size_t index, P& to) const {
    column += index - start;
    if constexpr (!kPeeled || kCountOf<T, P> == 1) {
      to = __ldg(reinterpret_cast<const P*>(column));
    } else {
      T values[kSize];
#pragma unroll
      for (unsigned k = 0; k < kSize; ++k) values[k] = __ldg(column + k);
      std::memcpy(&to, values, sizeof to);
    }
  }

  // Adds bias and residual, writes the sum and leaves it in pack as it is stored, rounded.
  template <typename P>
  __device__ void keep(size_t index, P& pack, const P& of_residual, Moments<Real>& moments) const {
    constexpr unsigned kCount = kCountOf<T, P>;
    Real values[kCount];
    widen<T>(pack, values);
    if (residual != nullptr) {
      Real terms[kCount];
      if (bias != nullptr) {
        P of_bias;
        load_column(bias, index, of_bias);
        widen<T>(of_bias, terms);
#pragma unroll
        for (unsigned k = 0; k < kCount; ++k) values[k] += terms[k];
      }
      widen<T>(of_residual, terms);
#pragma unroll
      for (unsigned k = 0; k < kCount; ++k) values[k] += terms[k];
      narrow<T>(values, pack);
      store(sum + index, pack);
      widen<T>(pack, values);
    }
#pragma unroll
    for (unsigned k = 0; k < kCount; ++k) {
      moments.squares += values[k] * values[k];
      moments.sum += values[k];
    }
  }

  template <typename P>
  __device__ void write(size_t index, const P& pack, const P& of_gamma, Real scale) const {
    constexpr unsigned kCount = kCountOf<T, P>;
    Real values[kCount];
    widen<T>(pack, values);
#pragma unroll
    for (unsigned k = 0; k < kCount; ++k) values[k] *= scale;
    if (gamma != nullptr) {
      Real factors[kCount];
      widen<T>(of_gamma, factors);
#pragma unroll
      for (unsigned k = 0; k < kCount; ++k) values[k] *= factors[k];
    }
    P result;
    narrow<T>(values, result);
    store(y + index, result);
  }
};

template <typename T, unsigned kSize, bool kPeeled>
__global__ void __launch_bounds__(kMaxThreads) normalize(Work work) {
  using R = Row<T, kSize, kPeeled>;
  using Real = typename R::Real;
  const size_t number = static_cast<size_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (number >= work.count) return;
  const R row(work.rows, number);
  const bool has_single = kPeeled && threadIdx.x < row.singles;
  const size_t single_at = row.single_at(threadIdx.x);
  const auto for_each_kept = [&row](auto call) {
#pragma unroll
    for (unsigned k = 0; k < kKept; ++k) {
      const unsigned vector = threadIdx.x + k * blockDim.x;
      if (vector < row.vectors) call(k, row.vector_at(vector));
    }
  };

  // All reads come before the first use of one, so that they are under way together, and before the
  // first write, which would hold up those behind it.
  Pack<T, kSize> kept[kKept], of_residual[kKept];
  Pack<T, 1> single, residual_of_single;
  for_each_kept([&](unsigned k, size_t index) { load(row.x + index, kept[k]); });
  if (has_single) load(row.x + single_at, single);
  if (row.residual != nullptr) {
    for_each_kept([&](unsigned k, size_t index) { load(row.residual + index, of_residual[k]); });
    if (has_single) load(row.residual + single_at, residual_of_single);
  }

  Moments<Real> moments;
  for_each_kept([&](unsigned k, size_t index) { row.keep(index, kept[k], of_residual[k], moments); });
  if (has_single) row.keep(single_at, single, residual_of_single, moments);
  const size_t rest = threadIdx.x + kKept * blockDim.x;
  for (size_t vector = rest; vector < row.vectors; vector += blockDim.x) {
    const size_t index = row.vector_at(vector);
    Pack<T, kSize> pack, residual;
    load(row.x + index, pack);
    if (row.residual != nullptr) load(row.residual + index, residual);
    row.keep(index, pack, residual, moments);
  }

  // Gamma is under way while the threads add up. A peeled row has no registers left for it.
  Pack<T, kSize> of_gamma[kKept];
  if (!kPeeled && row.gamma != nullptr) {
    for_each_kept([&](unsigned k, size_t index) { row.load_column(row.gamma, index, of_gamma[k]); });
  }
  moments = total(moments);
  Real energy = moments.squares;
  if (work.crms) energy += moments.sum * moments.sum;
  const Real divisor = work.rows.size + (work.crms ? 1 : 0);
  const Real scale = 1 / square_root(energy / divisor + static_cast<Real>(work.rows.epsilon));

  for_each_kept([&](unsigned k, size_t index) {
    if (kPeeled && row.gamma != nullptr) row.load_column(row.gamma, index, of_gamma[k]);
    row.write(index, kept[k], of_gamma[k], scale);
  });
  if (has_single) {
    Pack<T, 1> gamma;
    if (row.gamma != nullptr) row.load_column(row.gamma, single_at, gamma);
    row.write(single_at, single, gamma, scale);
  }
  const T* source = row.residual == nullptr ? row.x : row.sum;
  for (size_t vector = rest; vector < row.vectors; vector += blockDim.x) {
    const size_t index = row.vector_at(vector);
    Pack<T, kSize> pack, gamma;
    load(source + index, pack);
    if (row.gamma != nullptr) row.load_column(row.gamma, index, gamma);
    row.write(index, pack, gamma, scale);
  }
}

template <typename T, unsigned kSize, bool kPeeled>
const char* launch(const Work& work, cudaStream_t stream) {
  const size_t vectors = (work.rows.size - 1) / kSize + 1;
  const size_t warps = (vectors - 1) / (kKept * kWarp) + 1;
  const unsigned threads = warps < kMaxThreads / kWarp ? warps * kWarp : kMaxThreads;
  const unsigned rows = threads == kWarp ? kWarpsOfBlock : 1;
  const size_t blocks = (work.count - 1) / rows + 1;
  if (blocks > std::numeric_limits<int>::max()) return "more rows than a grid has blocks";
  Work copy = work;
  void* arguments[] = {&copy};
  const cudaError_t error = cudaLaunchKernel(normalize<T, kSize, kPeeled>, dim3(blocks),
                                             dim3(threads, rows), arguments, 0, stream);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

template <typename... Pointers>
bool are_aligned(Pointers... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % kVectorBytes == 0) && ...);
}

template <typename T>
const char* launch_type(const Work& work, cudaStream_t stream) {
  constexpr unsigned kSize = kVectorBytes / sizeof(T);
  const Rows& rows = work.rows;
  if (!are_aligned(rows.x, rows.residual, rows.y, rows.sum)) return launch<T, 1, false>(work, stream);
  const bool is_whole = rows.size % kSize == 0 && are_aligned(rows.bias, rows.gamma);
  return is_whole ? launch<T, kSize, false>(work, stream) : launch<T, kSize, true>(work, stream);
}

}  // namespace

const char* check_device() {
  cudaFuncAttributes attributes;
  const cudaError_t error = cudaFuncGetAttributes(&attributes, normalize<float, 4, false>);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

const char* launch_rows(const Form& form, const Rows& rows, size_t count, void* stream) {
  if (count == 0) return nullptr;
  const Work work = {rows, count, form.function == graphopt::Function::kCrms};
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  switch (form.type) {
    case ElementType::kFloat:
      return launch_type<float>(work, cuda_stream);
    case ElementType::kFloat16:
      return launch_type<__half>(work, cuda_stream);
    case ElementType::kDouble:
      return launch_type<double>(work, cuda_stream);
    case ElementType::kBFloat16:
      return launch_type<__nv_bfloat16>(work, cuda_stream);
  }
  return "unknown element type";
}

}  // namespace graphopt
