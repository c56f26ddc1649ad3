// The pre-pass of external-providers 1.5 and the ids of 1.6.
#include "providers/turns.h"

#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace tessera::providers {
namespace {

Conversation turns(std::string_view messages, const TurnRules& rules = {.provider = "p"}) {
  const std::string text = "{\"messages\":" + std::string(messages) + "}";
  const api::Body body(text);
  return to_turns(parse_chat_request(body, api::ParseOptions::for_profile(api::Profile::kExternal)),
                  rules);
}

// "user: text(a) result(c1: text(3)) | assistant: call(c1 get {"x":1})"
std::string shown(const std::vector<Block>& blocks) {
  std::string text;
  for (const Block& block : blocks) {
    if (!text.empty()) text += ' ';
    switch (block.kind) {
      case Block::Kind::kText:
        text += "text(" + block.text + ")";
        break;
      case Block::Kind::kImage:
        text += "image(" + block.media_type + block.url + ")";
        break;
      case Block::Kind::kDocument:
        text += "document(" + block.media_type + ")";
        break;
      case Block::Kind::kToolCall:
        text += "call(" + block.id + ' ' + block.name + ' ' + block.arguments + ")";
        break;
      case Block::Kind::kToolResult:
        text += "result(" + block.id + ' ' + block.name + ": " + shown(block.content) + ")";
    }
  }
  return text;
}

std::string shown(const Conversation& conversation) {
  std::string text;
  for (const Turn& turn : conversation.turns) {
    if (!text.empty()) text += " | ";
    text += (turn.assistant ? "assistant: " : "user: ") + shown(turn.blocks);
  }
  return text;
}

constexpr std::string_view kTwoCalls =
    R"({"role":"assistant","content":"hm","tool_calls":[
        {"id":"c1","type":"function","function":{"name":"f","arguments":"{ \"x\": 1 }"}},
        {"id":"c2","type":"function","function":{"name":"g","arguments":""}}]})";

TEST(Turns, SystemTextStandsApart) {
  const Conversation c = turns(
      R"([{"role":"system","content":"a"},{"role":"user","content":"u"},
          {"role":"developer","content":[{"type":"text","text":"b"},{"type":"text","text":" "}]}])");
  EXPECT_EQ(c.system_text(), "a\nb");
  EXPECT_EQ(shown(c), "user: text(u)");
}

TEST(Turns, ResultsAreGroupedInTheOrderOfTheCalls) {
  const Conversation c = turns(R"([{"role":"user","content":"u"},)" + std::string(kTwoCalls) +
                               R"(,{"role":"tool","tool_call_id":"c2","content":"2"},
                                   {"role":"tool","tool_call_id":"c1","content":"old"},
                                   {"role":"tool","tool_call_id":"c1","content":"1"},
                                   {"role":"user","content":"and?"}])");
  EXPECT_EQ(shown(c),
            "user: text(u) | assistant: text(hm) call(c1 f {\"x\":1}) call(c2 g {}) | "
            "user: result(c1 f: text(1)) result(c2 g: text(2)) text(and?)");
  EXPECT_TRUE(c.has_tool_blocks);
  EXPECT_EQ(c.used_tools, (std::vector<std::string>{"f", "g"}));
}

// A user who speaks between two results.
TEST(Turns, ResultsStandBeforeText) {
  EXPECT_EQ(shown(turns("[" + std::string(kTwoCalls) +
                        R"(,{"role":"tool","tool_call_id":"c1","content":"1"},
                            {"role":"user","content":"wait"},
                            {"role":"tool","tool_call_id":"c2","content":""}])")),
            "assistant: text(hm) call(c1 f {\"x\":1}) call(c2 g {}) | "
            "user: result(c1 f: text(1)) result(c2 g: ) text(wait)");
}

TEST(Turns, AlternateWhereAsked) {
  constexpr std::string_view kMessages =
      R"([{"role":"user","content":"a"},{"role":"user","content":"b"},
          {"role":"assistant","content":"c"},{"role":"assistant","content":"d"}])";
  EXPECT_EQ(shown(turns(kMessages)), "user: text(a) text(b) | assistant: text(c) text(d)");
  EXPECT_EQ(shown(turns(kMessages, {.provider = "p", .merge_same_role = false})),
            "user: text(a) | user: text(b) | assistant: text(c) | assistant: text(d)");
}

TEST(Turns, BlankTextIsLeftOut) {
  EXPECT_EQ(shown(turns(R"([{"role":"user","content":"a"},{"role":"assistant","content":" \n"},
                            {"role":"user","content":[{"type":"text","text":""},
                                                      {"type":"text","text":"b"}]}])")),
            "user: text(a) text(b)");
  try {
    turns(R"([{"role":"user","content":"a"},{"role":"user","content":" "}])");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kBadMessage);
    EXPECT_EQ(error.param, "messages[1].content");
  }
}

TEST(Turns, ThoughtsAreReplayed) {
  const Conversation c = turns(
      R"([{"role":"user","content":"a"},
          {"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},
                                         {"type":"text","text":"b"}]},
          {"role":"user","content":"c"},
          {"role":"assistant","content":"d","thinking_blocks":[{"type":"thinking"}]}])");
  EXPECT_EQ(c.turns[1].thinking_blocks, R"([{"type":"thinking","thinking":"t","signature":"s"}])");
  EXPECT_EQ(c.turns[3].thinking_blocks, R"([{"type":"thinking"}])");
}

std::string refused(std::string_view part, const TurnRules& rules) {
  try {
    turns(R"([{"role":"user","content":[)" + std::string(part) + "]}]", rules);
  } catch (const Error& error) {
    EXPECT_EQ(http_status(error.kind), 400);
    return error.param;
  }
  return "(accepted)";
}

