// Checks the CUDA kernels against double on the host, and times them.
//
//   nvcc -std=c++17 -O3 -arch=native harness.cu cuda_rows.cu -o harness && ./harness
//
// Prints a line for each failure and exits with 1 after any. The times are those of the device, over
// buffers that do not fit into its cache, beside the time of a copy of as many bytes on the device.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "cuda_rows.h"

namespace {

using graphopt::ElementType;
using graphopt::Form;
using graphopt::Rows;

constexpr double kEpsilon = 0x1p-10;

struct Type {
  ElementType type;
  const char* name;
  size_t bytes;
  double tolerance;  // relative, of y
};
constexpr Type kTypes[] = {{ElementType::kFloat, "float32", 4, 1e-6},
                           {ElementType::kFloat16, "float16", 2, 6e-4},
                           {ElementType::kBFloat16, "bfloat16", 2, 4.5e-3},
                           {ElementType::kDouble, "float64", 8, 2e-15}};

void expect(cudaError_t error) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(error));
  std::exit(1);
}

template <typename T>
void put(std::vector<unsigned char>& memory, size_t i, T value) {
  std::memcpy(&memory[i * sizeof value], &value, sizeof value);
}

template <typename T>
T get(const std::vector<unsigned char>& memory, size_t i) {
  T value;
  std::memcpy(&value, &memory[i * sizeof value], sizeof value);
  return value;
}

// Elements of a type on the host, seen as double.
struct Tensor {
  Tensor(ElementType element, size_t count, size_t element_bytes)
      : type(element), memory(count * element_bytes) {}

  void set(size_t i, double value) {
    if (type == ElementType::kFloat) put(memory, i, static_cast<float>(value));
    if (type == ElementType::kDouble) put(memory, i, value);
    if (type == ElementType::kFloat16) put(memory, i, __float2half_rn(static_cast<float>(value)));
    if (type == ElementType::kBFloat16) {
      put(memory, i, __float2bfloat16_rn(static_cast<float>(value)));
    }
  }

  double operator[](size_t i) const {
    if (type == ElementType::kFloat) return get<float>(memory, i);
    if (type == ElementType::kDouble) return get<double>(memory, i);
    if (type == ElementType::kFloat16) return __half2float(get<__half>(memory, i));
    return __bfloat162float(get<__nv_bfloat16>(memory, i));
  }

  ElementType type;
  std::vector<unsigned char> memory;
};

// Bytes on the device, offset elements behind an aligned address.
struct DeviceMemory {
  explicit DeviceMemory(size_t bytes, size_t skip = 0) {
    expect(cudaMalloc(&base, bytes + skip));
    data = static_cast<unsigned char*>(base) + skip;
  }
  DeviceMemory(const Tensor& from, size_t skip) : DeviceMemory(from.memory.size(), skip) {
    expect(cudaMemcpy(data, from.memory.data(), from.memory.size(), cudaMemcpyHostToDevice));
  }
  DeviceMemory(const DeviceMemory&) = delete;
  ~DeviceMemory() { cudaFree(base); }

  void copy_to(Tensor& to) const {
    expect(cudaMemcpy(to.memory.data(), data, to.memory.size(), cudaMemcpyDeviceToHost));
  }

  void* base = nullptr;
  unsigned char* data = nullptr;
};

struct Case {
  Type type;
  bool crms, residual, bias, gamma;
  bool keeps_sum;  // else it is not an output
  bool in_place;   // y takes the memory of x, and sum that of residual
  size_t count, size;
  size_t misaligned;  // elements by which all operands are off
};

