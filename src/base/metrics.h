// Counters, gauges and histograms, written as Prometheus text (exposition format 0.0.4).
//
// A family is registered once by name and lives as long as its registry. with() finds or makes the
// series of one set of label values under a mutex: keep the reference, which stays valid; add(),
// set() and observe() are lock-free and may be called from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

class Counter {
 public:
  void add(std::uint64_t amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  void add(double amount) { value_.fetch_add(amount, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);  // upper bounds, ascending; +Inf is implied
  void observe(double value);
  std::uint64_t count() const;
  double sum() const { return sum_.load(std::memory_order_relaxed); }
  const std::vector<double>& bounds() const { return bounds_; }
  std::uint64_t bucket(std::size_t index) const;  // not cumulative; index bounds().size() is +Inf

 private:
  std::vector<double> bounds_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> buckets_;
  std::atomic<double> sum_{0};
};

// start, start*factor, … `count` bounds.
std::vector<double> exponential_bounds(double start, double factor, int count);

template <class Metric>
class Family {
 public:
  Family(std::string name, std::string help, std::vector<std::string> label_names,
         std::vector<double> bounds)
      : name_(std::move(name)),
        help_(std::move(help)),
        label_names_(std::move(label_names)),
        bounds_(std::move(bounds)) {}
  // As many values as label names.
  Metric& with(const std::vector<std::string>& label_values = {});

 private:
  friend class Metrics;
  std::string name_, help_;
  std::vector<std::string> label_names_;
  std::vector<double> bounds_;  // of histograms
  mutable std::mutex mutex_;    // guards series_
  std::map<std::vector<std::string>, std::unique_ptr<Metric>> series_;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  // The same name again returns the same family; names and labels as Prometheus wants them.
  Family<Counter>& counter(std::string name, std::string help,
                           std::vector<std::string> label_names = {});
  Family<Gauge>& gauge(std::string name, std::string help,
                       std::vector<std::string> label_names = {});
  Family<Histogram>& histogram(std::string name, std::string help, std::vector<double> bounds,
                               std::vector<std::string> label_names = {});
  std::string text() const;  // families and series in alphabetical order

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tessera
