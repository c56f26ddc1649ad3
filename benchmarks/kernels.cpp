// How fast are the matrix products? One line per weight format, shape and number of rows:
// arithmetic in GOP/s (2 per weight and row) and weight bytes read in GB/s, preparation of the
// activations included; the median, and the best twentieth for noisy machines. Weights cycle
// through copies larger than the last-level cache, as the layers of a model do.
//
//   bench_kernels [--threads N] [--kind q4_0] [--out N --in N] [--rows N] [--seconds S] [--warm]
//
// --warm reuses one copy, which then may stay in cache. TESSERA_ISA picks the instruction set.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "compute/kernels.h"
#include "compute/linear.h"

namespace {

using namespace tessera;
using Clock = std::chrono::steady_clock;

// With one thread, the CPU time of the process: what other programs take does not count.
double now(bool cpu_time) {
  timespec t;
  clock_gettime(cpu_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Options {
  int threads = 0;
  std::string kind;
  int out = 0, in = 0, rows = 0;
  double seconds = 0.15;
  bool warm = false;
};

struct Kind {
  const char* name;
  DType dtype;
  WeightFormat format;
};

constexpr Kind kKinds[] = {
    {"q4_0", DType::kQ4_0, WeightFormat::kStored}, {"q4_1", DType::kQ4_1, WeightFormat::kStored},
    {"q4_k", DType::kQ4_K, WeightFormat::kStored}, {"q5_k", DType::kQ5_K, WeightFormat::kStored},
    {"q6_k", DType::kQ6_K, WeightFormat::kStored}, {"q8_0", DType::kQ8_0, WeightFormat::kStored},
    {"bf16", DType::kBF16, WeightFormat::kStored}, {"f16", DType::kF16, WeightFormat::kStored},
    {"f32", DType::kF32, WeightFormat::kStored},
};

// Random bytes with scales that are small finite numbers in every block format.
std::vector<std::byte> random_weights(DType dtype, int out, int in) {
  const DTypeInfo& info = dtype_info(dtype);
  std::vector<std::byte> bytes(static_cast<std::size_t>(out) * in / info.block_elements *
                               info.block_bytes);
  std::mt19937 generator(1);
  for (std::size_t i = 0; i + 4 <= bytes.size(); i += 4) {
    // The top bit pair of every half is 0, so no exponent is large: no infinity, no NaN.
    const std::uint32_t word = generator() & 0x3fff3fffu;
    std::memcpy(&bytes[i], &word, 4);
  }
  return bytes;
}

// What the machine gives at this moment: all threads read a buffer larger than the caches.
double stream_gbytes_per_second(ThreadPool& pool) {
  const std::size_t words = (192u << 20) / 8, chunks = 64;
  static const std::vector<std::uint64_t> buffer(words, 1);
  std::vector<std::uint64_t> sums(chunks);
  double best = 0;
  for (int i = 0; i < 3; ++i) {
    const double start = now(pool.threads() == 1);
    pool.run(chunks, [&](int chunk, int) {
      const std::uint64_t* p = buffer.data() + words / chunks * chunk;
      std::uint64_t sum = 0;
      for (std::size_t k = 0; k < words / chunks; ++k) sum += p[k];
      sums[chunk] = sum;
    });
    best = std::max(best, 8e-9 * static_cast<double>(words) / (now(pool.threads() == 1) - start));
  }
  return sums[0] == words / chunks ? best : 0;
}

void measure(const Kind& kind, int out, int in, int rows, const Options& options,
             ThreadPool& pool) {
  if (in % dtype_info(kind.dtype).block_elements != 0) return;
  const std::vector<std::byte> bytes = random_weights(kind.dtype, out, in);
  const RawTensor tensor = {kind.dtype, {out, in}, bytes.data()};
  std::vector<Linear> copies;
  do {
    copies.push_back(Linear::pack({&tensor, 1}, {}, kind.format, pool));
  } while (!options.warm &&
           copies.size() * static_cast<std::size_t>(copies[0].bytes()) < (96u << 20));

  Tensor x(rows, in), y;
  std::mt19937 generator(2);
  std::normal_distribution<float> normal;
  for (std::int64_t i = 0; i < x.rows() * x.cols(); ++i) x.data()[i] = normal(generator);
  Activation activation;
  std::vector<double> seconds;
  const auto begin = Clock::now();
  for (std::size_t i = 0;
       seconds.size() < 5 || Clock::now() - begin < std::chrono::duration<double>(options.seconds);
       ++i) {
    const Linear& linear = copies[i % copies.size()];
    const double start = now(pool.threads() == 1);
    activation.prepare(x, linear.activation_format(), pool);
    linear.forward(activation, y, pool);
    seconds.push_back(now(pool.threads() == 1) - start);
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2], best = seconds[seconds.size() / 20];
  const double operations = 2e-9 * out * in * rows;
  std::printf("%-5s out %5d in %5d rows %4d  %9.1f us  %6.1f GOP/s  %5.1f GB/s  best %6.1f GOP/s\n",
              kind.name, out, in, rows, median * 1e6, operations / median,
              1e-9 * static_cast<double>(copies[0].bytes()) / median, operations / best);
}

int parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--warm") {
      options.warm = true;
      continue;
    }
    const char* value = i + 1 < argc ? argv[++i] : nullptr;
    if (value == nullptr) {
      std::fprintf(stderr, "%s: wanted a value, or no such flag\n", flag.c_str());
      return 2;
    }
    if (flag == "--threads")
      options.threads = std::atoi(value);
    else if (flag == "--kind")
      options.kind = value;
    else if (flag == "--out")
      options.out = std::atoi(value);
    else if (flag == "--in")
      options.in = std::atoi(value);
    else if (flag == "--rows")
      options.rows = std::atoi(value);
    else if (flag == "--seconds")
      options.seconds = std::atof(value);
    else {
      std::fprintf(stderr, "%s: no such flag\n", flag.c_str());
      return 2;
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (const int failure = parse(argc, argv, options)) return failure;
  ThreadPool pool(options.threads);
  std::printf("isa %s, %d threads, stream read %.1f GB/s\n", kernels().name, pool.threads(),
              stream_gbytes_per_second(pool));
  struct Shape {
    int out, in;
  };
  std::vector<Shape> shapes = {{2048, 8192}, {8192, 2048}, {1536, 576}, {576, 1536}, {4096, 1024}};
  if (options.out > 0 && options.in > 0) shapes = {{options.out, options.in}};
  std::vector<int> rows = {1, 4, 8, 16, 32, 512};
  if (options.rows > 0) rows = {options.rows};
  for (const Kind& kind : kKinds) {
    if (!options.kind.empty() && options.kind != kind.name) continue;
    for (const Shape& shape : shapes) {
      for (int m : rows) measure(kind, shape.out, shape.in, m, options, pool);
    }
  }
  return 0;
}
