// Endpoints as they were last saved.
#pragma once

#include <string_view>
#include <vector>

#include "catalog/endpoint.h"
#include "store/database.h"

namespace tessera::store {

class EndpointStore {
 public:
  explicit EndpointStore(Database& database) : database_(database) {}

  std::vector<catalog::Endpoint> load_all();  // by name
  // Inserts or replaces, by id, with configs and permissions. Throws Error(kResourceAlreadyExists)
  // when another id has the name.
  void save(const catalog::Endpoint& endpoint);
  void remove(std::string_view id);

 private:
  Database& database_;
};

}  // namespace tessera::store
