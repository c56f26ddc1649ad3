// Served entities and the traffic among them.
#include <algorithm>
#include <iterator>
#include <set>

#include "base/error.h"
#include "base/strings.h"
#include "catalog/external_fields.h"
#include "catalog/served_entity.h"
#include "catalog/traffic.h"

namespace tessera::catalog {
namespace {

constexpr std::string_view kTasks[] = {"llm/v1/chat", "llm/v1/completions", "llm/v1/embeddings"};
constexpr std::string_view kKinds[] = {"UC_MODEL", "FOUNDATION_MODEL", "EXTERNAL_MODEL"};
constexpr std::string_view kDeployments[] = {"DEPLOYMENT_CREATING", "DEPLOYMENT_RECOVERING",
                                             "DEPLOYMENT_READY", "DEPLOYMENT_FAILED",
                                             "DEPLOYMENT_ABORTED"};
constexpr std::string_view kWorkloadTypes[] = {"CPU",       "CPU_MEDIUM", "CPU_LARGE",
                                               "GPU_SMALL", "GPU_MEDIUM", "MULTIGPU_MEDIUM",
                                               "GPU_LARGE", "GPU_XLARGE", "GPU_XLARGE_8"};

bool name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

[[noreturn]] void invalid(std::string path, std::string_view field, std::string message) {
  if (!path.empty()) path += '.';
  path += field;
  throw Error(ErrorKind::kInvalidParameterValue, path + ": " + std::move(message), path);
}

void check_bounds(const ServedEntity& entity, std::string path,
                  const std::optional<std::int64_t>& low, const std::optional<std::int64_t>& high,
                  std::string_view what) {
  const std::string min_field = "min_" + std::string(what), max_field = "max_" + std::string(what);
  if (low && *low < 0) {
    invalid(path, min_field, "received " + std::to_string(*low) + ", want 0 or more.");
  }
  if (low && !high) {
    invalid(path, max_field, "missing, want a value because " + min_field + " is given.");
  }
  if (high && *high <= 0) {
    invalid(path, max_field, "received " + std::to_string(*high) + ", want more than 0.");
  }
  if (low && high && *low > *high) {
    invalid(path, max_field,
            "received " + std::to_string(*high) + ", want at least " + min_field + " = " +
                std::to_string(*low) + " (served entity '" + entity.name + "').");
  }
}

void check_workload(const ServedEntity& entity, std::string_view path) {
  const std::string at(path);
  if (!entity.workload_type.empty() &&
      std::find(std::begin(kWorkloadTypes), std::end(kWorkloadTypes), entity.workload_type) ==
          std::end(kWorkloadTypes)) {
    std::string all;
    for (auto type : kWorkloadTypes) all += (all.empty() ? "" : ", ") + std::string(type);
    invalid(at, "workload_type",
            "received " + quote_for_message(entity.workload_type) + ", want one of " + all + ".");
  }
  const bool by_concurrency =
      entity.min_provisioned_concurrency || entity.max_provisioned_concurrency;
  if (by_concurrency && !entity.workload_size.empty()) {
    invalid(at, "workload_size",
            "cannot be combined with min_provisioned_concurrency or max_provisioned_concurrency.");
  }
  check_bounds(entity, at, entity.min_provisioned_concurrency, entity.max_provisioned_concurrency,
               "provisioned_concurrency");
  for (auto value : {entity.min_provisioned_concurrency, entity.max_provisioned_concurrency}) {
    if (value && *value % 4 != 0) {
      invalid(at, "max_provisioned_concurrency",
              "received " + std::to_string(*value) + ", want multiples of 4.");
    }
  }
  check_bounds(entity, at, entity.min_provisioned_throughput, entity.max_provisioned_throughput,
               "provisioned_throughput");
  if (entity.provisioned_model_units) {
    if (*entity.provisioned_model_units <= 0) {
      invalid(
          at, "provisioned_model_units",
          "received " + std::to_string(*entity.provisioned_model_units) + ", want more than 0.");
    }
    if (entity.max_provisioned_throughput) {
      invalid(at, "provisioned_model_units",
              "cannot be combined with min_provisioned_throughput or max_provisioned_throughput.");
    }
  }
}

}  // namespace

std::string_view to_string(Task task) { return kTasks[static_cast<int>(task)]; }

std::optional<Task> parse_task(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kTasks); ++i) {
    if (kTasks[i] == text) return static_cast<Task>(i);
  }
  return std::nullopt;
}

std::string_view to_string(EntityKind kind) { return kKinds[static_cast<int>(kind)]; }

