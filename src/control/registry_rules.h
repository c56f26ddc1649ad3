// What the routes of the model registry (control-plane 4.1, 4.3) have in common: names, finding,
// and who may change what.
//
// Everybody may read. Owners and admins may change what they own. Versions point at files of this
// machine, so only admins may add them. The catalog `system` is read-only, except that admins may
// add versions to its models: that is how a preconfigured endpoint gets its weights.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/json.h"
#include "catalog/registered_model.h"
#include "control/services.h"

namespace tessera::control {

inline const std::string kRegistryBase = "/api/2.1/unity-catalog";

// Parts of what mount_models_api() mounts.
void mount_catalogs(ApiRoutes& routes, Services& services);  // and their schemas
void mount_model_versions(ApiRoutes& routes, Services& services);

// The {full_name} of a model's routes. Throws Error(kInvalidParameterValue).
catalog::FullName model_name(const http::Request& request);
bool forced(const http::Request& request);  // force=true: with all that is in it

[[noreturn]] void missing(std::string_view what, std::string_view name);

// On the control thread. They throw Error(kResourceDoesNotExist).
catalog::Catalog need_catalog(Services& s, const std::string& name);
catalog::Schema need_schema(Services& s, const std::string& catalog, const std::string& name);
catalog::RegisteredModel need_model(Services& s, const catalog::FullName& name);
catalog::ModelVersion need_version(Services& s, const catalog::FullName& name, std::int64_t number);

// Throws Error(kPermissionDenied).
void require_owner(const Caller& caller, std::string_view owner, std::string_view catalog,
                   std::string_view full_name);

// The history of an object that the caller has made or changed.
template <class T>
void born(T& object, const Caller& caller) {
  object.id = uuid_v4();
  object.created_at_ms = object.updated_at_ms = now_ms();
  object.created_by = object.updated_by = caller.principal->name;
}

template <class T>
void touched(T& object, const Caller& caller) {
  object.updated_at_ms = now_ms();
  object.updated_by = caller.principal->name;
}

// Fields that every kind of object may change.
template <class T>
void patch_common(T& object, const json::object& body) {
  if (auto name = get_string(body, "new_name")) {
    object.name = catalog::parse_component(*name, "new_name");
  }
  if (auto comment = get_string(body, "comment")) object.comment = *comment;
  if (auto owner = get_string(body, "owner")) object.owner = *owner;
}

// Catalogue objects answer a taken name with 400 (7.2); the code is what clients look at.
template <class F>
auto naming_conflicts(std::string_view what, const std::string& name, F act) {
  try {
    return act();
  } catch (Error& error) {
    if (error.kind == ErrorKind::kResourceAlreadyExists) {
      error.message = std::string(what) + " '" + name + "' already exists.";
    }
    throw;
  }
}

}  // namespace tessera::control
