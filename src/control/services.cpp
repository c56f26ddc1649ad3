#include "control/services.h"

#include "base/json.h"
#include "base/strings.h"

namespace tessera::control {

json::object body_of(const http::Request& request) {
  if (trim(request.body).empty()) return {};
  return parse_json_object(request.body);
}

http::Response answer(const json::object& object) { return http::Response::json(to_json(object)); }

}  // namespace tessera::control
