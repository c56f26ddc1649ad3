#include "http/address_policy.h"

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"

namespace tessera::http {
namespace {

namespace ip = boost::asio::ip;

struct V4Range {
  std::uint32_t network;
  int bits;
};

// https://www.iana.org/assignments/iana-ipv4-special-registry, and multicast.
constexpr V4Range kNotPublicV4[] = {
    {0x00000000, 8},  {0x0A000000, 8},  {0x64400000, 10}, {0x7F000000, 8},  {0xA9FE0000, 16},
    {0xAC100000, 12}, {0xC0000000, 24}, {0xC0000200, 24}, {0xC0586300, 24}, {0xC0A80000, 16},
    {0xC6120000, 15}, {0xC6336400, 24}, {0xCB007100, 24}, {0xE0000000, 4},  {0xF0000000, 4},
};

bool is_public_v4(std::uint32_t address) {
  return std::ranges::none_of(kNotPublicV4, [&](const V4Range& range) {
    return (address ^ range.network) >> (32 - range.bits) == 0;
  });
}

std::uint32_t v4_at(const ip::address_v6::bytes_type& bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
         std::uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}

bool is_public_v6(const ip::address_v6& address) {
  const auto bytes = address.to_bytes();
  if (address.is_v4_mapped()) return is_public_v4(v4_at(bytes, 12));
  const std::uint32_t head = v4_at(bytes, 0), second = v4_at(bytes, 4), third = v4_at(bytes, 8);
  // 64:ff9b::/96, NAT64: leads to the IPv4 address at its end.
  if (head == 0x0064FF9B && second == 0 && third == 0) return is_public_v4(v4_at(bytes, 12));
  if (head >> 29 != 1) return false;                // beyond 2000::/3 nothing is public
  if (head >> 16 == 0x2002) return false;           // 6to4
  if (head >> 9 == 0x20010000u >> 9) return false;  // 2001::/23, Teredo among it
  return head != 0x20010DB8;                        // documentation
}

ip::address unmapped(const ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return ip::make_address_v4(ip::v4_mapped, address.to_v6());
  }
  return address;
}

template <class Bytes>
bool same_prefix(const Bytes& a, const Bytes& b, int bits) {
  for (std::size_t i = 0; bits > 0; ++i, bits -= 8) {
    const int different = a[i] ^ b[i];
    if (bits >= 8 ? different != 0 : (different >> (8 - bits)) != 0) return false;
  }
  return true;
}

bool means_this_machine(std::string_view host) {
  return host == "localhost" || host.ends_with(".localhost") || host == "metadata" ||
         host == "metadata.google.internal";
}

std::string normal(std::string_view host) {
  std::string out = to_lower(host);
  if (out.ends_with('.')) out.pop_back();
  return out;
}

}  // namespace

bool is_public(const ip::address& address) {
  return address.is_v4() ? is_public_v4(address.to_v4().to_uint()) : is_public_v6(address.to_v6());
}

AddressPolicy::AddressPolicy(const std::vector<std::string>& allowed) {
  for (const std::string& entry : allowed) {
    const std::string_view text = trim(entry);
    const auto refuse = [&](std::string_view wanted) {
      throw Error(ErrorKind::kBadConfiguration, "allow_private_upstreams: received " +
                                                    quote_for_message(entry) + ", want " +
                                                    std::string(wanted) + ".");
    };
    if (text.empty()) continue;
    if (text == "*") {
      everything_ = true;
      continue;
    }
    const std::size_t slash = text.find('/');
    boost::system::error_code error;
    const auto address = ip::make_address(std::string(text.substr(0, slash)), error);
    if (error) {
      if (slash != std::string_view::npos) refuse("an address before '/'");
      if (text.find_first_of(" :@?#") != std::string_view::npos) {
        refuse("a CIDR, an address or a host name");
      }
      hosts_.push_back(normal(text));
      continue;
    }
    const int widest = address.is_v4() ? 32 : 128;
    int bits = widest;
    if (slash != std::string_view::npos) {
      const auto given = parse_int(text.substr(slash + 1));
      if (!given || *given < 0 || *given > widest) {
        refuse("a prefix of 0 to " + std::to_string(widest) + " bits");
      }
      bits = static_cast<int>(*given);
    }
    networks_.push_back({address, bits});
  }
}

bool AddressPolicy::allows(std::string_view host, const ip::address& given) const {
  if (everything_) return true;
  const ip::address address = unmapped(given);
  if (is_public(address)) return true;
  if (std::ranges::find(hosts_, normal(host)) != hosts_.end()) return true;
  return std::ranges::any_of(networks_, [&](const Network& network) {
    if (network.address.is_v4() != address.is_v4()) return false;
    return address.is_v4() ? same_prefix(network.address.to_v4().to_bytes(),
                                         address.to_v4().to_bytes(), network.prefix_bits)
                           : same_prefix(network.address.to_v6().to_bytes(),
                                         address.to_v6().to_bytes(), network.prefix_bits);
  });
}

bool AddressPolicy::allows_name(std::string_view host) const {
  const std::string name = normal(host);
  boost::system::error_code error;
  const auto address = ip::make_address(name, error);
  if (!error) return allows(name, address);
  if (!means_this_machine(name)) return true;
  return everything_ || std::ranges::find(hosts_, name) != hosts_.end() ||
         allows(name, ip::address_v4::loopback());
}

}  // namespace tessera::http
