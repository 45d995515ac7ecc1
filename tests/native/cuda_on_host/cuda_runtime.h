// As much of CUDA as the kernels use, on the host: enough to check their arithmetic, their indices and,
// with a sanitizer, their memory on a machine without a GPU.
//
// The threads of a block are coroutines of one thread of the host. Each runs until it waits for others;
// since all threads of a block wait at the same points, taking turns there is a barrier.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#define __global__
#define __device__
#define __launch_bounds__(threads)
#define __shared__ static

using std::min;

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

inline dim3 gridDim, blockDim, blockIdx, threadIdx;

namespace on_host {

constexpr size_t kStack = 1 << 16;

struct Coroutine {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStack]};
  bool done = false;
};

inline std::vector<Coroutine> threads;
inline std::vector<uint64_t> exchanged;
inline ucontext_t scheduler;
inline size_t current;
inline void (*body)(void*);
inline void* argument;

inline void wait_for_others() { swapcontext(&threads[current].context, &scheduler); }

inline void start() {
  body(argument);
  threads[current].done = true;
  wait_for_others();
}

inline void run_block() {
  const size_t count = blockDim.x * blockDim.y;
  if (threads.size() < count) threads = std::vector<Coroutine>(count);
  exchanged.resize(count);
  for (size_t i = 0; i < count; ++i) {
    threads[i].done = false;
    getcontext(&threads[i].context);
    threads[i].context.uc_stack.ss_sp = threads[i].stack.get();
    threads[i].context.uc_stack.ss_size = kStack;
    threads[i].context.uc_link = nullptr;
    makecontext(&threads[i].context, start, 0);
  }
  for (bool running = true; running;) {
    running = false;
    for (current = 0; current < count; ++current) {
      if (threads[current].done) continue;
      running = true;
      threadIdx = dim3(current % blockDim.x, current / blockDim.x);
      swapcontext(&scheduler, &threads[current].context);
    }
  }
}

}  // namespace on_host

inline void __syncthreads() { on_host::wait_for_others(); }

template <typename T>
T __shfl_xor_sync(unsigned, T value, unsigned distance) {
  std::memcpy(&on_host::exchanged[on_host::current], &value, sizeof value);
  on_host::wait_for_others();
  std::memcpy(&value, &on_host::exchanged[on_host::current ^ distance], sizeof value);
  on_host::wait_for_others();
  return value;
}

template <typename T>
T __ldg(const T* from) {
  return *from;
}

using cudaStream_t = void*;
enum cudaError_t { cudaSuccess, cudaErrorNoDevice };
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };
struct cudaDeviceProp {
  char name[16];
};
struct cudaFuncAttributes {};

template <typename Argument>
cudaError_t cudaLaunchKernel(void (*kernel)(Argument), dim3 grid, dim3 block, void** arguments,
                             size_t, cudaStream_t) {
  static void (*the_kernel)(Argument);
  the_kernel = kernel;
  on_host::body = [](void* argument) { the_kernel(*static_cast<Argument*>(argument)); };
  on_host::argument = arguments[0];
  gridDim = grid;
  blockDim = block;
  for (unsigned i = 0; i < grid.x; ++i) {
    blockIdx = dim3(i);
    on_host::run_block();
  }
  return cudaSuccess;
}

template <typename Argument>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes*, void (*)(Argument)) {
  return cudaSuccess;
}
inline const char* cudaGetErrorString(cudaError_t) { return ""; }
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
inline cudaError_t cudaDriverGetVersion(int* version) {
  *version = 1;
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::strcpy(properties->name, "the host");
  return cudaSuccess;
}
inline cudaError_t cudaMalloc(void** memory, size_t bytes) {
  *memory = std::malloc(bytes);
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
