#include "control/control.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <future>
#include <mutex>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "control/bootstrap.h"
#include "control/control_thread.h"
#include "control/data_folder.h"
#include "control/endpoint_table.h"
#include "control/services.h"
#include "control/supervisor.h"
#include "control/traffic_stats.h"
#include "store/usage_store.h"

namespace tessera::control {

using namespace catalog;
using namespace std::chrono_literals;

namespace {

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
// Written as soon as so many wait, or after five seconds. Small batches: a long one takes a core
// away from requests just long enough to be seen in their 99th percentile.
constexpr std::size_t kUsageBatch = 128, kUsageKept = 100'000;

SupervisorOptions supervisor_options(const Options& options) {
  SupervisorOptions made;
  made.command = options.worker_command;
  made.socket_folder = prepare_socket_folder(options.socket_folder, options.data_folder);
  made.drain_grace = options.drain_grace;
  made.stop_deadline = options.stop_deadline;
  made.unresponsive_after = options.unresponsive_after;
  made.probe_interval = std::min(made.probe_interval, made.unresponsive_after / 4);
  return made;
}

WorkerSpec spec_of(const Endpoint& endpoint, const ServedEntity& entity, bool serves) {
  WorkerSpec spec;
  spec.entity_id = entity.id;
  spec.endpoint_name = endpoint.name;
  spec.entity_name = entity.name;
  spec.model_id = entity.model_id;
  spec.model_path = entity.source;
  spec.task = entity.task;
  // Only when asked for: without it the worker takes what model and memory allow.
  spec.max_model_len = endpoint.settings.max_model_len;
  spec.environment = entity.environment_vars;
  spec.keep_trying = serves;
  return spec;
}

// Everything that should run: active configs, unless stopped, and configs being rolled out.
std::vector<WorkerSpec> desired_workers(const EndpointTable& table) {
  std::vector<WorkerSpec> specs;
  auto add = [&specs](const Endpoint& endpoint, const EndpointConfig& config, bool serves) {
    for (const ServedEntity& entity : config.entities) {
      if (entity.kind == EntityKind::kExternalModel || entity.source.empty()) continue;
      specs.push_back(spec_of(endpoint, entity, serves));
    }
  };
  for (const auto& endpoint : table.all()) {
    if (endpoint->active && !endpoint->suspended) add(*endpoint, *endpoint->active, true);
    if (endpoint->config_update == ConfigUpdate::kInProgress && endpoint->pending) {
      add(*endpoint, *endpoint->pending, false);
    }
  }
  return specs;
}

}  // namespace

struct Control::Impl : std::enable_shared_from_this<Control::Impl> {
  Impl(Options given, store::Database& database, SnapshotHolder& holder,
       asio::any_io_executor executor)
      : options(std::move(given)),
        database(database),
        holder(holder),
        table(database, holder),
        models(database),
        usage_store(database),
        secret_store(database),
        vault(secret_store, secret_key(options.data_folder / "secret-key")),
        strand(asio::make_strand(executor)),
        tick_timer(strand),
        supervisor(std::move(executor), supervisor_options(options),
                   [this](EntityReport report) { take(std::move(report)); }),
        services{options, thread, table, models, supervisor, traffic, {}, secret_store, vault} {}

  // From the supervisor's strand.
  void take(EntityReport report) {
    thread.post([weak = weak_from_this(), report = std::move(report)] {
      if (auto self = weak.lock())
        self->on_thread(
            [&] { self->table.report(report, now_ms(), self->options.update_deadline.count()); });
    });
  }
  // Work that nobody waits for must not end the thread.
  template <class F>
  void on_thread(F work) {
    try {
      work();
    } catch (const std::exception& error) {
      log_error("control", "background work failed", {{"error", error.what()}});
    }
  }
  void bootstrap();
  void flush_usage();
  static asio::awaitable<void> tick(std::shared_ptr<Impl> self);

