#include <cstdlib>
#include <string>

#include "base/error.h"
#include "compute/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace tessera {
namespace {

const KernelTable* forced_table = nullptr;

#if defined(__x86_64__)
// clang 14 does not know __builtin_cpu_supports("f16c"): CPUID leaf 1, ECX bit 29 (Intel SDM 2A).
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & (1u << 29));
}
#endif

}  // namespace

void force_kernels(const KernelTable* table) { forced_table = table; }

const KernelTable* find_kernels(const char* name) {
  const std::string wanted = name;
  if (wanted == "generic") return &kernels_generic();
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c() &&
                    __builtin_cpu_supports("bmi2");
  const bool vnni = avx2 && __builtin_cpu_supports("avx512f") &&
                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
  const bool bf16 = vnni && __builtin_cpu_supports("avx512bf16");
  if (wanted == "avx2" && avx2) return &kernels_avx2();
  if (wanted == "avx512vnni" && vnni) return &kernels_avx512vnni();
  if (wanted == "avx512" && bf16) return &kernels_avx512();
#endif
  return nullptr;
}

const KernelTable& kernels() {
  if (forced_table != nullptr) return *forced_table;
  static const KernelTable& chosen = []() -> const KernelTable& {
    const char* forced = std::getenv("TESSERA_ISA");
    if (forced != nullptr && *forced != '\0') {
      const KernelTable* table = find_kernels(forced);
      if (table == nullptr) {
        throw Error(ErrorKind::kBadConfiguration,
                    "TESSERA_ISA is '" + std::string(forced) +
                        "'; wanted generic, avx2, avx512vnni or avx512, and a CPU that has it.",
                    "TESSERA_ISA");
      }
      return *table;
    }
    for (const char* name : {"avx512", "avx512vnni", "avx2"}) {
      if (const KernelTable* table = find_kernels(name)) return *table;
    }
    return kernels_generic();
  }();
  return chosen;
}

}  // namespace tessera
