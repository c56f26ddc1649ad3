// The pay-per-token endpoints that every installation lists (data-plane 8.1, control-plane 4.2.1).
#pragma once

#include <string>
#include <vector>

#include "catalog/registered_model.h"
#include "catalog/served_entity.h"

namespace tessera::control {

struct Preconfigured {
  std::string endpoint_name;
  std::string model_name;  // in system.ai
  catalog::Task task = catalog::Task::kChat;
  int context_length = 0;
  catalog::ModelNotes notes;
};

// `support_contact` is whom the note of the 405B endpoint names; may be empty.
std::vector<Preconfigured> preconfigured_endpoints(const std::string& support_contact);

}  // namespace tessera::control
