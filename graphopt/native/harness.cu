// Checks the CUDA kernels against double on the host, and times them.
//
//   nvcc -std=c++17 -O3 -arch=native harness.cu cuda_rows.cu -o harness && ./harness [check]
//
// Prints a line for each failure and exits with 1 after any, with 2 where there is no device. With
// "check" nothing is timed. The times are those of the device, over buffers that do not fit into its
// cache, beside the time of a copy of as many bytes on the device.

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
using graphopt::Function;
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

enum Misaligned { kNothing, kEverything, kColumns, kMisalignedCount };

struct Case {
  Type type;
  size_t count, size;
  bool crms, residual, bias, gamma;
  bool keeps_sum;         // else it is not an output
  bool in_place;          // y takes the memory of x, and sum that of residual
  Misaligned misaligned;  // by one element; kColumns are bias and gamma
};

struct Operands {
  Operands(const Type& type, size_t count, size_t size)
      : x(type.type, count * size, type.bytes),
        residual(x),
        bias(type.type, size, type.bytes),
        gamma(bias) {
    std::mt19937 random(static_cast<unsigned>(count * 31 + size));
    std::normal_distribution<double> normal(0.5, 2);
    for (size_t i = 0; i < count * size; ++i) x.set(i, normal(random));
    for (size_t i = 0; i < count * size; ++i) residual.set(i, normal(random));
    for (size_t i = 0; i < size; ++i) bias.set(i, normal(random));
    for (size_t i = 0; i < size; ++i) gamma.set(i, normal(random));
  }

  Tensor x, residual, bias, gamma;
};

// Returns whether these rows of y and sum are those of the operands.
bool are_expected(const Case& c, const Operands& in, const Tensor& y, const Tensor& sum) {
  Tensor row(c.type.type, c.size, c.type.bytes);
  for (size_t r = 0; r < c.count; ++r) {
    long double squares = 0, total = 0;
    for (size_t i = 0; i < c.size; ++i) {
      double value = in.x[r * c.size + i];
      if (c.bias) value = c.type.bytes == 8 ? value + in.bias[i] : float(value) + float(in.bias[i]);
      if (c.residual) {
        const double other = in.residual[r * c.size + i];
        value = c.type.bytes == 8 ? value + other : float(value) + float(other);
      }
      row.set(i, value);
      squares += static_cast<long double>(row[i]) * row[i];
      total += row[i];
    }
    const long double energy = c.crms ? squares + total * total : squares;
    const double scale = 1 / std::sqrt(energy / (c.size + (c.crms ? 1 : 0)) + kEpsilon);
    for (size_t i = 0; i < c.size; ++i) {
      const double expected = row[i] * scale * (c.gamma ? in.gamma[i] : 1);
      const double error = std::abs(y[r * c.size + i] - expected);
      if (!(error <= c.type.tolerance * std::abs(expected) + 1e-7 * (c.type.bytes < 8))) return false;
      if (c.keeps_sum && sum[r * c.size + i] != row[i]) return false;
    }
  }
  return true;
}

bool launch(const Case& c, const Rows& rows, size_t count) {
  const Form form = {c.type.type, c.crms ? Function::kCrms : Function::kRms, c.residual, c.bias, c.gamma};
  const char* error = graphopt::launch_rows(form, rows, count, nullptr);
  if (error != nullptr) std::printf("launch: %s\n", error);
  return error == nullptr;
}

// Returns whether the device computes the case.
bool check(const Case& c, const Operands& in) {
  Tensor y(c.type.type, c.count * c.size, c.type.bytes), sum = y;
  const size_t skip = c.misaligned == kEverything ? c.type.bytes : 0;
  const size_t skip_of_columns = c.misaligned == kNothing ? 0 : c.type.bytes;
  DeviceMemory on_x(in.x, skip), on_residual(in.residual, skip);
  DeviceMemory on_bias(in.bias, skip_of_columns), on_gamma(in.gamma, skip_of_columns);
  DeviceMemory on_y(y, skip), on_sum(sum, skip);
  const DeviceMemory& y_memory = c.in_place ? on_x : on_y;
  const DeviceMemory& sum_memory = c.in_place ? on_residual : on_sum;
  const Rows rows = {on_x.data,
                     c.residual ? on_residual.data : nullptr,
                     c.bias ? on_bias.data : nullptr,
                     c.gamma ? on_gamma.data : nullptr,
                     y_memory.data,
                     c.keeps_sum ? sum_memory.data : nullptr,
                     c.size,
                     kEpsilon};
  if (!launch(c, rows, c.count)) return false;
  expect(cudaDeviceSynchronize());
  y_memory.copy_to(y);
  sum_memory.copy_to(sum);
  return are_expected(c, in, y, sum);
}

