#include "base/metrics.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/strings.h"

namespace tessera {
namespace {

std::string print(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::string out;
  append_double(out, value);
  if (out.ends_with(".0")) out.resize(out.size() - 2);
  return out;
}

void append_escaped(std::string& out, std::string_view text, bool in_label) {
  for (char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && in_label) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

// {a="x",b="y"}, with le when given; nothing without labels.
std::string print_labels(const std::vector<std::string>& names,
                         const std::vector<std::string>& values, std::string_view le = {}) {
  if (names.empty() && le.empty()) return {};
  std::string out = "{";
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += ',';
    out += names[i] + "=\"";
    append_escaped(out, values[i], true);
    out += '"';
  }
  if (!le.empty()) {
    if (!names.empty()) out += ',';
    out.append("le=\"").append(le) += '"';
  }
  return out += '}';
}

void append_header(std::string& out, const std::string& name, const std::string& help,
                   std::string_view type) {
  out += "# HELP " + name + " ";
  append_escaped(out, help, false);
  out += "\n# TYPE " + name + " ";
  out.append(type) += '\n';
}

void append_series(std::string& out, const std::string& name, const std::string& labels,
                   const std::string& value) {
  out += name + labels + " " + value + "\n";
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)),
      buckets_(std::make_unique<std::atomic<std::uint64_t>[]>(bounds_.size() + 1)) {}

void Histogram::observe(double value) {
  auto at = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  buckets_[static_cast<std::size_t>(at)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::uint64_t Histogram::count() const {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i <= bounds_.size(); ++i) total += bucket(i);
  return total;
}

std::uint64_t Histogram::bucket(std::size_t index) const {
  return buckets_[index].load(std::memory_order_relaxed);
}

std::vector<double> exponential_bounds(double start, double factor, int count) {
  std::vector<double> bounds;
  for (double bound = start; count > 0; --count, bound *= factor) bounds.push_back(bound);
  return bounds;
}

template <class Metric>
Metric& Family<Metric>::with(const std::vector<std::string>& label_values) {
  if (label_values.size() != label_names_.size()) {
    throw std::logic_error("metric " + name_ + " has " + std::to_string(label_names_.size()) +
                           " labels");
  }
  std::lock_guard lock(mutex_);
  auto& metric = series_[label_values];
  if (!metric) {
    if constexpr (std::is_same_v<Metric, Histogram>) {
      metric = std::make_unique<Histogram>(bounds_);
    } else {
      metric = std::make_unique<Metric>();
    }
  }
  return *metric;
}

template class Family<Counter>;
template class Family<Gauge>;
template class Family<Histogram>;

struct Metrics::Impl {
  template <class Metric>
  using Families = std::map<std::string, std::unique_ptr<Family<Metric>>>;

  mutable std::mutex mutex;  // guards the three maps
  Families<Counter> counters;
  Families<Gauge> gauges;
  Families<Histogram> histograms;

  template <class Metric>
  Family<Metric>& get(Families<Metric>& families, std::string name, std::string help,
                      std::vector<std::string> labels, std::vector<double> bounds = {}) {
    std::lock_guard lock(mutex);
    auto& family = families[name];
    if (!family) {
      family = std::make_unique<Family<Metric>>(name, std::move(help), std::move(labels),
                                                std::move(bounds));
    }
    return *family;
  }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

Family<Counter>& Metrics::counter(std::string name, std::string help,
                                  std::vector<std::string> label_names) {
  return impl_->get(impl_->counters, std::move(name), std::move(help), std::move(label_names));
}

Family<Gauge>& Metrics::gauge(std::string name, std::string help,
                              std::vector<std::string> label_names) {
  return impl_->get(impl_->gauges, std::move(name), std::move(help), std::move(label_names));
}

Family<Histogram>& Metrics::histogram(std::string name, std::string help,
                                      std::vector<double> bounds,
                                      std::vector<std::string> label_names) {
  return impl_->get(impl_->histograms, std::move(name), std::move(help), std::move(label_names),
                    std::move(bounds));
}

std::string Metrics::text() const {
  std::map<std::string, std::string> blocks;  // by family name
  std::lock_guard lock(impl_->mutex);
  for (const auto& [name, family] : impl_->counters) {
    std::lock_guard series_lock(family->mutex_);
    append_header(blocks[name], name, family->help_, "counter");
    for (const auto& [values, metric] : family->series_) {
      append_series(blocks[name], name, print_labels(family->label_names_, values),
                    std::to_string(metric->value()));
    }
  }
  for (const auto& [name, family] : impl_->gauges) {
    std::lock_guard series_lock(family->mutex_);
    append_header(blocks[name], name, family->help_, "gauge");
    for (const auto& [values, metric] : family->series_) {
      append_series(blocks[name], name, print_labels(family->label_names_, values),
                    print(metric->value()));
    }
  }
  for (const auto& [name, family] : impl_->histograms) {
    std::lock_guard series_lock(family->mutex_);
    std::string& out = blocks[name];
    append_header(out, name, family->help_, "histogram");
    for (const auto& [values, metric] : family->series_) {
      std::uint64_t total = 0;
      for (std::size_t i = 0; i <= metric->bounds().size(); ++i) {
        total += metric->bucket(i);
        std::string le = i < metric->bounds().size() ? print(metric->bounds()[i]) : "+Inf";
        append_series(out, name + "_bucket", print_labels(family->label_names_, values, le),
                      std::to_string(total));
      }
      std::string labels = print_labels(family->label_names_, values);
      append_series(out, name + "_sum", labels, print(metric->sum()));
      append_series(out, name + "_count", labels, std::to_string(total));
    }
  }
  std::string out;
  for (const auto& [name, block] : blocks) out += block;
  return out;
}

}  // namespace tessera
