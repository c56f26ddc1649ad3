#include "models/json_file.h"

#include <boost/json/stream_parser.hpp>

#include "base/error.h"
#include "base/mapped_file.h"

namespace tessera {

std::optional<boost::json::value> read_json_file(const std::filesystem::path& file,
                                                 std::size_t max_bytes) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return std::nullopt;
  const MappedFile mapped(file);
  if (mapped.size() > max_bytes) {
    throw Error(ErrorKind::kBadModelFile, file.string() + ": has " + std::to_string(mapped.size()) +
                                              " bytes, at most " + std::to_string(max_bytes) +
                                              " are read");
  }
  boost::json::parse_options options;
  options.max_depth = 64;
  boost::json::stream_parser parser({}, options);
  boost::system::error_code error;
  const char* text = reinterpret_cast<const char*>(mapped.data());
  const std::size_t used = parser.write_some(text, mapped.size(), error);
  if (!error && used < mapped.size()) error = boost::json::error::extra_data;
  if (!error) parser.finish(error);
  if (error) {
    throw Error(ErrorKind::kBadModelFile, file.string() + ": is not valid JSON at byte " +
                                              std::to_string(used) + ": " + error.message());
  }
  return parser.release();
}

}  // namespace tessera