  const Options options;
  store::Database& database;
  SnapshotHolder& holder;
  EndpointTable table;
  store::ModelStore models;
  store::UsageStore usage_store;
  store::SecretStore secret_store;
  SecretVault vault;
  TrafficStats traffic;
  asio::strand<asio::any_io_executor> strand;
  asio::steady_timer tick_timer;  // on the strand
  bool stopping = false;          // on the strand
  std::mutex usage_mutex;         // guards usage
  std::vector<UsageRecord> usage;
  ControlThread thread;  // joined by ~Control, while what it uses still stands
  Supervisor supervisor;
  Services services;
};

void Control::Impl::bootstrap() {
  services.workspace_id = control::workspace_id(database);
  table.load(now_ms());
  table.refresh([this](Endpoint& endpoint) { return vault.open(endpoint); });
  if (ensure_admin(table, options.admin_user, options.data_folder / "admin-token")) {
    log_info("control", "made the admin user",
             {{"user", options.admin_user},
              {"token_file", (options.data_folder / "admin-token").string()}});
  }
  ensure_catalog(table, database, models, vault, options);
  table.on_change([this] { supervisor.set_desired(desired_workers(table)); });
  supervisor.set_desired(desired_workers(table));
}

void Control::Impl::flush_usage() {
  std::vector<UsageRecord> batch;
  batch.reserve(kUsageBatch);
  {
    std::lock_guard lock(usage_mutex);
    batch.swap(usage);
  }
  if (batch.empty()) return;
  try {
    usage_store.append(batch);
  } catch (const Error& error) {
    log_error("control", "usage rows could not be written, trying again",
              {{"rows", batch.size()}, {"error", error.message}});
    std::lock_guard lock(usage_mutex);
    if (usage.size() + batch.size() <= kUsageKept) {
      usage.insert(usage.begin(), batch.begin(), batch.end());
    }
  }
}

asio::awaitable<void> Control::Impl::tick(std::shared_ptr<Impl> self) {
  for (int second = 1; !self->stopping; ++second) {
    self->tick_timer.expires_after(1s);
    co_await self->tick_timer.async_wait(kToken);
    if (self->stopping) break;
    const bool flush = second % 5 == 0;
    if (flush) self->supervisor.sample_usage();
    self->thread.post([weak = self->weak_from_this(), flush] {
      if (auto self = weak.lock())
        self->on_thread([&] {
          self->table.settle_all(now_ms(), self->options.update_deadline.count());
          if (flush) self->flush_usage();
        });
    });
  }
}

Control::Control(Options options, store::Database& database, SnapshotHolder& holder,
                 asio::any_io_executor executor) {
  if (!options.worker_command) {
    throw Error(ErrorKind::kBadConfiguration, "Options.worker_command is not set.");
  }
  impl_ = std::make_shared<Impl>(std::move(options), database, holder, std::move(executor));
}

Control::~Control() {
  asio::post(impl_->strand, [impl = impl_] {
    impl->stopping = true;
    impl->tick_timer.cancel();
  });
  impl_->thread.join();  // here, so that Impl never ends on its own thread
}

void Control::start() {
  std::promise<void> done;
  impl_->thread.post([this, &done] {
    try {
      impl_->bootstrap();
      done.set_value();
    } catch (...) {
      done.set_exception(std::current_exception());
    }
  });
  done.get_future().get();
  asio::co_spawn(impl_->strand, Impl::tick(impl_), asio::detached);
}

void Control::register_routes(http::Router& router) {
  Services& services = impl_->services;
  ApiRoutes routes(router, impl_->holder, services.workspace_id);
  mount_endpoints_api(routes, services);
  mount_external_models_api(routes, services);
  mount_models_api(routes, services);
  mount_permissions_api(routes, services);
  mount_principals_api(routes, services);
  mount_secrets_api(routes, services);
  mount_discovery(router, services);
}

asio::awaitable<void> Control::stop() {
  auto impl = impl_;
  co_await asio::post(impl->strand, asio::use_awaitable);
  impl->stopping = true;
  impl->tick_timer.cancel();
  co_await impl->supervisor.stop();
  // By reference: g++ 12 destroys captures with destructors twice inside co_await (PR 99576).
  co_await impl->thread.run([&impl] { impl->flush_usage(); });
}

std::filesystem::path Control::admin_token_file() const {
  return impl_->options.data_folder / "admin-token";
}

std::string Control::workspace_id() const { return impl_->services.workspace_id; }

bool Control::ready() const { return impl_->holder.get()->any_ready(); }

void Control::record_usage(UsageRecord&& record) {
  impl_->traffic.record(record, now_ms());
  bool full = false;
  {
    std::lock_guard lock(impl_->usage_mutex);
    if (impl_->usage.size() >= kUsageKept) return;
    impl_->usage.push_back(std::move(record));
    full = impl_->usage.size() == kUsageBatch;
  }
  if (full) {
    impl_->thread.post([weak = std::weak_ptr(impl_)] {
      if (auto impl = weak.lock()) impl->flush_usage();
    });
  }
}

}  // namespace tessera::control
