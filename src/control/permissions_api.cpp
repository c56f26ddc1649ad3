// Permissions of serving endpoints (control-plane 2).
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "control/services.h"

namespace tessera::control {
namespace {

using namespace catalog;
using asio::awaitable;
using http::Request;
using http::Response;
using Grantee = AclEntry::Grantee;

struct GranteeField {
  Grantee grantee;
  std::string_view field;
};
constexpr GranteeField kGranteeFields[] = {
    {Grantee::kUser, "user_name"},
    {Grantee::kGroup, "group_name"},
    {Grantee::kServicePrincipal, "service_principal_name"},
};

AclEntry parse_entry(const json::object& o, const std::string& path) {
  AclEntry entry;
  int given = 0;
  for (const auto& [grantee, field] : kGranteeFields) {
    const auto name = get_string(o, field, path);
    if (!name) continue;
    entry.grantee = grantee;
    entry.name = *name;
    ++given;
  }
  if (given != 1) {
    throw Error(ErrorKind::kInvalidParameterValue,
                path +
                    ": want exactly one of user_name, group_name and service_principal_name, "
                    "received " +
                    std::to_string(given) + ".",
                path);
  }
  const std::string level = require_string(o, "permission_level", path);
  const auto parsed = parse_permission_level(level);
  if (!parsed) {
    throw Error(ErrorKind::kInvalidParameterValue,
                path + ".permission_level: received " + quote_for_message(level) +
                    ", want CAN_VIEW, CAN_QUERY or CAN_MANAGE.",
                path + ".permission_level");
  }
  entry.level = *parsed;
  return entry;
}

Acl parse_acl(const json::object& body) {
  Acl acl;
  const json::array* list = get_array(body, "access_control_list");
  if (!list) return acl;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string here = index_path("access_control_list", i);
    set_level(acl, parse_entry(as_object((*list)[i], here), here));
  }
  return acl;
}

// On the control thread.
void require_known(const EndpointTable& table, const Acl& acl) {
  for (const AclEntry& entry : acl) {
    const Principal* principal = table.find_principal(entry.name);
    const bool service = entry.grantee == Grantee::kServicePrincipal;
    const bool known =
        entry.grantee == Grantee::kGroup
            ? table.has_group(entry.name)
            : principal && (principal->kind == Principal::Kind::kServicePrincipal) == service;
    if (!known) {
      throw Error(ErrorKind::kResourceDoesNotExist,
                  "Principal " + quote_for_message(entry.name) + " does not exist.");
    }
  }
}

// Only serving endpoints carry permissions so far; a name is as good as an id.
const Endpoint& object_of(const Request& request, const Caller& caller) {
  const std::string& type = param(request, "type");
  if (type != "serving-endpoints") {
    throw Error(ErrorKind::kInvalidParameterValue,
                "Object type " + quote_for_message(type) +
                    " has no permissions, want 'serving-endpoints'.");
  }
  const std::string& id = param(request, "id");
  const Endpoint* endpoint = caller.snapshot->find_endpoint_by_id(id);
  if (!endpoint) endpoint = caller.snapshot->find_endpoint(id);
  if (!endpoint) {
    throw Error(ErrorKind::kResourceDoesNotExist,
                "Serving endpoint with id " + quote_for_message(id) + " does not exist.");
  }
  require_level(endpoint->level_of(*caller.principal), PermissionLevel::kCanManage, endpoint->name);
  return *endpoint;
}

json::object entry_json(const AclEntry& entry) {
  json::object o;
  for (const auto& [grantee, field] : kGranteeFields) {
    if (entry.grantee == grantee) o[field] = entry.name;
  }
  o["display_name"] = entry.name;
  o["all_permissions"] =
      json::array{json::object{{"permission_level", to_string(entry.level)}, {"inherited", false}}};
  return o;
}

json::object permissions_json(const Endpoint& endpoint) {
  json::array list;
  for (const AclEntry& entry : endpoint.acl) list.push_back(entry_json(entry));
  list.push_back(json::object{
      {"group_name", kAdminsGroup},
      {"display_name", kAdminsGroup},
      {"all_permissions",
       json::array{json::object{{"permission_level", "CAN_MANAGE"},
                                {"inherited", true},
                                {"inherited_from_object", json::array{"/serving-endpoints/"}}}}}});
  return {{"object_id", "/serving-endpoints/" + endpoint.id},
          {"object_type", "serving-endpoint"},
          {"access_control_list", std::move(list)}};
}

awaitable<Response> get(Services&, Request request, Caller caller) {
  co_return answer(permissions_json(object_of(request, caller)));
}

awaitable<Response> set(Services& s, Request request, Caller caller, bool replace) {
  const std::string name = object_of(request, caller).name;
  const Acl wanted = parse_acl(body_of(request));
  const Principal& principal = *caller.principal;
  json::object result = co_await s.thread.run([&] {
    require_known(s.table, wanted);
    return permissions_json(s.table.change(name, [&](Endpoint& endpoint) {
      if (replace) endpoint.acl.clear();
      for (const AclEntry& entry : wanted) set_level(endpoint.acl, entry);
      if (endpoint.level_of(principal) < PermissionLevel::kCanManage) {
        throw Error(ErrorKind::kInvalidParameterValue,
                    "access_control_list: it would leave you without CAN_MANAGE on '" + name +
                        "'; add yourself with CAN_MANAGE.",
                    "access_control_list");
      }
    }));
  });
  co_return answer(result);
}

awaitable<Response> put(Services& s, Request request, Caller caller) {
  return set(s, std::move(request), std::move(caller), true);
}

awaitable<Response> patch(Services& s, Request request, Caller caller) {
  return set(s, std::move(request), std::move(caller), false);
}

awaitable<Response> levels(Services&, Request request, Caller caller) {
  object_of(request, caller);
  json::array list;
  for (const auto& [level, description] :
       {std::pair{"CAN_VIEW", "Can view the endpoint"},
        std::pair{"CAN_QUERY", "Can view and query the endpoint"},
        std::pair{"CAN_MANAGE",
                  "Can view, query, update and delete the endpoint and change its "
                  "permissions"}}) {
    list.push_back(json::object{{"permission_level", level}, {"description", description}});
  }
  co_return answer({{"permission_levels", std::move(list)}});
}

}  // namespace

void mount_permissions_api(ApiRoutes& routes, Services& s) {
  const std::string object = "/api/2.0/permissions/{type}/{id}";
  routes.add("GET", object, with(s, get));
  routes.add("PUT", object, with(s, put));
  routes.add("PATCH", object, with(s, patch));
  routes.add("GET", object + "/permissionLevels", with(s, levels));
}

}  // namespace tessera::control
