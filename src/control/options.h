// What app tells control: where things are, and the two questions control cannot answer itself
// (how to start a worker, what a model folder holds).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catalog/registered_model.h"
#include "catalog/served_entity.h"

namespace tessera::control {

// One worker process to run.
struct WorkerSpec {
  std::string entity_id;      // names the process; a new id is a new process
  std::string endpoint_name;  // of the endpoint it was started for
  std::string entity_name;    // of the served entity
  std::string model_id;       // what the worker calls its model in answers
  std::filesystem::path model_path;
  std::filesystem::path socket_path;  // filled by the supervisor, one per start
  catalog::Task task = catalog::Task::kChat;
  std::optional<int> max_model_len;
  std::map<std::string, std::string> environment;  // added to ours
  bool keep_trying = false;  // it serves: restart for ever; else the first failed start is final
};

// argv of the worker, executable first.
using WorkerCommand = std::function<std::vector<std::string>(const WorkerSpec&)>;

// What the headers of a model folder or file say.
struct ModelFacts {
  std::string architecture;  // "llama", "bert": model_type of the optimisation info
  catalog::Task task = catalog::Task::kChat;
  int context_length = 0;
  std::int64_t parameters = 0;
  std::string license;  // empty: not said
};
// Throws Error for a path that holds no model we can serve. Called on the control thread.
using ModelInspector = std::function<ModelFacts(const std::filesystem::path&)>;

// Registered and given an endpoint at start-up as soon as its files exist.
struct DefaultModel {
  std::string full_name;      // "system.ai.smollm2_135m_instruct"
  std::string endpoint_name;  // "smollm2-135m-instruct"
  std::filesystem::path path;
  catalog::Task task = catalog::Task::kChat;
  catalog::ModelNotes notes;
};

struct Options {
  std::filesystem::path data_folder;    // created with mode 0700
  std::filesystem::path socket_folder;  // of the workers; empty: made below the data folder, or
                                        // below the temporary folder when that path is too long
  std::string host_url = "http://127.0.0.1:8080";  // as clients see it, without a final slash
  std::string admin_user = "admin";
  std::string support_contact;  // named in the note of the 405B endpoint; may be empty
  WorkerCommand worker_command;
  ModelInspector inspect;
  std::vector<DefaultModel> default_models;
  int throughput_chunk_size = 980;  // tokens per second; until models are measured
  std::chrono::milliseconds update_deadline{std::chrono::minutes(60)};
  std::chrono::milliseconds drain_grace{1'000};          // from leaving the snapshot to SIGTERM
  std::chrono::milliseconds stop_deadline{30'000};       // from SIGTERM to SIGKILL
  std::chrono::milliseconds unresponsive_after{60'000};  // a silent worker is killed; 0: never
};

}  // namespace tessera::control
