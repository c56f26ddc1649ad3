// For the tests of this room: an executor with threads, waiting, and a whole control plane on a
// temporary folder with fake workers.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <thread>

#include "base/crypto.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "control/control.h"
#include "control/data_folder.h"
#include "store/principal_store.h"

namespace tessera::control {

namespace fs = std::filesystem;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "tessera_control_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

inline bool eventually(const std::function<bool()>& condition,
                       std::chrono::milliseconds limit = std::chrono::seconds(10)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

// A model "file" is a text file that holds the fake worker's behaviour.
inline std::vector<std::string> fake_command(const WorkerSpec& spec) {
  std::ifstream file(spec.model_path);
  std::string behaviour;
  std::getline(file, behaviour);
  return {TESSERA_FAKE_WORKER, spec.socket_path.string(), behaviour};
}

// A member of an answer, compared with what a test expects.
struct Found {
  json::value value;
  const json::string& as_string() const { return value.as_string(); }
  const json::array& as_array() const { return value.as_array(); }
  std::int64_t as_int64() const { return value.as_int64(); }
  friend bool operator==(const Found& found, std::string_view text) {
    return found.value.is_string() && std::string_view(found.value.as_string()) == text;
  }
  friend bool operator==(const Found& found, const char* text) {
    return found == std::string_view(text);
  }
  friend bool operator==(const Found& found, const std::string& text) {
    return found == std::string_view(text);
  }
  friend bool operator==(const Found& found, int number) {
    return found.value.is_int64() && found.value.as_int64() == number;
  }
  friend bool operator==(const Found& found, bool truth) {
    return found.value.is_bool() && found.value.as_bool() == truth;
  }
  friend void PrintTo(const Found& found, std::ostream* out) { *out << to_json(found.value); }
};

struct Reply {
  int status = 0;
  json::object body;
  std::string text;
  http::Headers headers;
  // By JSON pointer; null when there is nothing.
  Found at(std::string_view pointer) const {
    const json::value whole = body;
    boost::system::error_code error;
    const json::value* found = whole.find_pointer(pointer, error);
    return {found ? *found : json::value(nullptr)};
  }
  std::string code() const {
    auto* found = body.if_contains("error_code");
    return found && found->is_string() ? std::string(found->as_string()) : std::string();
  }
  std::string message() const {
    auto* found = body.if_contains("message");
    return found && found->is_string() ? std::string(found->as_string()) : std::string();
  }
};

// Bob is a user and no admin.
inline const std::string kBobsToken = "dapi-bob";

class Plane {
 public:
  explicit Plane(const fs::path& folder, std::vector<DefaultModel> defaults = {})
      : folder_(folder), data_(folder / "data"), database_({data_.database()}) {
    store::PrincipalStore principals(database_);
    if (principals.load_principals().empty()) {
      principals.save({2, catalog::Principal::Kind::kUser, "bob", "Bob", {"users"}, true});
      principals.add_token({sha256_hex(kBobsToken), 2, "", 1, -1});
    }
    Options options;
    options.data_folder = data_.path();
    options.worker_command = fake_command;
    options.inspect = [](const fs::path& path) {
      std::ifstream file(path);
      std::string behaviour;
      std::getline(file, behaviour);
      if (behaviour.find("fail") != std::string::npos) {
        throw Error(ErrorKind::kUnsupportedModel, "unsupported architecture 'nonsense'");
      }
      ModelFacts facts{"llama", catalog::Task::kChat, 8192, 1'000, "Apache-2.0"};
      if (path.filename().string().starts_with("embed")) facts.task = catalog::Task::kEmbeddings;
      return facts;
    };
    options.default_models = std::move(defaults);
    options.drain_grace = std::chrono::milliseconds(20);
    options.stop_deadline = std::chrono::milliseconds(500);
    options.update_deadline = update_deadline;
    control_ =
        std::make_unique<Control>(std::move(options), database_, holder_, pool_.get_executor());
    control_->start();
    control_->register_routes(router_);
    std::ifstream file(control_->admin_token_file());
    std::getline(file, token_);
  }
  ~Plane() {
    asio::co_spawn(pool_, control_->stop(), asio::use_future).get();
    control_.reset();
    pool_.join();
  }

  // Follows "?a=b" in the path; the error of a handler is presented as the router does.
  Reply call(std::string method, std::string target, std::string body = "",
             std::optional<std::string> token = {},
             std::vector<std::pair<std::string, std::string>> headers = {}) {
    http::Request request;
    request.method = method;
    request.target = target;
    const std::size_t mark = target.find('?');
    request.path = target.substr(0, mark);
    if (mark != std::string::npos) {
      for (std::string_view part : split(std::string_view(target).substr(mark + 1), '&')) {
        const std::size_t equals = part.find('=');
        if (equals != std::string_view::npos) {
          request.query.emplace_back(part.substr(0, equals), part.substr(equals + 1));
        }
      }
    }
    request.body = std::move(body);
    request.id = "test";
    const std::string text = token.value_or(token_);
    if (!text.empty()) request.headers.set("Authorization", "Bearer " + text);
    for (auto& [name, value] : headers) request.headers.set(name, value);
    auto match = router_.match(method, request.path);
    request.params = match.params;
    http::Response response;
    try {
      if (!match.handler) {
        throw Error(match.allow.empty() ? ErrorKind::kPathNotFound : ErrorKind::kMethodNotAllowed,
                    "no such route");
      }
      response = asio::co_spawn(pool_, (*match.handler)(request), asio::use_future).get();
    } catch (const Error& error) {
      response = router_.present(error, request);
    }
    Reply reply;
    reply.status = response.status;
    reply.headers = response.headers;
    reply.text = response.body;
    if (response.body.starts_with('{')) reply.body = parse_json_object(response.body);
    return reply;
  }

  // A model "file" with this behaviour, registered as main.llm.<name>, version READY.
  void register_model(const std::string& name, const std::string& behaviour) {
    const fs::path path = folder_ / name;
    std::ofstream(path) << behaviour << "\n";
    call("POST", "/api/2.1/unity-catalog/catalogs", R"({"name":"main"})");
    call("POST", "/api/2.1/unity-catalog/schemas", R"({"name":"llm","catalog_name":"main"})");
    call("POST", "/api/2.1/unity-catalog/models",
         R"({"name":")" + name + R"(","catalog_name":"main","schema_name":"llm"})");
    Reply made = call("POST", "/api/2.1/unity-catalog/models/versions",
                      R"({"model_name":")" + name +
                          R"(","catalog_name":"main","schema_name":"llm","source":"file://)" +
                          path.string() + R"("})");
    ASSERT_EQ(made.status, 200) << made.text;
    const std::string number = std::to_string(made.at("/version").as_int64());
    Reply done =
        call("PATCH",
             "/api/2.1/unity-catalog/models/main.llm." + name + "/versions/" + number + "/finalize",
             "{}");
    ASSERT_EQ(done.at("/status"), "READY") << done.text;
  }

  Reply endpoint(const std::string& name) {
    return call("GET", "/api/2.0/serving-endpoints/" + name);
  }
  bool wait_state(const std::string& name, std::string_view ready, std::string_view update) {
    return eventually([&] {
      Reply reply = endpoint(name);
      return reply.at("/state/ready") == ready && reply.at("/state/config_update") == update;
    });
  }
  const catalog::Endpoint* find(const std::string& name) {
    snapshot_ = holder_.get();
    return snapshot_->find_endpoint(name);
  }
  Control& control() { return *control_; }
  store::Database& database() { return database_; }
  http::Router& router() { return router_; }
  const std::string& token() const { return token_; }
  static inline std::chrono::milliseconds update_deadline{std::chrono::minutes(60)};

 private:
  fs::path folder_;
  DataFolder data_;
  store::Database database_;
  catalog::SnapshotHolder holder_;
  std::shared_ptr<const catalog::Snapshot> snapshot_;
  asio::thread_pool pool_{2};
  http::Router router_;
  std::unique_ptr<Control> control_;
  std::string token_;
};

inline std::string entity_json(const std::string& model, const std::string& version,
                               const std::string& more = "") {
  return R"({"entity_name":"main.llm.)" + model + R"(","entity_version":")" + version + "\"" +
         more + "}";
}

inline std::string create_json(const std::string& name, const std::string& entities,
                               const std::string& more = "") {
  return R"({"name":")" + name + R"(","config":{"served_entities":[)" + entities + "]}" + more +
         "}";
}

}  // namespace tessera::control
