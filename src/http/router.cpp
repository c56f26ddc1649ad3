#include "http/router.h"

#include <algorithm>
#include <set>
#include <span>
#include <stdexcept>
#include <vector>

#include "base/json.h"
#include "base/strings.h"
#include "http/sse.h"

namespace tessera::http {
namespace {

using Params = std::map<std::string, std::string, std::less<>>;

struct Route {
  std::string method;
  Handler handler;
  RouteOptions options;
  std::vector<std::string> names;  // of the parameters, in order of the path
};

// A tree of segments; literal children before the parameter before the rest.
struct Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::unique_ptr<Node> parameter;
  std::unique_ptr<Node> rest;
  std::vector<Route> routes;

  const Route* find(std::string_view method) const {
    for (const Route& route : routes) {
      if (route.method == method) return &route;
    }
    return nullptr;
  }
};

std::string strip_braces(std::string_view segment) {
  return std::string(segment.substr(1, segment.size() - 2));
}

std::vector<std::string_view> segments_of(std::string_view path) {
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return {};
  return split(path, '/');
}

Response default_present(const Error& error, const Request&) {
  json::object body;
  body["error_code"] = std::string(wire_form(error.kind).error_code);
  body["message"] = error.message;
  return Response::json(to_json(body), http_status(error.kind));
}

std::string default_present_in_stream(const Error& error, const Request&) {
  const ErrorWire& wire = wire_form(error.kind);
  json::object inner;
  inner["message"] = error.message;
  inner["type"] = std::string(wire.openai_type);
  inner["param"] = error.param.empty() ? json::value(nullptr) : json::value(error.param);
  inner["code"] = error.code.empty() ? std::string(wire.openai_code) : error.code;
  json::object body;
  body["error"] = std::move(inner);
  body["error_code"] = std::string(wire.error_code);
  body["message"] = error.message;
  return sse_data(to_json(body));
}

}  // namespace

struct Router::Impl {
  struct Presenters {
    std::string prefix;
    ErrorPresenter whole;
    StreamErrorPresenter in_stream;
  };

  Node root;
  std::vector<Presenters> presenters;  // longest prefix first

  const Presenters& presenters_for(std::string_view path) const {
    for (const Presenters& p : presenters) {
      if (path.starts_with(p.prefix)) return p;
    }
    static const Presenters fallback{"", default_present, default_present_in_stream};
    return fallback;
  }

  // Walks every way the path can be read, best first, until one has the method.
  struct Walk {
    std::string_view method;
    std::span<const std::string_view> segments;
    std::vector<std::string> values;  // of the parameters on the way
    std::set<std::string> allowed;    // methods of the places passed

    const Route* visit(const Node& node, std::size_t depth) {
      if (depth == segments.size()) {
        if (const Route* route = finish(node)) return route;
      } else {
        auto literal = node.literals.find(segments[depth]);
        if (literal != node.literals.end()) {
          if (const Route* route = visit(*literal->second, depth + 1)) return route;
        }
        if (node.parameter && !segments[depth].empty()) {
          values.emplace_back(segments[depth]);
          if (const Route* route = visit(*node.parameter, depth + 1)) return route;
          values.pop_back();
        }
      }
      if (node.rest) {
        std::string rest;
        for (std::size_t i = depth; i < segments.size(); ++i) {
          if (i > depth) rest += '/';
          rest += segments[i];
        }
        values.push_back(std::move(rest));
        if (const Route* route = finish(*node.rest)) return route;
        values.pop_back();
      }
      return nullptr;
    }

    const Route* finish(const Node& node) {
      if (const Route* route = node.find(method)) return route;
      if (method == "HEAD") {
        if (const Route* route = node.find("GET")) return route;
      }
      for (const Route& route : node.routes) {
        allowed.insert(route.method);
        if (route.method == "GET") allowed.insert("HEAD");
      }
      return nullptr;
    }
  };
};

Router::Router() : impl_(std::make_unique<Impl>()) {}
Router::~Router() = default;

void Router::add(std::string_view method, std::string_view pattern, Handler handler,
                 RouteOptions options) {
  Node* node = &impl_->root;
  std::vector<std::string> names;
  for (std::string_view segment : segments_of(pattern)) {
    if (node == nullptr) throw std::logic_error("a segment after {rest...}");
    if (segment.starts_with('{') && segment.ends_with("...}")) {
      if (!node->rest) node->rest = std::make_unique<Node>();
      node = node->rest.get();
      names.push_back(std::string(segment.substr(1, segment.size() - 5)));
    } else if (segment.starts_with('{') && segment.ends_with('}')) {
      if (!node->parameter) node->parameter = std::make_unique<Node>();
      node = node->parameter.get();
      names.push_back(strip_braces(segment));
    } else {
      auto& child = node->literals[std::string(segment)];
      if (!child) child = std::make_unique<Node>();
      node = child.get();
    }
  }
  if (node->find(method) != nullptr) {
    throw std::logic_error("route added twice: " + std::string(method) + " " +
                           std::string(pattern));
  }
  node->routes.push_back(
      {std::string(method), std::move(handler), std::move(options), std::move(names)});
}

void Router::present_errors(std::string_view prefix, ErrorPresenter presenter,
                            StreamErrorPresenter stream_presenter) {
  auto& list = impl_->presenters;
  list.push_back({std::string(prefix), std::move(presenter), std::move(stream_presenter)});
  std::stable_sort(list.begin(), list.end(),
                   [](const auto& a, const auto& b) { return a.prefix.size() > b.prefix.size(); });
}

Router::Match Router::match(std::string_view method, std::string_view path) const {
  std::vector<std::string_view> segments = segments_of(path);
  std::vector<std::string> decoded;  // what segments refer to where they were encoded
  for (std::string_view& segment : segments) {
    if (segment.find('%') == std::string_view::npos) continue;
    auto text = url_decode(segment);
    if (!text) {
      throw Error(ErrorKind::kBadValue,
                  "Invalid percent-encoding in the path: " + quote_for_message(segment));
    }
    decoded.reserve(segments.size());  // so that none of them moves
    segment = decoded.emplace_back(std::move(*text));
  }
  Impl::Walk walk{method, segments, {}, {}};
  Match match;
  const Route* route = walk.visit(impl_->root, 0);
  if (route == nullptr) {
    for (const std::string& allowed : walk.allowed) {
      if (!match.allow.empty()) match.allow += ", ";
      match.allow += allowed;
    }
    return match;
  }
  match.handler = &route->handler;
  match.options = route->options;
  for (std::size_t i = 0; i < route->names.size(); ++i) {
    match.params.emplace(route->names[i], std::move(walk.values[i]));
  }
  return match;
}

Response Router::present(const Error& error, const Request& request) const {
  Response response = impl_->presenters_for(request.path).whole(error, request);
  if (error.retry_after_s && !response.headers.get("retry-after")) {
    response.headers.add("retry-after", std::to_string(*error.retry_after_s));
    response.headers.add("retry-after-ms", std::to_string(*error.retry_after_s * 1000LL));
  }
  return response;
}

std::string Router::present_in_stream(const Error& error, const Request& request) const {
  return impl_->presenters_for(request.path).in_stream(error, request);
}

}  // namespace tessera::http