TEST(Turns, PartsThatAProviderCannotRead) {
  const TurnRules all{.provider = "p", .documents = true};
  constexpr std::string_view kUrl =
      R"({"type":"image_url","image_url":{"url":"https://example.com/a.png"}})";
  EXPECT_EQ(refused(kUrl, all), "(accepted)");
  EXPECT_EQ(refused(kUrl, {.provider = "p", .fetches_urls = false}),
            "messages[0].content[0].image_url.url");
  EXPECT_EQ(refused(kUrl, {.provider = "p", .images = false}), "messages[0].content[0]");
  EXPECT_EQ(refused(R"({"type":"input_audio","input_audio":{"data":"x","format":"wav"}})", all),
            "messages[0].content[0]");
  EXPECT_EQ(refused(R"({"type":"video_url","video_url":{"url":"x"}})", all),
            "messages[0].content[0].type");
  constexpr std::string_view kPdf =
      R"({"type":"file","file":{"file_data":"data:application/pdf;base64,JVBERi0xLjQ="}})";
  EXPECT_EQ(refused(kPdf, all), "(accepted)");
  EXPECT_EQ(refused(kPdf, {.provider = "p"}), "messages[0].content[0]");
  EXPECT_EQ(refused(R"({"type":"file","file":{"file_data":"data:text/plain;base64,eA=="}})", all),
            "messages[0].content[0].file.file_data");
  EXPECT_EQ(refused(R"({"type":"file","file":{"file_id":"f"}})", all),
            "messages[0].content[0].file.file_data");
}

TEST(Turns, ImagePoliciesOfTheEndpoint) {
  catalog::ExternalModel model;
  EXPECT_TRUE(may_send_urls(model, true));
  EXPECT_FALSE(may_send_urls(model, false));
  model.config["image_url_policy"] = "pass";
  EXPECT_TRUE(may_send_urls(model, true));
  for (const char* policy : {"reject", "inline"}) {
    model.config["image_url_policy"] = policy;
    EXPECT_FALSE(may_send_urls(model, true));
  }
}

TEST(DataUri, ImagesAreWhatTheirBytesSay) {
  const auto type = [](std::string bytes) {
    bytes.resize(24, 'x');
    return read_image_uri("data:image/bmp;base64," + base64_encode(bytes), "p").media_type;
  };
  EXPECT_EQ(type("\x89PNG\r\n\x1A\n"), "image/png");
  EXPECT_EQ(type("\xFF\xD8\xFF\xE0"), "image/jpeg");
  EXPECT_EQ(type("GIF89a"), "image/gif");
  EXPECT_EQ(type("RIFF1234WEBPVP8 "), "image/webp");
  EXPECT_THROW(type("RIFF1234WAVE"), Error);
  EXPECT_THROW(type("<svg>"), Error);
  EXPECT_EQ(read_image_uri("data:image/png;base64,R0lG ODlh\nAAAA", "p").data, "R0lGODlhAAAA");
}

TEST(DataUri, Forms) {
  EXPECT_EQ(read_data_uri("DATA:image/JPG;charset=x;base64,AAA", "p").media_type, "image/jpeg");
  EXPECT_EQ(read_data_uri("data:image/png;base64,AAA", "p").data, "AAA=");
  for (const char* bad : {"", "data:", "data:image/png", "data:image/png,AAAA", "ftp://x/y",
                          "data:image/png;base64,", "data:image/png;base64,A-_A", "/etc/passwd"}) {
    EXPECT_THROW(read_data_uri(bad, "p"), Error) << bad;
  }
}

TEST(Arguments, AreObjects) {
  EXPECT_EQ(arguments_object(" { \"b\" : 1.0, \"a\" : \"é\" } ", "p"), R"({"b":1.0,"a":"é"})");
  EXPECT_EQ(arguments_object("", "p"), "{}");
  EXPECT_EQ(arguments_object(" \n", "p"), "{}");
  for (const char* bad : {"[]", "3", "null", "{", "\"{}\"", "{} {}"}) {
    EXPECT_THROW(arguments_object(bad, "p"), Error) << bad;
  }
}

TEST(Ids, AreFittedAndStayDifferent) {
  IdMap any("", 0);
  EXPECT_EQ(any("toolu_01A-b"), "toolu_01A-b");
  const std::string dot = any("a.b"), colon = any("a:b");
  EXPECT_EQ(dot, "a_b");
  EXPECT_NE(colon, dot);
  EXPECT_TRUE(colon.starts_with("a_b_"));
  EXPECT_EQ(any("a:b"), colon);  // a result finds its call
  EXPECT_FALSE(any("").empty());

  IdMap converse(".:", 64);
  EXPECT_EQ(converse("a.b:c"), "a.b:c");
  const std::string exact(64, 'x');
  EXPECT_EQ(converse(exact), exact);
  const std::string longer = converse(exact + "y"), other = converse(exact + "z");
  EXPECT_EQ(longer.size(), 64u);
  EXPECT_NE(longer, other);
}

TEST(Ids, OfProvidersThatGiveNone) {
  std::set<std::string> ids;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    for (std::size_t index = 0; index < 20; ++index) {
      const std::string id = synthesised_call_id(seed, index);
      EXPECT_EQ(id.size(), 29u);
      EXPECT_TRUE(id.starts_with("call_"));
      ids.insert(id);
    }
  }
  EXPECT_EQ(ids.size(), 400u);
  EXPECT_EQ(synthesised_call_id(7, 1), synthesised_call_id(7, 1));
}

}  // namespace
}  // namespace tessera::providers
