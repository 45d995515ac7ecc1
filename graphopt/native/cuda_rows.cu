// One kernel reads a row, adds bias and residual, normalizes and writes it, so that each element of X,
// residual, sum and Y crosses the memory bus once.
//
// A row of up to 128 vectors of 16 bytes is the work of a warp, a longer one of a block. A thread keeps
// its first vectors in registers, which holds rows of up to 16384 elements (8192 of double), and reads
// others again.

#include "cuda_rows.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <limits>

namespace graphopt {

namespace {

constexpr unsigned kWarp = 32;
// Of a block. Vectors of 16-bit types take so many registers that no more threads than that fit.
template <typename T>
constexpr unsigned kMaxThreads = sizeof(T) == 2 ? 512 : 1024;
constexpr unsigned kKept = 4;          // vectors that a thread keeps in registers
constexpr unsigned kWarpsOfBlock = 8;  // where each warp has a row of its own
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

// kCount elements that are read or written in one access.
template <typename T, unsigned kCount>
struct alignas(kCount * sizeof(T)) Pack {
  T values[kCount];
};

template <typename T, unsigned kCount, typename Real>
__device__ void load(const T* from, Real (&to)[kCount]) {
  const auto pack = *reinterpret_cast<const Pack<T, kCount>*>(from);
#pragma unroll
  for (unsigned k = 0; k < kCount; ++k) to[k] = widen(pack.values[k]);
}

// Leaves in values what they are as stored, rounded.
template <typename T, unsigned kCount, typename Real>
__device__ void store(T* to, Real (&values)[kCount]) {
  Pack<T, kCount> pack;
#pragma unroll
  for (unsigned k = 0; k < kCount; ++k) {
    narrow(values[k], pack.values[k]);
    values[k] = widen(pack.values[k]);
  }
  *reinterpret_cast<Pack<T, kCount>*>(to) = pack;
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
template <typename T, unsigned kSize, bool kPeeled>
struct Row {
  using Real = typename Computed<T>::Real;

  const T* x;
  const T* residual;
  const T* bias;
  const T* gamma;
  T* y;
  T* sum;  // y where it is not kept
  size_t head;
  size_t vectors;
  size_t singles;

  __device__ Row(const Rows& rows, size_t index) {
    const size_t start = index * rows.size;
    x = static_cast<const T*>(rows.x) + start;
    residual = rows.residual == nullptr ? nullptr : static_cast<const T*>(rows.residual) + start;
    bias = static_cast<const T*>(rows.bias);
    gamma = static_cast<const T*>(rows.gamma);
    y = static_cast<T*>(rows.y) + start;
    sum = rows.sum == nullptr ? y : static_cast<T*>(rows.sum) + start;
    head = kPeeled ? min((kSize - start % kSize) % kSize, rows.size) : 0;
    vectors = (rows.size - head) / kSize;
    singles = rows.size - vectors * kSize;
  }

  __device__ size_t vector_at(size_t index) const { return head + index * kSize; }
  __device__ size_t single_at(size_t index) const {
    return index < head ? index : index + vectors * kSize;
  }

  // Elements of bias and gamma; their vectors are not those of a peeled row.
  template <unsigned kCount>
  __device__ void load_column(const T* column, size_t i, Real (&values)[kCount]) const {
    if constexpr (kPeeled) {
#pragma unroll
      for (unsigned k = 0; k < kCount; ++k) values[k] = widen(column[i + k]);
    } else {
      load(column + i, values);
    }
  }

  template <unsigned kCount>
  __device__ void read(size_t i, Real (&values)[kCount]) const {
    Real others[kCount];
    load(x + i, values);
    if (bias != nullptr) {
      load_column(bias, i, others);
#pragma unroll
      for (unsigned k = 0; k < kCount; ++k) values[k] += others[k];
    }
    if (residual != nullptr) {
      load(residual + i, others);
#pragma unroll
      for (unsigned k = 0; k < kCount; ++k) values[k] += others[k];
    }
  }

  template <unsigned kCount>
  __device__ void keep(size_t i, Real (&values)[kCount], Moments<Real>& moments) const {
    if (residual != nullptr) store(sum + i, values);
#pragma unroll
    for (unsigned k = 0; k < kCount; ++k) {
      moments.squares += values[k] * values[k];
      moments.sum += values[k];
    }
  }

  template <unsigned kCount>
  __device__ void write(size_t i, Real (&values)[kCount], Real scale) const {
#pragma unroll
    for (unsigned k = 0; k < kCount; ++k) values[k] *= scale;
    if (gamma != nullptr) {
      Real factors[kCount];
      load_column(gamma, i, factors);
#pragma unroll
      for (unsigned k = 0; k < kCount; ++k) values[k] *= factors[k];
    }
    store(y + i, values);
  }
};

template <typename T, unsigned kSize, bool kPeeled>
__global__ void __launch_bounds__(kMaxThreads<T>) normalize(Work work) {
  using R = Row<T, kSize, kPeeled>;
  using Real = typename R::Real;
  const size_t index = static_cast<size_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (index >= work.count) return;
  const R row(work.rows, index);
  const bool has_single = threadIdx.x < row.singles;

  // All reads first: each write would wait for the reads before it, and hold up those behind it.
  Real kept[kKept][kSize];
  Real single[1];
#pragma unroll
  for (unsigned k = 0; k < kKept; ++k) {
    const size_t vector = threadIdx.x + k * blockDim.x;
    if (vector < row.vectors) row.read(row.vector_at(vector), kept[k]);
  }
  if (has_single) row.read(row.single_at(threadIdx.x), single);

  Moments<Real> moments;
#pragma unroll
  for (unsigned k = 0; k < kKept; ++k) {
    const size_t vector = threadIdx.x + k * blockDim.x;
    if (vector < row.vectors) row.keep(row.vector_at(vector), kept[k], moments);
  }
  if (has_single) row.keep(row.single_at(threadIdx.x), single, moments);
  const size_t others = threadIdx.x + kKept * blockDim.x;
  for (size_t vector = others; vector < row.vectors; vector += blockDim.x) {
    Real values[kSize];
    row.read(row.vector_at(vector), values);
    row.keep(row.vector_at(vector), values, moments);
  }

  moments = total(moments);
  Real energy = moments.squares;
  if (work.crms) energy += moments.sum * moments.sum;
  const Real divisor = work.rows.size + (work.crms ? 1 : 0);
  const Real scale = 1 / square_root(energy / divisor + static_cast<Real>(work.rows.epsilon));

#pragma unroll
  for (unsigned k = 0; k < kKept; ++k) {
    const size_t vector = threadIdx.x + k * blockDim.x;
    if (vector < row.vectors) row.write(row.vector_at(vector), kept[k], scale);
  }
  if (has_single) row.write(row.single_at(threadIdx.x), single, scale);
  const T* source = row.residual == nullptr ? row.x : row.sum;
  for (size_t vector = others; vector < row.vectors; vector += blockDim.x) {
    Real values[kSize];
    load(source + row.vector_at(vector), values);
    row.write(row.vector_at(vector), values, scale);
  }
}

template <typename T, unsigned kSize, bool kPeeled>
const char* launch(const Work& work, cudaStream_t stream) {
  const size_t vectors = (work.rows.size - 1) / kSize + 1;
  const size_t warps = (vectors - 1) / (kKept * kWarp) + 1;
  const unsigned threads = warps < kMaxThreads<T> / kWarp ? warps * kWarp : kMaxThreads<T>;
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

const char* launch_rows(const Form& form, const Rows& rows, size_t count, void* stream) {
  if (count == 0) return nullptr;
  const Work work = {rows, count, form.crms};
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
