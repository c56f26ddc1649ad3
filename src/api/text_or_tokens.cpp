#include "api/text_or_tokens.h"

namespace tessera::api {
namespace {

constexpr std::string_view kWanted =
    "a string, an array of strings, an array of token ids, or an array of those";

std::vector<std::int32_t> read_ids(std::string_view path, const json::value& value,
                                   const Reading& at) {
  return read_token_ids(path, value, 1, std::size_t{1} << 22, at.options.vocab_size);
}

}  // namespace

std::vector<TextOrTokens> read_text_or_tokens(const json::value& value, const Reading& at,
                                              int max_items) {
  if (value.is_string()) return {{.text = std::string(value.get_string())}};
  if (!value.is_array()) throw_wrong_type(at.field, kWanted, value);
  const json::array& array = value.get_array();
  check_length(array.size(), 1, std::numeric_limits<std::size_t>::max(), at.field);
  if (array[0].is_number()) return {{.token_ids = read_ids(at.field, value, at)}};

  check_length(array.size(), 1, max_items, at.field);
  const bool texts = array[0].is_string();
  if (!texts && !array[0].is_array()) throw_wrong_type(index_path(at.field, 0), kWanted, array[0]);
  std::vector<TextOrTokens> items;
  items.reserve(array.size());
  for (std::size_t i = 0; i < array.size(); ++i) {
    const std::string path = index_path(at.field, i);
    if (texts) {
      items.push_back({.text = std::string(as_string(array[i], path))});
    } else {
      items.push_back({.token_ids = read_ids(path, array[i], at)});
    }
  }
  return items;
}

void write_text_or_tokens(JsonWriter& w, std::string_view name,
                          const std::vector<TextOrTokens>& items) {
  w.key(name);
  const auto write = [&](const TextOrTokens& item) {
    if (item.token_ids.empty()) {
      w.value(item.text);
      return;
    }
    w.begin_array();
    for (const std::int32_t id : item.token_ids) w.value(id);
    w.end_array();
  };
  if (items.size() == 1) {
    write(items[0]);
    return;
  }
  w.begin_array();
  for (const TextOrTokens& item : items) write(item);
  w.end_array();
}

}  // namespace tessera::api
