#include <string_view>

#include "compute/cpu/attention_kernels.h"
#include "compute/kernels.h"

namespace tessera::cpu {

const AttentionKernels* find_attention_kernels(const char* name) {
  if (find_kernels(name) == nullptr) return nullptr;
#if defined(__x86_64__)
  const std::string_view wanted = name;
  if (wanted == "avx2" || wanted == "avx512vnni") return &kAttentionAvx2;
  if (wanted == "avx512") return &kAttentionAvx512;
#endif
  return &kAttentionGeneric;
}

const AttentionKernels& attention_kernels() {
  static const AttentionKernels& chosen = *find_attention_kernels(kernels().name);
  return chosen;
}

}  // namespace tessera::cpu
