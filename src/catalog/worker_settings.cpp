#include "catalog/worker_settings.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "base/config.h"
#include "base/error.h"
#include "base/strings.h"

namespace tessera::catalog {
namespace {

struct Setting {
  std::string_view name;
  std::string_view wanted;  // as told to people
  bool (*takes)(std::string_view value);
};

bool is_one_of(std::string_view value, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, value) != words.end();
}

bool is_count(std::string_view value, std::int64_t least) {
  const std::optional<std::int64_t> number = parse_int(value);
  return number && *number >= least && *number <= std::numeric_limits<int>::max();
}

bool is_size(std::string_view value) {
  try {
    return parse_bytes(value, {}) > 0;
  } catch (const Error&) {
    return false;
  }
}

bool from_zero(std::string_view value) { return is_count(value, 0); }
bool from_one(std::string_view value) { return is_count(value, 1); }
bool is_weight_format(std::string_view value) {
  return is_one_of(value, {"stored", "f32", "bf16", "int8", "int4"});
}
bool is_kv_type(std::string_view value) { return is_one_of(value, {"f32", "f16", "bf16"}); }
bool is_instruction_set(std::string_view value) {
  return is_one_of(value, {"generic", "avx2", "avx512vnni", "avx512"});
}
bool is_log_level(std::string_view value) {
  return is_one_of(value, {"debug", "info", "warn", "error", "off"});
}

constexpr std::string_view kFromZero = "an integer from 0", kFromOne = "an integer from 1";
constexpr std::array kSettings{
    Setting{"TESSERA_WEIGHTS", "stored, f32, bf16, int8 or int4", is_weight_format},
    Setting{"TESSERA_KV_TYPE", "f32, f16 or bf16", is_kv_type},
    Setting{"TESSERA_KV_MEMORY", "a size such as '4GiB', '512MiB' or '10MB'", is_size},
    Setting{"TESSERA_MAX_MODEL_LEN", kFromZero, from_zero},
    Setting{"TESSERA_MAX_NUM_SEQS", kFromOne, from_one},
    Setting{"TESSERA_MAX_WAITING", kFromZero, from_zero},
    Setting{"TESSERA_MAX_STEP_TOKENS", kFromZero, from_zero},
    Setting{"TESSERA_WORKER_THREADS", kFromZero, from_zero},
    Setting{"TESSERA_ISA", "generic, avx2, avx512vnni or avx512", is_instruction_set},
    Setting{"TESSERA_LOG", "debug, info, warn, error or off", is_log_level},
};

[[noreturn]] void refuse(std::string_view at, std::string_view value, std::string_view wanted) {
  throw Error(
      ErrorKind::kInvalidParameterValue,
      std::string(at) + ": got " + quote_for_message(value) + ", want " + std::string(wanted) + ".",
      std::string(at));
}

}  // namespace

void check_worker_setting(std::string_view name, std::string_view value, std::string_view at) {
  if (!name.starts_with("TESSERA_")) return;
  const auto setting = std::ranges::find(kSettings, name, &Setting::name);
  if (setting != kSettings.end()) {
    if (!setting->takes(value)) refuse(at, value, setting->wanted);
    return;
  }
  std::string known;
  for (const Setting& s : kSettings) known.append(known.empty() ? "" : ", ").append(s.name);
  throw Error(ErrorKind::kInvalidParameterValue,
              std::string(at) + ": " + quote_for_message(name) +
                  " is no setting of a worker, want one of " + known + ".",
              std::string(at));
}

}  // namespace tessera::catalog
