#include "catalog/registered_model.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/strings.h"

namespace tessera::catalog {
namespace {

constexpr std::string_view kStatuses[] = {"MODEL_VERSION_STATUS_UNKNOWN", "PENDING_REGISTRATION",
                                          "FAILED_REGISTRATION", "READY"};
constexpr std::size_t kMaxComponentLength = 255;

bool component_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '@' || c == '-';
}

[[noreturn]] void invalid(std::string_view field, std::string_view value, std::string wanted) {
  throw Error(ErrorKind::kInvalidParameterValue,
              "Invalid " + std::string(field) + " " + quote_for_message(value) + ": want " +
                  std::move(wanted) + ".",
              std::string(field));
}

}  // namespace

std::string_view to_string(VersionStatus status) { return kStatuses[static_cast<int>(status)]; }

std::optional<VersionStatus> parse_version_status(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kStatuses); ++i) {
    if (kStatuses[i] == text) return static_cast<VersionStatus>(i);
  }
  return std::nullopt;
}

std::string ModelNotes::flattened() const {
  std::string text;
  auto append = [&text](std::string_view sentence) {
    if (sentence.empty()) return;
    if (!text.empty()) text += ' ';
    text += sentence;
    if (text.back() != '.') text += '.';
  };
  for (const std::string& note : notes) append(note);
  if (!license_name.empty()) {
    std::string line = "Licence: " + license_name;
    if (!license_holder.empty()) line += ", " + license_holder;
    append(line);
  }
  append(license_notice);
  return text;
}

std::string parse_component(std::string_view text, std::string_view field) {
  if (text.empty() || text.size() > kMaxComponentLength ||
      !std::all_of(text.begin(), text.end(), component_character)) {
    invalid(field, text, "1 to 255 characters of letters, digits, '_', '@' and '-'");
  }
  return to_lower(text);
}

FullName parse_full_name(std::string_view text, std::string_view field) {
  auto parts = split(text, '.');
  if (parts.size() != 3) invalid(field, text, "a three-level name catalog.schema.model");
  return {parse_component(parts[0], field), parse_component(parts[1], field),
          parse_component(parts[2], field)};
}

std::string local_path_of(std::string_view source, std::string_view field) {
  constexpr std::string_view kWanted = "an absolute path or a file:// URL on this machine";
  std::string path(source);
  if (source.starts_with("file:")) {
    auto rest = source.substr(5);
    if (rest.starts_with("//localhost/")) {
      rest.remove_prefix(11);
    } else if (rest.starts_with("//")) {
      rest.remove_prefix(2);
    }
    auto decoded = url_decode(rest);
    if (!decoded) invalid(field, source, "a file:// URL with valid percent escapes");
    path = std::move(*decoded);
  }
  if (path.empty() || path[0] != '/' || path.find('\0') != std::string::npos) {
    invalid(field, source, std::string(kWanted));
  }
  return path;
}

}  // namespace tessera::catalog
