#include "api/body.h"

#include "base/json.h"

namespace tessera::api {

struct Body::Impl {
  json::object root;
};

Body::Body(std::string_view text) : impl_(new Impl{parse_json_object(text)}) {}
Body::~Body() = default;
Body::Body(Body&&) noexcept = default;
Body& Body::operator=(Body&&) noexcept = default;

bool Body::has(std::string_view name) const { return find_field(object(), name) != nullptr; }

std::string Body::model() const { return require_string(object(), "model"); }

const json::object& Body::object() const { return impl_->root; }

}  // namespace tessera::api
