// The model registry in the JSON of the Unity Catalog API (control-plane 4.1).
#pragma once

#include <boost/json/object.hpp>
#include <string_view>

#include "catalog/registered_model.h"

namespace tessera::control {

namespace json = boost::json;

json::object catalog_json(const catalog::Catalog& c, std::string_view metastore_id);
json::object schema_json(const catalog::Schema& schema, std::string_view metastore_id);
json::object alias_json(const catalog::RegisteredModel& m, const catalog::ModelAlias& alias);
json::object model_json(const catalog::RegisteredModel& m, std::string_view metastore_id,
                        bool with_aliases);
// With the aliases that point at the version, if its model is given.
json::object version_json(const catalog::ModelVersion& v, std::string_view metastore_id,
                          const catalog::RegisteredModel* aliases_of = nullptr);

}  // namespace tessera::control
