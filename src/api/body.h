// A request body as parsed JSON, before it is known which request it holds.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/options.h"

namespace boost::json {
class object;
}

namespace tessera::api {

class Body {
 public:
  // Rules of data-plane 0.3: UTF-8 (a byte-order mark is skipped), an object at the top, at most
  // 256 levels, the last of duplicate keys wins. Throws Error(kBadJson) with the byte offset.
  explicit Body(std::string_view text);
  explicit Body(boost::json::object object);  // one that we have made
  ~Body();
  Body(Body&&) noexcept;
  Body& operator=(Body&&) noexcept;

  // True if the member is there and not null.
  bool has(std::string_view name) const;
  // The field `model`, which OpenAI routes need before anything else is looked at. Throws
  // Error(kMissingParam) or Error(kWrongType).
  std::string model() const;

  const boost::json::object& object() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tessera::api
