// Signing, frames and roles against the vectors that official clients accept (external-providers
// 9.1 to 9.3).
#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/strings.h"
#include "providers/aws_event_stream.h"
#include "providers/aws_sigv4.h"
#include "providers/aws_sts.h"

namespace tessera::providers {
namespace {

const AwsCredentials kKeys{"AKTESSERAEXAMPLE", "tessera-not-a-real-secret", ""};
const std::int64_t kTime = *parse_rfc3339("2026-01-02T03:04:05Z") / 1000;
constexpr std::string_view kHost = "bedrock-runtime.us-east-1.amazonaws.com";

std::string header(const HeaderList& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "(none)";
}

std::string signature(const HeaderList& headers) {
  const std::string authorization = header(headers, "authorization");
  return authorization.substr(authorization.rfind('=') + 1);
}

TEST(AwsSigV4, KeyOfTheVectors) {
  EXPECT_EQ(hex_encode(
                as_bytes(signing_key(kKeys.secret_access_key, "20260102", "us-east-1", "bedrock"))),
            "4fee4c7c4358fa5987ca510351262c646f26c34825ef575cedd543e6e98477e4");
}

TEST(AwsSigV4, ModelIdWithColon) {
  const HeaderList headers = {{"content-type", "application/json"}, {"accept", "application/json"}};
  const AwsRequest request{.host = kHost,
                           .path = "/model/amazon.titan-embed-text-v1%3A2/invoke",
                           .headers = headers,
                           .body = R"({"inputText":"hi"})"};
  const HeaderList all = {{"accept", "application/json"},
                          {"content-type", "application/json"},
                          {"host", std::string(kHost)},
                          {"x-amz-date", "20260102T030405Z"}};
  const std::string canonical = canonical_request(request, all);
  EXPECT_TRUE(canonical.starts_with("POST\n/model/amazon.titan-embed-text-v1%253A2/invoke\n\n"))
      << canonical;
  EXPECT_EQ(sha256_hex(canonical),
            "198a5af99eae58ccd677cebacfa0f9e82035e070dad88b8f479f5d8611448941");
  const HeaderList added = sign(request, kKeys, "us-east-1", "bedrock", kTime);
  EXPECT_EQ(header(added, "x-amz-date"), "20260102T030405Z");
  EXPECT_EQ(header(added, "x-amz-security-token"), "(none)");
  EXPECT_EQ(header(added, "authorization"),
            "AWS4-HMAC-SHA256 "
            "Credential=AKTESSERAEXAMPLE/20260102/us-east-1/bedrock/aws4_request, "
            "SignedHeaders=accept;content-type;host;x-amz-date, "
            "Signature=1064786c78fae7e8a4eedfe9d4057b7835528fb553493acbf86686790b284ebd");
}

TEST(AwsSigV4, ArnWithSessionToken) {
  const HeaderList headers = {{"content-type", "application/json"},
                              {"x-amzn-bedrock-accept", "application/json"},
                              {"user-agent", "not signed"},
                              {"x-amzn-trace-id", "not signed"}};
  AwsCredentials keys = kKeys;
  keys.session_token = "SESSIONTOKEN==";
  const HeaderList added =
      sign({.host = kHost,
            .path = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3A"
                    "application-inference-profile%2Fabc123/invoke-with-response-stream",
            .headers = headers,
            .body = "{}"},
           keys, "us-east-1", "bedrock", kTime);
  EXPECT_EQ(header(added, "x-amz-security-token"), "SESSIONTOKEN==");
  EXPECT_EQ(signature(added), "e95f9978c4b6062c6d588c3dc55bf9626776e385a410ead6f22deb0f3d771b53");
}

TEST(AwsSigV4, AssumeRole) {
  const std::string body = assume_role_body(
      {.role_arn = "arn:aws:iam::123456789012:role/Infer", .session_name = "tessera-ep1"});
  EXPECT_EQ(body,
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole"
            "%2FInfer&RoleSessionName=tessera-ep1&DurationSeconds=3600");
  const HeaderList headers = {{"content-type", std::string(kStsContentType)}};
  const HeaderList added =
      sign({.host = "sts.us-east-1.amazonaws.com", .path = "/", .headers = headers, .body = body},
           kKeys, "us-east-1", "sts", kTime);
  EXPECT_EQ(signature(added), "26882daab139d038ae4612121378d11caf20398f1c061513c850b3b71d7131b1");
}

TEST(AwsSigV4, CanonicalForms) {
  const HeaderList headers = {{"x-amz-b", "  two   spaces  "}, {"host", "h"}, {"accept", "*"}};
  EXPECT_EQ(canonical_request({.method = "GET",
                               .host = "h",
                               .path = "",
                               .query = "b=2&a=1&flag",
                               .headers = headers,
                               .body = ""},
                              headers),
            "GET\n/\na=1&b=2&flag=\naccept:*\nhost:h\nx-amz-b:two spaces\n\naccept;host;x-amz-b\n"
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  // A host among the headers is not signed twice.
  const HeaderList added =
      sign({.host = "h:8080", .path = "/", .headers = headers, .body = ""}, kKeys, "r", "s", 0);
  EXPECT_NE(header(added, "authorization").find("SignedHeaders=accept;host;x-amz-b;x-amz-date,"),
            std::string::npos);
}

// --- Event stream ---

std::string unhex(std::string_view hex) { return *hex_decode(hex); }

const std::string kChunk = unhex(
    "0000007b0000004b0a2e96af0b3a6576656e742d747970650700056368756e6b0d3a636f6e74656e742d7479706507"
    "00106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b226279746573"
    "223a2265794a306558426c496a6f6963476c755a794a39227da01f56c4");
const std::string kException = unhex(
    "0000008800000061de0175f40f3a657863657074696f6e2d747970650700137468726f74746c696e67457863657074"
    "696f6e0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74"
    "797065070009657863657074696f6e7b226d657373616765223a22736c6f7720646f776e227d832ee072");
const std::string kMessageStop = unhex(
    "0000008500000051004881e90b3a6576656e742d7479706507000b6d65737361676553746f700d3a636f6e74656e74"
    "2d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b"
    "2270223a2261626364222c2273746f70526561736f6e223a22656e645f7475726e227d1cfadd05");

std::string shown(const std::vector<AwsFrame>& frames) {
  std::string text;
  for (const AwsFrame& frame : frames) {
    text += (frame.exception ? "!" : "") + frame.name + ' ' + frame.data + '\n';
  }
  return text;
}

std::string fed(std::string_view bytes, std::size_t step) {
  AwsEventStreamParser parser;
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += step) {
    text += shown(parser.feed(bytes.substr(i, step)));
  }
  if (parser.in_frame()) text += "(cut)";
  return text;
}

TEST(AwsEventStream, Vectors) {
  EXPECT_EQ(fed(kChunk, 1000), "chunk {\"bytes\":\"eyJ0eXBlIjoicGluZyJ9\"}\n");
  EXPECT_EQ(fed(kException, 1000), "!throttlingException {\"message\":\"slow down\"}\n");
  EXPECT_EQ(fed(kMessageStop, 1000), "messageStop {\"p\":\"abcd\",\"stopReason\":\"end_turn\"}\n");
}

TEST(AwsEventStream, CutAtEveryByte) {
  const std::string utf8 = aws_frame({{":message-type", "event"}, {":event-type", "chunk"}},
                                     "{\"text\":\"a\u2028b é 漢 😀\"}");
  const std::string all = kChunk + utf8 + kMessageStop + kException;
  const std::string whole = fed(all, all.size());
  EXPECT_NE(whole.find("漢 😀"), std::string::npos);
  for (std::size_t cut = 1; cut < all.size(); ++cut) {
    AwsEventStreamParser parser;
    std::string text = shown(parser.feed(std::string_view(all).substr(0, cut)));
    text += shown(parser.feed(std::string_view(all).substr(cut)));
    EXPECT_EQ(text, whole) << cut;
    EXPECT_FALSE(parser.in_frame());
  }
  for (std::size_t step = 1; step <= 7; ++step) EXPECT_EQ(fed(all, step), whole) << step;
}

TEST(AwsEventStream, WritesWhatItReads) {
  EXPECT_EQ(aws_frame({{":event-type", "chunk"},
                       {":content-type", "application/json"},
                       {":message-type", "event"}},
                      R"({"bytes":"eyJ0eXBlIjoicGluZyJ9"})"),
            kChunk);
  EXPECT_EQ(crc32("123456789"), 0xCBF43926u);
}

TEST(AwsEventStream, EveryFlippedBitIsNoticed) {
  for (std::size_t i = 0; i < kChunk.size(); ++i) {
    std::string bad = kChunk;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    AwsEventStreamParser parser;
    EXPECT_THROW(parser.feed(bad), Error) << i;
  }
}

TEST(AwsEventStream, FramesBeforeABrokenOneCount) {
  std::string broken = kMessageStop;
  broken.back() ^= 1;
  AwsEventStreamParser parser;
  EXPECT_EQ(parser.feed(kChunk + broken + kChunk).size(), 1u);
  EXPECT_THROW(parser.feed({}), Error);
  EXPECT_THROW(parser.finish(), Error);
  AwsEventStreamParser whole;
  whole.feed(kChunk);
  EXPECT_TRUE(whole.finish().empty());
}

TEST(AwsEventStream, EveryTypeOfHeader) {
  std::string headers;
  const auto add = [&](std::string_view name, char type, std::string_view value) {
    headers += static_cast<char>(name.size());
    headers.append(name) += type;
    headers.append(value);
  };
  add("true", 0, "");
  add("false", 1, "");
  add("int8", 2, "1");
  add("int16", 3, "12");
  add("int32", 4, "1234");
  add("int64", 5, "12345678");
  add("bytes", 6, std::string("\0\3abc", 5));
  add(":message-type", 7, std::string("\0\5event", 7));
  add("timestamp", 8, "12345678");
  add("uuid", 9, "0123456789abcdef");
  add(":event-type", 7, std::string("\0\2hi", 4));
  const auto frame = [](const std::string& head, std::string_view payload) {
    std::string bytes;
    const auto u32 = [&](std::size_t v) {
      for (int s = 24; s >= 0; s -= 8) bytes += static_cast<char>(v >> s & 0xFF);
    };
    u32(16 + head.size() + payload.size());
    u32(head.size());
    u32(crc32(bytes));
    bytes += head;
    bytes += payload;
    u32(crc32(bytes));
    return bytes;
  };
  EXPECT_EQ(fed(frame(headers, "x"), 1000), "hi x\n");
  EXPECT_THROW(fed(frame(headers + "\1z\x0a", "x"), 1000), Error);  // no such type
  EXPECT_THROW(fed(frame(headers.substr(0, headers.size() - 1), "x"), 1000), Error);
  EXPECT_THROW(fed(frame("", "x"), 1000), Error);  // no message type
}

TEST(AwsEventStream, ErrorsAndLimits) {
  EXPECT_EQ(fed(aws_frame({{":message-type", "error"},
                           {":error-code", "InternalError"},
                           {":error-message", "no \"luck\""}},
                          ""),
                1000),
            "!InternalError {\"message\":\"no \\\"luck\\\"\"}\n");
  AwsEventStreamParser small(10);
  EXPECT_THROW(small.feed(kChunk), Error);
  // The lengths of the prelude are checked before its frame has come.
  std::string total_too_small("\0\0\0\017\0\0\0\0", 8);
  const std::uint32_t crc = crc32(total_too_small);
  for (int s = 24; s >= 0; s -= 8) total_too_small += static_cast<char>(crc >> s & 0xFF);
  AwsEventStreamParser parser;
  EXPECT_THROW(parser.feed(total_too_small), Error);
  try {
    AwsEventStreamParser().feed(std::string(64, 'x'));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kProviderBadResponse);
  }
  EXPECT_TRUE(fed(kChunk.substr(0, 50), 1000) == "(cut)");
}

// --- STS ---

constexpr std::string_view kAssumed =
    R"(<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser><AssumedRoleId>AROAEX:tessera</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/Infer/tessera</Arn></AssumedRoleUser>
<Credentials><AccessKeyId>ASIAEX</AccessKeyId><SecretAccessKey>secret2&amp;&lt;</SecretAccessKey><SessionToken>TOK2</SessionToken><Expiration>2030-01-01T00:15:00Z</Expiration></Credentials></AssumeRoleResult>
<ResponseMetadata><RequestId>c6104cbe</RequestId></ResponseMetadata></AssumeRoleResponse>)";

