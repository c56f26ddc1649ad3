// ExternalModel as the API writes it: an object per provider, secrets in pairs (control-plane 1.4).
#pragma once

#include <boost/json/object.hpp>
#include <string_view>

#include "catalog/served_entity.h"

namespace tessera::control {

// Secrets given in plaintext are in `value`, not sealed yet. Checks the form only; the rest is
// catalog::validate_external_model's. Throws Error(kInvalidParameterValue | kWrongType | …) naming
// the field, never a secret's value.
catalog::ExternalModel parse_external_model(const boost::json::object& object,
                                            std::string_view path);

// References are echoed, plaintexts are not.
boost::json::object external_model_json(const catalog::ExternalModel& model);

}  // namespace tessera::control
