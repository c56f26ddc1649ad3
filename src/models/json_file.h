// JSON side files of a model folder (config.json, modules.json, …): read whole, under a size limit.
#pragma once

#include <boost/json/value.hpp>
#include <filesystem>
#include <optional>

namespace tessera {

// nullopt when there is no such file. Throws Error(kBadModelFile) naming file and position when it
// is not JSON, nested deeper than 64 or larger than `max_bytes`.
std::optional<boost::json::value> read_json_file(const std::filesystem::path& file,
                                                 std::size_t max_bytes = 16u << 20);

}  // namespace tessera