// Returns whether the device computes the case.
bool check(const Case& c) {
  std::mt19937 random(static_cast<unsigned>(c.count * 31 + c.size));
  std::normal_distribution<double> normal(0.5, 2);
  const auto draw = [&](size_t count) {
    Tensor tensor(c.type.type, count, c.type.bytes);
    for (size_t i = 0; i < count; ++i) tensor.set(i, normal(random));
    return tensor;
  };
  const size_t elements = c.count * c.size;
  const Tensor x = draw(elements), residual = draw(elements), bias = draw(c.size), gamma = draw(c.size);
  Tensor y(c.type.type, elements, c.type.bytes), sum = y;

  const size_t skip = c.misaligned * c.type.bytes;
  DeviceMemory on_x(x, skip), on_residual(residual, skip), on_bias(bias, skip), on_gamma(gamma, skip);
  DeviceMemory on_y(y, skip), on_sum(sum, skip);
  const DeviceMemory& y_memory = c.in_place ? on_x : on_y;
  const DeviceMemory& sum_memory = c.in_place ? on_residual : on_sum;
  const Form form = {c.type.type, c.crms, c.residual, c.bias, c.gamma};
  const Rows rows = {on_x.data,
                     c.residual ? on_residual.data : nullptr,
                     c.bias ? on_bias.data : nullptr,
                     c.gamma ? on_gamma.data : nullptr,
                     y_memory.data,
                     c.residual && c.keeps_sum ? sum_memory.data : nullptr,
                     c.size,
                     kEpsilon};
  if (const char* error = graphopt::launch_rows(form, rows, c.count, nullptr)) {
    std::printf("launch: %s\n", error);
    return false;
  }
  expect(cudaDeviceSynchronize());
  y_memory.copy_to(y);
  sum_memory.copy_to(sum);

  Tensor row(c.type.type, c.size, c.type.bytes);
  for (size_t r = 0; r < c.count; ++r) {
    long double squares = 0, total = 0;
    for (size_t i = 0; i < c.size; ++i) {
      double value = x[r * c.size + i];
      if (c.bias) value = c.type.bytes == 8 ? value + bias[i] : float(value) + float(bias[i]);
      if (c.residual) {
        const double other = residual[r * c.size + i];
        value = c.type.bytes == 8 ? value + other : float(value) + float(other);
      }
      row.set(i, value);
      squares += static_cast<long double>(row[i]) * row[i];
      total += row[i];
    }
    const long double energy = c.crms ? squares + total * total : squares;
    const double scale = 1 / std::sqrt(energy / (c.size + (c.crms ? 1 : 0)) + kEpsilon);
    for (size_t i = 0; i < c.size; ++i) {
      const double expected = row[i] * scale * (c.gamma ? gamma[i] : 1);
      const double error = std::abs(y[r * c.size + i] - expected);
      if (!(error <= c.type.tolerance * std::abs(expected) + 1e-7 * (c.type.bytes < 8))) return false;
      if (c.residual && c.keeps_sum && sum[r * c.size + i] != row[i]) return false;
    }
  }
  return true;
}

int check_all() {
  // Below, at and above a vector, a warp of vectors, what registers hold, and a block.
  const size_t sizes[] = {1,   2,   3,   7,    8,    9,    31,   33,   64,   127,   192,   255,  256,
                          383, 513, 767, 1000, 1024, 1025, 2047, 4096, 4097, 16384, 16391, 40001};
  int failures = 0, cases = 0;
  for (const Type& type : kTypes) {
    for (const size_t size : sizes) {
      for (int form = 0; form < 12; ++form) {
        for (const size_t misaligned : {0, 1}) {
          // Bits of form: crms; then no residual, or one with or without bias, kept or not, in place.
          const bool crms = form % 2 == 1, residual = form >= 2, bias = form >= 6;
          const bool keeps_sum = form < 10, in_place = form / 2 % 2 == 0;
          const size_t count = size > 300 ? 2 : 9;
          const Case c = {type, crms, residual, bias, !crms, keeps_sum, in_place, count, size, misaligned};
          ++cases;
          if (check(c)) continue;
          ++failures;
          std::printf("wrong: %s size %zu form %d misaligned %zu\n", type.name, size, form, misaligned);
        }
      }
    }
  }
  std::printf("%d of %d cases wrong\n", failures, cases);
  return failures == 0 ? 0 : 1;
}