// The forms of the operators, each with the ways in which a runtime calls it.
std::vector<Case> all_forms(const Type& type, size_t count, size_t size) {
  std::vector<Case> cases;
  for (unsigned bits = 0; bits < 64; ++bits) {
    const bool crms = bits & 1, residual = bits & 2, bias = bits & 4, gamma = bits & 8;
    const bool keeps_sum = bits & 16, in_place = bits & 32;
    if ((bias || keeps_sum) && !residual) continue;
    if (gamma && crms) continue;
    for (int misaligned = 0; misaligned < kMisalignedCount; ++misaligned) {
      if (misaligned == kColumns && !bias && !gamma) continue;
      cases.push_back({type, count, size, crms, residual, bias, gamma, keeps_sum, in_place,
                       static_cast<Misaligned>(misaligned)});
    }
  }
  return cases;
}

int check_all() {
  // Below, at and above a vector, a warp of vectors, what registers hold, and a block.
  const size_t sizes[] = {1,   2,   3,   7,    8,    9,    31,   33,   64,   127,   192,   255,  256,
                          383, 513, 767, 1000, 1024, 1025, 2047, 4096, 4097, 16384, 16391, 40001};
  int failures = 0, cases = 0;
  for (const Type& type : kTypes) {
    for (const size_t size : sizes) {
      const size_t count = size > 300 ? 2 : 5;
      const Operands operands(type, count, size);
      for (const Case& c : all_forms(type, count, size)) {
        ++cases;
        if (check(c, operands)) continue;
        ++failures;
        std::printf("wrong: %s size %zu crms %d residual %d bias %d gamma %d sum %d in place %d ", type.name,
                    size, c.crms, c.residual, c.bias, c.gamma, c.keeps_sum, c.in_place);
        std::printf("misaligned %d\n", c.misaligned);
      }
    }
  }
  std::printf("%d of %d cases wrong\n", failures, cases);
  return failures == 0 ? 0 : 1;
}

#ifndef GRAPHOPT_ON_HOST

// The first and last rows of a tensor of more elements than 32 bits count.
int check_beyond_32_bits() {
  constexpr size_t kElements = (size_t{1} << 32) + (size_t{1} << 16), kEnds = 3;
  const Type& type = kTypes[1];
  size_t available = 0, total = 0;
  expect(cudaMemGetInfo(&available, &total));
  if (available < (2 * kElements + (size_t{1} << 20)) * type.bytes) {
    std::printf("not checked beyond 32 bits: the device has not 18 GB of free memory\n");
    return 0;
  }
  DeviceMemory on_x(kElements * type.bytes), on_residual(kElements * type.bytes);
  int failures = 0;
  for (const size_t size : {1023, 1024}) {
    const Case c = {type, kEnds, size, false, true, true, true, true, true, kNothing};
    const Operands in(type, kEnds, size);
    const DeviceMemory on_bias(in.bias, 0), on_gamma(in.gamma, 0);
    const size_t count = kElements / size, bytes = in.x.memory.size();
    const size_t last = (count - kEnds) * size * type.bytes;
    expect(cudaMemset(on_x.data, 0, kElements * type.bytes));
    expect(cudaMemset(on_residual.data, 0, kElements * type.bytes));
    for (const size_t at : {size_t{0}, last}) {
      expect(cudaMemcpy(on_x.data + at, in.x.memory.data(), bytes, cudaMemcpyHostToDevice));
      const void* residual = in.residual.memory.data();
      expect(cudaMemcpy(on_residual.data + at, residual, bytes, cudaMemcpyHostToDevice));
    }
    const Rows rows = {on_x.data, on_residual.data, on_bias.data,     on_gamma.data,
                       on_x.data, on_residual.data, size, kEpsilon};
    bool right = launch(c, rows, count);
    expect(cudaDeviceSynchronize());
    for (const size_t at : {size_t{0}, last}) {
      Tensor y(type.type, kEnds * size, type.bytes), sum = y;
      expect(cudaMemcpy(y.memory.data(), on_x.data + at, bytes, cudaMemcpyDeviceToHost));
      expect(cudaMemcpy(sum.memory.data(), on_residual.data + at, bytes, cudaMemcpyDeviceToHost));
      right = right && are_expected(c, in, y, sum);
    }
    if (right) continue;
    ++failures;
    std::printf("wrong: %zu rows of %zu elements\n", count, size);
  }
  return failures == 0 ? 0 : 1;
}