std::string_view to_string(Deployment deployment) {
  return kDeployments[static_cast<int>(deployment)];
}

std::optional<Deployment> parse_deployment(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kDeployments); ++i) {
    if (kDeployments[i] == text) return static_cast<Deployment>(i);
  }
  return std::nullopt;
}

std::string_view ExternalModel::option(const std::string& key) const {
  const auto found = config.find(key);
  return found == config.end() ? std::string_view() : std::string_view(found->second);
}

std::string_view ExternalModel::secret(const std::string& key) const {
  const auto found = secrets.find(key);
  return found == secrets.end() ? std::string_view() : std::string_view(found->second.value);
}

ExternalModel ServedEntity::as_external_model() const {
  if (external_model) return *external_model;
  return {"openai", model_id, task, {}, {}};
}

bool same_deployment(const ServedEntity& a, const ServedEntity& b) {
  return a.kind == b.kind && a.entity_name == b.entity_name &&
         a.entity_version == b.entity_version && a.external_model == b.external_model &&
         a.workload_type == b.workload_type && a.workload_size == b.workload_size &&
         a.min_provisioned_concurrency == b.min_provisioned_concurrency &&
         a.max_provisioned_concurrency == b.max_provisioned_concurrency &&
         a.min_provisioned_throughput == b.min_provisioned_throughput &&
         a.max_provisioned_throughput == b.max_provisioned_throughput &&
         a.provisioned_model_units == b.provisioned_model_units &&
         a.environment_vars == b.environment_vars && a.source == b.source;
}

std::string default_entity_name(const ServedEntity& entity) {
  std::string name;
  if (entity.external_model) {
    name = entity.external_model->name;
  } else {
    auto dot = entity.entity_name.rfind('.');
    name = dot == std::string::npos ? entity.entity_name : entity.entity_name.substr(dot + 1);
    if (!entity.entity_version.empty()) name += "-" + entity.entity_version;
  }
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !name_character(c); }, '-');
  return name;
}

void validate(const ServedEntity& entity, std::string_view path) {
  const std::string at(path);
  if (entity.name.empty() || entity.name.size() > 255 ||
      !std::all_of(entity.name.begin(), entity.name.end(), name_character)) {
    invalid(at, "name",
            "received " + quote_for_message(entity.name) +
                ", want 1 to 255 letters, digits, '-' and '_'.");
  }
  if (entity.kind == EntityKind::kExternalModel) {
    if (!entity.external_model) invalid(at, "external_model", "missing.");
    if (!entity.entity_name.empty() || !entity.entity_version.empty()) {
      invalid(at, "external_model", "cannot be combined with entity_name and entity_version.");
    }
    validate_external_model(*entity.external_model, at + ".external_model");
  } else {
    if (entity.entity_name.empty()) {
      invalid(at, "entity_name", "missing, want a registered model or an external_model.");
    }
    auto version = parse_int(entity.entity_version);
    if (!version || *version < 1) {
      invalid(at, "entity_version",
              "received " + quote_for_message(entity.entity_version) +
                  ", want the number of a model version.");
    }
  }
  check_workload(entity, path);
}

int TrafficConfig::percentage_of(std::string_view entity_name) const {
  for (const Route& route : routes) {
    if (route.served_entity_name == entity_name) return route.traffic_percentage;
  }
  return 0;
}

void validate(const TrafficConfig& traffic, const std::vector<ServedEntity>& entities) {
  const std::string field = "traffic_config.routes";
  auto refuse = [&field](std::string message) {
    throw Error(ErrorKind::kInvalidParameterValue, field + ": " + std::move(message), field);
  };
  std::set<std::string_view> seen;
  int sum = 0;
  for (const Route& route : traffic.routes) {
    const std::string target = quote_for_message(route.served_entity_name);
    if (route.traffic_percentage < 0 || route.traffic_percentage > 100) {
      refuse("traffic_percentage of " + target + " is " + std::to_string(route.traffic_percentage) +
             ", want 0 to 100.");
    }
    if (std::none_of(entities.begin(), entities.end(), [&](const ServedEntity& entity) {
          return entity.name == route.served_entity_name;
        })) {
      refuse("no served entity is named " + target + ".");
    }
    if (!seen.insert(route.served_entity_name).second)
      refuse(target + " has two routes, want one.");
    sum += route.traffic_percentage;
  }
  if (sum != 100) {
    refuse("the percentages sum to " + std::to_string(sum) + ", want 100.");
  }
}

}  // namespace tessera::catalog
