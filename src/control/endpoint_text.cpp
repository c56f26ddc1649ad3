#include "control/endpoint_text.h"

#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "control/process.h"

namespace tessera::control {

using namespace catalog;

namespace {

struct Series {
  std::string labels;
  MinuteStats stats;
  std::optional<ProcessUsage> usage;
  std::int64_t concurrency = 0;
};

class Exposition {
 public:
  explicit Exposition(std::int64_t now_ms) : stamp_(" " + std::to_string(now_ms) + "\n") {}

  void family(std::string_view name, std::string_view type, std::string_view help) {
    text_ += "# HELP " + std::string(name) + " " + std::string(help) + "\n";
    text_ += "# TYPE " + std::string(name) + " " + std::string(type) + "\n";
  }
  void sample(std::string_view name, const std::string& labels, double value) {
    text_ += name;
    text_ += '{' + labels + "} ";
    append_double(text_, value);
    text_ += stamp_;
  }
  std::string take() { return std::move(text_); }

 private:
  std::string stamp_, text_;
};

std::string label_value(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    if (c == '\n') {
      escaped += "\\n";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

// Upper end of the concurrency band (1.3).
std::int64_t concurrency_of(const ServedEntity& entity) {
  if (entity.max_provisioned_concurrency) return *entity.max_provisioned_concurrency;
  if (entity.workload_size == "Medium") return 16;
  if (entity.workload_size == "Large") return 64;
  return 4;
}

void write_latency(Exposition& out, const Series& series) {
  std::int64_t below = 0;
  for (std::size_t i = 0; i < series.stats.latency_buckets.size(); ++i) {
    below += series.stats.latency_buckets[i];
    const std::string bound =
        i < kLatencyBoundsMs.size() ? std::to_string(kLatencyBoundsMs[i]) : std::string("+Inf");
    out.sample("request_latency_ms_bucket", series.labels + ",le=\"" + bound + "\"",
               static_cast<double>(below));
  }
  out.sample("request_latency_ms_sum", series.labels,
             static_cast<double>(series.stats.latency_sum_ms));
  out.sample("request_latency_ms_count", series.labels, static_cast<double>(below));
}

json::object schema_of(Task task) {
  auto array_of = [](std::string_view type) {
    return json::object{{"type", "array"}, {"items", {{"type", type}}}};
  };
  json::object properties;
  json::array required;
  switch (task) {
    case Task::kChat:
      properties["messages"] = array_of("object");
      required = {"messages"};
      break;
    case Task::kCompletions:
      properties["prompt"] = {{"anyOf", {{{"type", "string"}}, array_of("string")}}};
      required = {"prompt"};
      break;
    case Task::kEmbeddings:
      properties["input"] = {{"anyOf", {{{"type", "string"}}, array_of("string")}}};
      required = {"input"};
      break;
  }
  if (task != Task::kEmbeddings) {
    properties["max_tokens"] = {{"type", "integer"}, {"minimum", 1}};
    properties["temperature"] = {{"type", "number"}, {"minimum", 0}, {"maximum", 2}};
    properties["top_p"] = {{"type", "number"}, {"minimum", 0}, {"maximum", 1}};
    properties["stop"] = array_of("string");
    properties["n"] = {{"type", "integer"}, {"minimum", 1}};
    properties["stream"] = {{"type", "boolean"}};
  }
  return {{"type", "object"}, {"properties", std::move(properties)}, {"required", required}};
}

json::object answer_schema(Task task) {
  json::object properties{{"object", {{"type", "string"}}},
                          {"model", {{"type", "string"}}},
                          {"usage", {{"type", "object"}}}};
  const char* list = task == Task::kEmbeddings ? "data" : "choices";
  properties[list] = {{"type", "array"}, {"items", {{"type", "object"}}}};
  return {{"type", "object"}, {"properties", std::move(properties)}};
}

}  // namespace

std::string metrics_text(const Endpoint& endpoint, const TrafficStats& traffic,
                         const Supervisor& supervisor, bool open_metrics, std::int64_t now_ms) {
  std::vector<Series> all;
  if (endpoint.active) {
    for (const ServedEntity& entity : endpoint.active->entities) {
      Series series;
      series.labels = "endpoint_name=\"" + label_value(endpoint.name) + "\",served_entity_name=\"" +
                      label_value(entity.name) + "\",config_version=\"" +
                      std::to_string(endpoint.active->config_version) + "\"";
      series.stats = traffic.last_minute(endpoint.name, entity.name, now_ms);
      series.concurrency = concurrency_of(entity);
      series.usage = supervisor.usage(entity.id);
      all.push_back(std::move(series));
    }
  }
  Exposition out(now_ms);
  const double memory =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  out.family("cpu_usage_percentage", "gauge", "CPU use of the replicas in percent of one core");
  for (const Series& s : all) {
    if (s.usage) out.sample("cpu_usage_percentage", s.labels, 100 * s.usage->cpu_seconds);
  }
  out.family("mem_usage_percentage", "gauge", "Resident memory in percent of the machine's");
  for (const Series& s : all) {
    if (s.usage) {
      out.sample("mem_usage_percentage", s.labels,
                 100 * static_cast<double>(s.usage->resident_bytes) / memory);
    }
  }
  out.family("provisioned_concurrent_requests_total", "gauge", "Provisioned concurrency");
  for (const Series& s : all) {
    out.sample("provisioned_concurrent_requests_total", s.labels,
               static_cast<double>(s.concurrency));
  }
  out.family("request_count_total", "gauge", "Requests in the last minute");
  for (const Series& s : all) {
    out.sample("request_count_total", s.labels, static_cast<double>(s.stats.requests));
  }
  out.family("request_4xx_count_total", "gauge", "Answers 4xx in the last minute");
  for (const Series& s : all) {
    out.sample("request_4xx_count_total", s.labels, static_cast<double>(s.stats.client_errors));
  }
  out.family("request_5xx_count_total", "gauge", "Answers 5xx in the last minute");
  for (const Series& s : all) {
    out.sample("request_5xx_count_total", s.labels, static_cast<double>(s.stats.server_errors));
  }
  out.family("request_latency_ms", "histogram", "Latency of the last minute's requests");
  for (const Series& s : all) write_latency(out, s);
  std::string text = out.take();
  if (open_metrics) text += "# EOF\n";
  return text;
}

json::object openapi_document(const Endpoint& endpoint, const std::string& host_url) {
  if (!endpoint.ready()) {
    throw Error(ErrorKind::kInvalidState,
                "Endpoint '" + endpoint.name + "' is not READY; its schema is not known.");
  }
  json::object paths;
  for (const ServedEntity& entity : endpoint.active->entities) {
    json::object post;
    post["operationId"] = "query_" + entity.name;
    post["requestBody"] = {
        {"required", true},
        {"content", {{"application/json", {{"schema", schema_of(entity.task)}}}}}};
    post["responses"] = {
        {"200",
         {{"description", "The model's answer"},
          {"content", {{"application/json", {{"schema", answer_schema(entity.task)}}}}}}}};
    paths["/served-models/" + entity.name + "/invocations"] =
        json::object{{"post", std::move(post)}};
  }
  return {
      {"openapi", "3.1.0"},
      {"info",
       {{"title", endpoint.name}, {"version", std::to_string(endpoint.active->config_version)}}},
      {"servers", json::array{{{"url", host_url + "/serving-endpoints/" + endpoint.name}}}},
      {"paths", std::move(paths)}};
}

}  // namespace tessera::control