// Seconds of one call on the device: the median of rounds of calls. A call gets its number.
template <typename Call>
double seconds(size_t calls, Call call) {
  constexpr int kRounds = 7;
  size_t number = 0;
  for (int i = 0; i < 10; ++i) call(number++);
  std::vector<double> rounds;
  cudaEvent_t begin, end;
  expect(cudaEventCreate(&begin));
  expect(cudaEventCreate(&end));
  for (int round = 0; round < kRounds; ++round) {
    expect(cudaEventRecord(begin));
    for (size_t i = 0; i < calls; ++i) call(number++);
    expect(cudaEventRecord(end));
    expect(cudaEventSynchronize(end));
    float milliseconds = 0;
    expect(cudaEventElapsedTime(&milliseconds, begin, end));
    rounds.push_back(milliseconds * 1e-3 / calls);
  }
  expect(cudaEventDestroy(begin));
  expect(cudaEventDestroy(end));
  std::sort(rounds.begin(), rounds.end());
  return rounds[rounds.size() / 2];
}

// A row of the table: SkipRMSNorm with bias, its bandwidth and its share of that of a copy.
void time_one(const Type& type, size_t count, size_t size) {
  // Calls take the sets in turn, so that a set has left the cache when its turn comes again.
  constexpr size_t kBeyondCache = size_t{1} << 29;
  const size_t bytes = (count * size * type.bytes + 255) / 256 * 256;
  const size_t sets = kBeyondCache / (4 * bytes) + 2;
  const size_t calls = std::max<size_t>(sets, 100);
  DeviceMemory memory(sets * 4 * bytes), column(2 * size * type.bytes + 512);
  expect(cudaMemset(memory.data, 0x3c, sets * 4 * bytes));
  expect(cudaMemset(column.data, 0x3c, 2 * size * type.bytes + 512));
  const Form form = {type.type, Function::kRms, true, true, true};
  unsigned char* gamma = column.data + (size * type.bytes + 255) / 256 * 256;
  const double norm = seconds(calls, [&](size_t i) {
    unsigned char* set = memory.data + i % sets * 4 * bytes;
    const Rows rows = {set,  set + bytes, column.data, gamma, set + 2 * bytes, set + 3 * bytes,
                       size, kEpsilon};
    if (const char* error = graphopt::launch_rows(form, rows, count, nullptr)) {
      std::fprintf(stderr, "launch: %s\n", error);
      std::exit(1);
    }
  });
  const double copy = seconds(calls, [&](size_t i) {
    unsigned char* set = memory.data + i % sets * 4 * bytes;
    expect(cudaMemcpyAsync(set + 2 * bytes, set, 2 * bytes, cudaMemcpyDeviceToDevice, nullptr));
  });
  const double moved = 4.0 * count * size * type.bytes;
  std::printf("| %-8s | %5zu | %5zu | %9.2f | %7.0f | %4.0f%% |\n", type.name, count, size, norm * 1e6,
              moved / norm * 1e-9, 100 * copy / norm);
}

void time_all() {
  std::printf("\nSkipRMSNorm with bias; where there are 197 rows, the time is mostly that of a launch\n\n");
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

int main(int count, char** arguments) {
  const bool only_check = count > 1 && std::strcmp(arguments[1], "check") == 0;
  // A device that cannot be used is a failure, and is not taken for none.
  int driver = 0, devices = 0;
  expect(cudaDriverGetVersion(&driver));
  const cudaError_t error = driver == 0 ? cudaErrorNoDevice : cudaGetDeviceCount(&devices);
  if (error == cudaErrorNoDevice || (error == cudaSuccess && devices == 0)) {
    std::fprintf(stderr, "there is no CUDA device\n");
    return 2;
  }
  expect(error);
  if (const char* reason = graphopt::check_device()) {
    std::fprintf(stderr, "CUDA: %s\n", reason);
    return 1;
  }
  cudaDeviceProp properties;
  expect(cudaGetDeviceProperties(&properties, 0));
  std::printf("%s\n", properties.name);
  int failed = check_all();
#ifndef GRAPHOPT_ON_HOST
  failed |= check_beyond_32_bits();
  if (failed == 0 && !only_check) time_all();
#else
  (void)only_check;
#endif
  return failed;
}
