#include "control/registry_rules.h"

#include "base/strings.h"

namespace tessera::control {

using namespace catalog;

FullName model_name(const http::Request& request) {
  return parse_full_name(param(request, "full_name"), "full_name");
}

bool forced(const http::Request& request) { return request.query_value("force") == "true"; }

void missing(std::string_view what, std::string_view name) {
  throw Error(ErrorKind::kResourceDoesNotExist,
              std::string(what) + " " + quote_for_message(name) + " does not exist.");
}

Catalog need_catalog(Services& s, const std::string& name) {
  auto found = s.models.catalog(name);
  if (!found) missing("Catalog", name);
  return *found;
}

Schema need_schema(Services& s, const std::string& catalog, const std::string& name) {
  auto found = s.models.schema(catalog, name);
  if (!found) missing("Schema", catalog + "." + name);
  return *found;
}

RegisteredModel need_model(Services& s, const FullName& name) {
  auto found = s.models.model(name);
  if (!found) {
    missing("Registered model", name.catalog + "." + name.schema + "." + name.model);
  }
  return *found;
}

ModelVersion need_version(Services& s, const FullName& name, std::int64_t number) {
  need_model(s, name);
  auto found = s.models.version(name, number);
  if (!found) missing("Model version", std::to_string(number));
  return *found;
}

void require_owner(const Caller& caller, std::string_view owner, std::string_view catalog,
                   std::string_view full_name) {
  if (catalog == "system") {
    throw Error(ErrorKind::kPermissionDenied, "The catalog 'system' is read-only.");
  }
  if (caller.principal->is_admin() || caller.principal->name == owner) return;
  throw Error(ErrorKind::kPermissionDenied,
              "Only the owner of '" + std::string(full_name) + "' and admins may change it.");
}

}  // namespace tessera::control
