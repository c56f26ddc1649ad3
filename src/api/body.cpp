#include "api/body.h"

#include "base/json.h"

namespace tessera::api {

// The tree lies in one piece of memory, given back at once.
struct Body::Impl {
  explicit Impl(std::string_view text)
      : memory(first_, sizeof first_), root(parse_json_object(text, &memory)) {}
  explicit Impl(json::object object) : memory(first_, sizeof first_), root(std::move(object)) {}

  unsigned char first_[2048];
  json::monotonic_resource memory;
  json::object root;
};

Body::Body(std::string_view text) : impl_(new Impl(text)) {}
Body::Body(json::object object) : impl_(new Impl(std::move(object))) {}
Body::~Body() = default;
Body::Body(Body&&) noexcept = default;
Body& Body::operator=(Body&&) noexcept = default;

bool Body::has(std::string_view name) const { return find_field(object(), name) != nullptr; }

std::string Body::model() const { return require_string(object(), "model"); }

const json::object& Body::object() const { return impl_->root; }

}  // namespace tessera::api
