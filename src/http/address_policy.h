// Which addresses a guarded request may reach (Origin::guarded). Upstreams are named by people who
// configure endpoints; a name must not lead into the server's own network, whatever it resolves to.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::http {

// False for what no public host has: loopback, private, link-local (metadata services), shared,
// documentation, multicast and reserved ranges (IANA special-purpose registries), and IPv6 forms
// that carry such an IPv4 address inside.
bool is_public(const boost::asio::ip::address& address);

class AddressPolicy {
 public:
  AddressPolicy() = default;  // public addresses only
  // What is allowed besides: "10.1.0.0/16", "fd00::/8", "127.0.0.1", "llm.corp.example", and "*"
  // for everything. Throws Error(kBadConfiguration) naming the entry.
  explicit AddressPolicy(const std::vector<std::string>& allowed);

  // May `host`, which is or resolved to `address`, be called?
  bool allows(std::string_view host, const boost::asio::ip::address& address) const;
  // The same before any resolution: false for an address, or a name that means this machine, that
  // is not allowed. A true for a name is not the last word.
  bool allows_name(std::string_view host) const;

 private:
  struct Network {
    boost::asio::ip::address address;
    int prefix_bits = 0;
  };
  bool everything_ = false;
  std::vector<Network> networks_;
  std::vector<std::string> hosts_;  // lower case
};

}  // namespace tessera::http
