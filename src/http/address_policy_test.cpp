#include "http/address_policy.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tessera::http {
namespace {

boost::asio::ip::address ip(const char* text) { return boost::asio::ip::make_address(text); }

TEST(AddressPolicy, PublicAddresses) {
  for (const char* address :
       {"1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.1", "100.63.0.1", "100.128.0.1",
        "192.167.1.1", "223.255.255.255", "198.17.0.1", "2606:4700::1111", "2a00:1450::1",
        "64:ff9b::808:808", "::ffff:8.8.8.8"}) {
    EXPECT_TRUE(is_public(ip(address))) << address;
  }
  for (const char* address : {"0.0.0.0",
                              "10.0.0.1",
                              "100.64.0.1",
                              "127.0.0.1",
                              "127.255.255.254",
                              "169.254.169.254",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.0.0.1",
                              "192.0.2.1",
                              "192.168.0.1",
                              "198.18.0.1",
                              "198.51.100.1",
                              "203.0.113.1",
                              "224.0.0.1",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "::ffff:127.0.0.1",
                              "::ffff:169.254.169.254",
                              "64:ff9b::a9fe:a9fe",
                              "64:ff9b:1::1",
                              "fc00::1",
                              "fd00:ec2::254",
                              "fe80::1",
                              "fec0::1",
                              "ff02::1",
                              "2001::1",
                              "2001:db8::1",
                              "2002:7f00:1::",
                              "100::1",
                              "::127.0.0.1"}) {
    EXPECT_FALSE(is_public(ip(address))) << address;
  }
}

TEST(AddressPolicy, Allowed) {
  const AddressPolicy none;
  EXPECT_TRUE(none.allows("api.example", ip("1.2.3.4")));
  EXPECT_FALSE(none.allows("api.example", ip("10.1.2.3")));
  const AddressPolicy some({"10.1.0.0/16", " fd00::/8", "127.0.0.1", "LLM.Corp.example", ""});
  EXPECT_TRUE(some.allows("x", ip("10.1.255.1")));
  EXPECT_FALSE(some.allows("x", ip("10.2.0.1")));
  EXPECT_TRUE(some.allows("x", ip("fd12::1")));
  EXPECT_FALSE(some.allows("x", ip("fc12::1")));
  EXPECT_TRUE(some.allows("x", ip("127.0.0.1")));
  EXPECT_TRUE(some.allows("x", ip("::ffff:127.0.0.1")));
  EXPECT_FALSE(some.allows("x", ip("127.0.0.2")));
  EXPECT_TRUE(some.allows("llm.corp.example.", ip("192.168.7.7")));
  EXPECT_FALSE(some.allows("evil.llm.corp.example", ip("192.168.7.7")));
  EXPECT_TRUE(AddressPolicy({"*"}).allows("x", ip("::1")));
  EXPECT_TRUE(AddressPolicy({"0.0.0.0/0"}).allows("x", ip("127.0.0.1")));
}

TEST(AddressPolicy, Names) {
  const AddressPolicy none;
  for (const char* host : {"api.openai.com", "1.1.1.1", "2606:4700::1111"}) {
    EXPECT_TRUE(none.allows_name(host)) << host;
  }
  for (const char* host : {"localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "::1",
                           "metadata.google.internal", "169.254.169.254"}) {
    EXPECT_FALSE(none.allows_name(host)) << host;
  }
  EXPECT_TRUE(AddressPolicy({"localhost"}).allows_name("localhost"));
  EXPECT_TRUE(AddressPolicy({"127.0.0.0/8"}).allows_name("localhost"));
}

TEST(AddressPolicy, RefusesWhatItCannotRead) {
  for (const char* bad : {"10.0.0.0/33", "fd00::/129", "10.0.0.0/x", "10.0.0.0/-1", "host/8",
                          "http://host", "host:80", "a b"}) {
    EXPECT_THROW(AddressPolicy({bad}), Error) << bad;
  }
}

}  // namespace
}  // namespace tessera::http