TEST(AwsSts, Answers) {
  const RoleCredentials role = read_assume_role(kAssumed);
  EXPECT_EQ(role.credentials.access_key_id, "ASIAEX");
  EXPECT_EQ(role.credentials.secret_access_key, "secret2&<");
  EXPECT_EQ(role.credentials.session_token, "TOK2");
  EXPECT_EQ(role.expires_at_s, 1893456900);
  for (const std::size_t length : {0u, 100u, 400u}) {
    EXPECT_THROW(read_assume_role(kAssumed.substr(0, length)), Error) << length;
  }
}

TEST(AwsSts, Errors) {
  const Error denied = sts_error(
      {.status = 403,
       .body =
           R"(<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole</Message></Error><RequestId>q1</RequestId></ErrorResponse>)"});
  EXPECT_EQ(denied.kind, ErrorKind::kProviderAuthentication);
  EXPECT_EQ(denied.provider->code, "AccessDenied");
  EXPECT_NE(denied.message.find("not authorized to perform: sts:AssumeRole"), std::string::npos);
  const Error expired =
      sts_error({.status = 400, .body = "<ErrorResponse><Error><Code>ExpiredToken</Code></Error>"});
  EXPECT_EQ(expired.kind, ErrorKind::kProviderAuthentication);
  EXPECT_EQ(sts_error({.status = 503, .body = "<html>"}).kind, ErrorKind::kProviderOverloaded);
  EXPECT_EQ(sts_error({.status = 400, .body = "<Code>Throttling</Code>"}).kind,
            ErrorKind::kProviderRateLimited);
}

TEST(AwsSts, Requests) {
  AssumeRole request{.role_arn = "arn", .session_name = "tessera-x", .external_id = "a b"};
  EXPECT_TRUE(assume_role_body(request).ends_with("&ExternalId=a%20b"));
  request.duration_s = 60;
  EXPECT_THROW(assume_role_body(request), Error);
  request.duration_s = 900;
  request.external_id = "x";
  EXPECT_THROW(assume_role_body(request), Error);
  EXPECT_EQ(session_name_of("my endpoint/é"), "tessera-my-endpoint---");
  EXPECT_EQ(session_name_of(std::string(100, 'a')).size(), 64u);
  EXPECT_EQ(sts_url("eu-west-1"), "https://sts.eu-west-1.amazonaws.com");
  EXPECT_EQ(sts_url("cn-north-1"), "https://sts.cn-north-1.amazonaws.com.cn");
}

}  // namespace
}  // namespace tessera::providers
