// The endpoints, principals and tokens of this installation: in memory, in the database, and, after
// every change, in a new snapshot. A change is saved before it is seen.
//
// Lives on the control thread; only snapshot() may be called from elsewhere.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/snapshot.h"
#include "store/endpoint_store.h"
#include "store/principal_store.h"

namespace tessera::control {

class EndpointTable {
 public:
  EndpointTable(store::Database& database, catalog::SnapshotHolder& holder)
      : endpoint_store_(database), principal_store_(database), holder_(holder) {}

  // Called after each change of endpoints, with this table in its new state.
  void on_change(std::function<void()> callback) { on_change_ = std::move(callback); }
  // From the database. Nothing runs yet: entities wait for their workers, and an update that was
  // interrupted goes on.
  void load(std::int64_t now_ms);

  const catalog::Endpoint* find(std::string_view name) const;
  // Throws Error(kEndpointNotFound): "Endpoint with name 'x' does not exist."
  const catalog::Endpoint& get(std::string_view name) const;
  std::vector<std::shared_ptr<const catalog::Endpoint>> all() const;

  // Throws Error(kResourceAlreadyExists) when the name is taken.
  const catalog::Endpoint& add(catalog::Endpoint endpoint);
  // Applies `act` to a copy, saves it, and lets it replace the endpoint. What `act` throws leaves
  // everything as it was.
  using Act = std::function<void(catalog::Endpoint&)>;
  const catalog::Endpoint& change(std::string_view name, const Act& act);
  void remove(std::string_view name);
  // Lets `act` change what is kept in memory only; it says whether it did.
  void refresh(const std::function<bool(catalog::Endpoint&)>& act);

  // A fact from the supervisor, and the steps of the state machine that follow from it. Processes
  // do not wait for a disk: what cannot be saved is logged and holds all the same.
  void report(const catalog::EntityReport& report, std::int64_t now_ms, std::int64_t deadline_ms);
  // Ends updates whose deadline has passed.
  void settle_all(std::int64_t now_ms, std::int64_t deadline_ms);

  const catalog::Principal* find_principal(std::int64_t id) const;
  const catalog::Principal* find_principal(std::string_view name) const;
  bool has_group(std::string_view name) const;
  void save(const catalog::Principal& principal);
  void add_token(const catalog::Token& token);
  bool remove_token(std::string_view id);
  std::vector<catalog::Token> tokens_of(std::int64_t principal_id) const;

 private:
  using Entry = std::shared_ptr<const catalog::Endpoint>;
  void follow(Entry& entry, catalog::Endpoint next, bool save);
  bool settle(catalog::Endpoint& endpoint, std::int64_t now_ms, std::int64_t deadline_ms);
  void publish();
  void changed();

  store::EndpointStore endpoint_store_;
  store::PrincipalStore principal_store_;
  catalog::SnapshotHolder& holder_;
  std::function<void()> on_change_;
  std::map<std::string, Entry, std::less<>> endpoints_;
  std::map<std::int64_t, std::shared_ptr<const catalog::Principal>> principals_;
  std::vector<catalog::Token> tokens_;
};

}  // namespace tessera::control