#ifndef GRAPHOPT_ON_HOST

// Seconds of one call on the device. Successive calls get successive numbers.
template <typename Call>
double seconds(Call call) {
  constexpr int kCalls = 100;
  for (int i = 0; i < 10; ++i) call(i);
  std::vector<double> rounds;
  cudaEvent_t begin, end;
  expect(cudaEventCreate(&begin));
  expect(cudaEventCreate(&end));
  for (int round = 0; round < 7; ++round) {
    expect(cudaEventRecord(begin));
    for (int i = 0; i < kCalls; ++i) call(i);
    expect(cudaEventRecord(end));
    expect(cudaEventSynchronize(end));
    float milliseconds = 0;
    expect(cudaEventElapsedTime(&milliseconds, begin, end));
    rounds.push_back(milliseconds * 1e-3 / kCalls);
  }
  expect(cudaEventDestroy(begin));
  expect(cudaEventDestroy(end));
  std::sort(rounds.begin(), rounds.end());
  return rounds[rounds.size() / 2];
}

// A row of the table: SkipRMSNorm with bias, its bandwidth and its share of that of a copy.
void time_one(const Type& type, size_t count, size_t size) {
  constexpr size_t kBeyondCache = size_t{1} << 29;
  const size_t bytes = (count * size * type.bytes + 255) / 256 * 256;
  const size_t sets = kBeyondCache / (4 * bytes) + 2;
  DeviceMemory memory(sets * 4 * bytes), column(2 * size * type.bytes + 512);
  expect(cudaMemset(memory.data, 0x3c, sets * 4 * bytes));
  expect(cudaMemset(column.data, 0x3c, 2 * size * type.bytes + 512));
  const Form form = {type.type, false, true, true, true};
  unsigned char* gamma = column.data + (size * type.bytes + 255) / 256 * 256;
  const double norm = seconds([&](int i) {
    unsigned char* set = memory.data + i % sets * 4 * bytes;
    const Rows rows = {set, set + bytes, column.data, gamma, set + 2 * bytes, set + 3 * bytes, size, kEpsilon};
    if (const char* error = graphopt::launch_rows(form, rows, count, nullptr)) {
      std::fprintf(stderr, "launch: %s\n", error);
      std::exit(1);
    }
  });
  const double copy = seconds([&](int i) {
    unsigned char* set = memory.data + i % sets * 4 * bytes;
    expect(cudaMemcpyAsync(set + 2 * bytes, set, 2 * bytes, cudaMemcpyDeviceToDevice, nullptr));
  });
  const double moved = 4.0 * count * size * type.bytes;
  std::printf("| %-8s | %5zu | %5zu | %9.2f | %7.0f | %4.0f%% |\n", type.name, count, size, norm * 1e6,
              moved / norm * 1e-9, 100 * copy / norm);
}

void time_all() {
  std::printf("\nSkipRMSNorm with bias\n\n");
  std::printf("| type     |  rows |     d |        us |    GB/s | copy  |\n");
  std::printf("| -------- | ----- | ----- | --------- | ------- | ----- |\n");
  for (const Type& type : {kTypes[0], kTypes[1]}) {
    for (const size_t count : {197, 4096, 16384}) {
      for (const size_t size : {64, 192, 384, 767, 768, 1024, 4096, 8192, 16384}) {
        if (count * size <= size_t{1} << 27) time_one(type, count, size);
      }
    }
  }
}

#endif

}  // namespace

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::fprintf(stderr, "there is no CUDA device\n");
    return 2;
  }
  cudaDeviceProp properties;
  expect(cudaGetDeviceProperties(&properties, 0));
  std::printf("%s\n", properties.name);
  const int failed = check_all();
#ifndef GRAPHOPT_ON_HOST
  if (failed == 0) time_all();
#endif
  return failed;
}
